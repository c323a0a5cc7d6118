-- Who may do what. `pulse_worker` serves all tenants: evaluator, dispatcher, delivery_worker, ops_worker. `pulse_api` serves the one
-- tenant that the transaction names in `pulse.tenant_id` ('*': the operators themselves); without it, it sees nothing. Neither may
-- change the schema. What the API needs of all tenants goes through the functions below, which do one thing each and look for their tables
-- here and nowhere before.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

DO $$
DECLARE
    t text;
BEGIN
    -- Databases that were made before PostgreSQL 15 let everybody make tables.
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    FOREACH t IN ARRAY ARRAY['tenants', 'devices', 'device_state', 'readings', 'rules', 'alerts', 'silences', 'alert_events',
        'pending_events', 'integrations', 'routes', 'policies', 'jobs', 'finished_jobs', 'attempts', 'api_tokens'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY all_tenants ON %I TO pulse_worker USING (true) WITH CHECK (true)', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['tenants', 'devices', 'device_state', 'readings', 'rules', 'alerts', 'silences', 'alert_events',
        'pending_events', 'integrations', 'routes', 'policies', 'jobs', 'finished_jobs', 'attempts'] LOOP
        EXECUTE format('CREATE POLICY own_tenant ON %I TO pulse_api
            USING (tenant_id = current_setting(''pulse.tenant_id'', true)) WITH CHECK (tenant_id = current_setting(''pulse.tenant_id'', true))', t);
    END LOOP;
END $$;

CREATE POLICY own_tenant ON api_tokens TO pulse_api
USING (coalesce(tenant_id, '*') = current_setting('pulse.tenant_id', true))
WITH CHECK (coalesce(tenant_id, '*') = current_setting('pulse.tenant_id', true));

GRANT SELECT, INSERT, UPDATE, DELETE ON tenants, devices, device_state, rules, alerts, silences, pending_events, integrations, routes, policies,
    jobs, finished_jobs, attempts, api_tokens, ingest_progress TO pulse_worker;
-- A history: nobody changes what is written.
GRANT SELECT, INSERT, DELETE ON alert_events TO pulse_worker;
GRANT SELECT, DELETE ON readings, readings_other TO pulse_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON devices, device_state, rules, alerts, silences, integrations, routes, policies, jobs, finished_jobs,
    api_tokens TO pulse_api;
GRANT SELECT, INSERT, UPDATE ON tenants, ingest_progress TO pulse_api;
GRANT SELECT, INSERT ON alert_events, pending_events TO pulse_api;
GRANT SELECT ON readings, attempts TO pulse_api;
GRANT SELECT ON all_jobs TO pulse_worker, pulse_api;
GRANT SELECT ON schema_compatibility, _sqlx_migrations TO pulse_worker, pulse_api;

-- A message's sender, found before anybody knows whose it is.
CREATE FUNCTION device_credentials(tenant_ids text[], device_ids text[])
RETURNS TABLE (place bigint, site_id text, lifecycle text, token_hash bytea) LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
SELECT k.place, d.site_id, d.lifecycle, d.token_hash
FROM unnest($1, $2) WITH ORDINALITY AS k (tenant_id, device_id, place)
JOIN devices d ON d.tenant_id = k.tenant_id AND d.device_id = k.device_id
$$;

-- The token that a client presents, by its hash.
CREATE FUNCTION find_token(hash bytea) RETURNS SETOF api_tokens LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$ SELECT * FROM api_tokens WHERE token_hash = $1 $$;

-- The operators' list of customers.
CREATE FUNCTION list_tenants(after_id text, count bigint) RETURNS SETOF tenants LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$ SELECT * FROM tenants WHERE tenant_id > $1 AND tenant_id <> 'pulse-system' ORDER BY tenant_id LIMIT $2 $$;

-- Each tenant's fleet in numbers, for the gauges. It reads every device, which an index would only make slower.
CREATE FUNCTION fleet() RETURNS TABLE (tenant_id text, active_alerts bigint, devices json) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT SET enable_seqscan = on
AS $$
SELECT t.tenant_id, coalesce(a.active, 0), coalesce(d.devices, '{}')
FROM tenants t
LEFT JOIN (SELECT tenant_id, count(*) AS active FROM alerts WHERE status <> 'CLOSED' GROUP BY tenant_id) a ON a.tenant_id = t.tenant_id
LEFT JOIN (
    SELECT tenant_id, json_object_agg(status, devices) AS devices
    FROM (
        SELECT s.tenant_id, s.status, count(*) AS devices
        FROM device_state s JOIN devices d ON d.tenant_id = s.tenant_id AND d.device_id = s.device_id
        WHERE d.lifecycle = 'ACTIVE' GROUP BY s.tenant_id, s.status) by_status
    GROUP BY tenant_id) d ON d.tenant_id = t.tenant_id
ORDER BY t.tenant_id
$$;

REVOKE EXECUTE ON FUNCTION count_readings, insert_readings, make_reading_days, drop_reading_day, device_credentials, find_token, list_tenants,
    fleet FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_readings, insert_readings, device_credentials, find_token, list_tenants, fleet TO pulse_api, pulse_worker;
GRANT EXECUTE ON FUNCTION make_reading_days, drop_reading_day TO pulse_worker;
