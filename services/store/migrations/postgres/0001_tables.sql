-- tenant_id leads every key, so that tables can be distributed by tenant; only the indexes of the queues that serve all tenants at once
-- begin with a time. Names compare by their bytes, which is fast and the order in which batches lock their rows.
-- Objects and lists are json, not jsonb: they come back to the letter, as what a device sent is its own.

DO $$
DECLARE
    role text;
BEGIN
    -- Roles belong to the whole server: another database of it may have made them, or be making them now.
    FOREACH role IN ARRAY ARRAY['pulse_worker', 'pulse_api'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END $$;

-- What the oldest program that may still run on this schema knows: a migration that programs before it cannot live with raises it.
CREATE TABLE schema_compatibility (
    only_row       boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (only_row),
    oldest_version bigint  NOT NULL
);
INSERT INTO schema_compatibility (oldest_version) VALUES (1);

CREATE FUNCTION to_micros(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM at) * 1000000)::bigint $$;

CREATE FUNCTION from_micros(micros bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT timestamptz '1970-01-01 00:00:00+00' + micros * interval '1 microsecond' $$;

CREATE TABLE tenants (
    tenant_id     text COLLATE "C" NOT NULL PRIMARY KEY,
    name          text             NOT NULL,
    created_at    timestamptz      NOT NULL,
    -- Grows with every change of the tenant's rules, so that evaluators know when to compile them again.
    rules_version bigint           NOT NULL DEFAULT 0
);

-- Pulse itself: the alerts about its own services belong to it.
INSERT INTO tenants (tenant_id, name, created_at) VALUES ('pulse-system', 'Pulse itself', 'epoch');

CREATE TABLE devices (
    tenant_id   text COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    device_id   text COLLATE "C" NOT NULL,
    site_id     text             NOT NULL,
    device_type text             NOT NULL,
    group_ids   json             NOT NULL,
    lifecycle   text             NOT NULL,
    token_hash  bytea            NOT NULL,
    created_at  timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, device_id)
);

-- What changes with every message and judgement, apart from `devices` so that the hot rows stay small. Its row is also the device's lock:
-- whoever counts its readings, judges it or changes its life holds it until the commit, so that each sees what the others did.
CREATE TABLE device_state (
    tenant_id         text COLLATE "C" NOT NULL,
    device_id         text COLLATE "C" NOT NULL,
    status            text             NOT NULL DEFAULT 'UNKNOWN',
    last_seen         timestamptz,
    -- How many readings the device has had: the number of the last one.
    reading_count     bigint           NOT NULL DEFAULT 0,
    evaluated_through bigint           NOT NULL DEFAULT 0,
    -- When an evaluator must next look: not after the receipt of any reading that is not yet evaluated, or the next check for silence.
    due_at            timestamptz,
    lease_id          uuid,
    lease_until       timestamptz,
    memory            json             NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES devices (tenant_id, device_id) ON DELETE CASCADE
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX device_state_due ON device_state (due_at) WHERE due_at IS NOT NULL;

-- A reading's number counts the device's own readings from 1, given out under the lock of its state: no gap, and no later commit with an
-- earlier number. A partition a day (UTC), so that old days are dropped and not deleted.
CREATE TABLE readings (
    tenant_id   text COLLATE "C" NOT NULL,
    device_id   text COLLATE "C" NOT NULL,
    reading_id  bigint           NOT NULL,
    kind        text             NOT NULL,
    ts          timestamptz      NOT NULL,
    received_at timestamptz      NOT NULL,
    site_id     text             NOT NULL,
    seq         bigint,
    metrics     json             NOT NULL,
    trace       text,
    PRIMARY KEY (tenant_id, device_id, reading_id, received_at)
) PARTITION BY RANGE (received_at);

-- For a clock that is days off, and for days that nobody made a partition for.
CREATE TABLE readings_other PARTITION OF readings DEFAULT;

CREATE TABLE ingest_progress (
    instance        text        NOT NULL PRIMARY KEY,
    up_since        timestamptz NOT NULL,
    durable_through timestamptz NOT NULL,
    reported_at     timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE rules (
    tenant_id  text COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    rule_id    uuid             NOT NULL,
    enabled    boolean          NOT NULL,
    spec       json             NOT NULL,
    created_at timestamptz      NOT NULL,
    updated_at timestamptz      NOT NULL,
    error      text,
    PRIMARY KEY (tenant_id, rule_id)
);

CREATE TABLE alerts (
    tenant_id        text COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    alert_id         uuid             NOT NULL,
    fingerprint      text COLLATE "C" NOT NULL,
    -- The service's name for an alert about Pulse itself, so there is no reference to `devices`.
    device_id        text COLLATE "C" NOT NULL,
    site_id          text             NOT NULL,
    alert_type       text             NOT NULL,
    rule_id          uuid,
    severity         smallint         NOT NULL,
    -- By how many steps escalations have raised the severity above the judged one.
    raised           smallint         NOT NULL DEFAULT 0,
    confidence       double precision NOT NULL,
    summary          text             NOT NULL,
    details          json             NOT NULL,
    status           text             NOT NULL,
    created_at       timestamptz      NOT NULL,
    updated_at       timestamptz      NOT NULL,
    acknowledged_at  timestamptz,
    acknowledged_by  text,
    closed_at        timestamptz,
    escalation_level integer          NOT NULL,
    silenced_until   timestamptz,
    -- The latest event. Whoever writes event_id appends the event: see the triggers below.
    event_id         uuid             NOT NULL,
    event_kind       text             NOT NULL,
    event_at         timestamptz      NOT NULL,
    event_origin_at  timestamptz,
    event_trace      text,
    PRIMARY KEY (tenant_id, alert_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- One alert that is not closed per fingerprint.
CREATE UNIQUE INDEX alerts_open_fingerprint ON alerts (tenant_id, fingerprint) WHERE status <> 'CLOSED';
CREATE INDEX alerts_open ON alerts (tenant_id, alert_id) WHERE status <> 'CLOSED';
CREATE INDEX alerts_open_device ON alerts (tenant_id, device_id) WHERE status <> 'CLOSED';
CREATE INDEX alerts_device ON alerts (tenant_id, device_id, alert_id);
CREATE INDEX alerts_escalation ON alerts (alert_id) WHERE status = 'OPEN';
CREATE INDEX alerts_closed ON alerts (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE silences (
    tenant_id   text COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    fingerprint text COLLATE "C" NOT NULL,
    device_id   text COLLATE "C" NOT NULL,
    until       timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, fingerprint)
);

CREATE INDEX silences_device ON silences (tenant_id, device_id);

-- An alert as it is read, and as its events keep it.
CREATE FUNCTION alert_snapshot(a alerts) RETURNS json LANGUAGE sql STABLE PARALLEL SAFE
AS $$
SELECT json_build_object(
    'tenant_id', a.tenant_id,
    'alert_id', a.alert_id,
    'fingerprint', a.fingerprint,
    'device_id', a.device_id,
    'site_id', a.site_id,
    'alert_type', a.alert_type,
    'rule_id', a.rule_id,
    'severity', a.severity,
    'confidence', a.confidence,
    'summary', a.summary,
    'details', a.details,
    'status', a.status,
    'created_at', to_micros(a.created_at),
    'updated_at', to_micros(a.updated_at),
    'acknowledged_at', to_micros(a.acknowledged_at),
    'acknowledged_by', a.acknowledged_by,
    'closed_at', to_micros(a.closed_at),
    'escalation_level', a.escalation_level,
    'silenced_until', to_micros(a.silenced_until))
$$;

-- An alert's history, in the order in which its changes were committed.
CREATE TABLE alert_events (
    tenant_id     text COLLATE "C" NOT NULL,
    alert_id      uuid             NOT NULL,
    seq           bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    event_id      uuid             NOT NULL,
    kind          text             NOT NULL,
    at            timestamptz      NOT NULL,
    origin_at     timestamptz,
    trace         text,
    alert         json             NOT NULL,
    PRIMARY KEY (tenant_id, alert_id, seq)
);

CREATE INDEX alert_events_seq ON alert_events (seq);

-- The dispatcher's queue: the events of `alert_events` that are not yet dispatched, in a table that stays small.
CREATE TABLE pending_events (
    tenant_id   text COLLATE "C" NOT NULL,
    event_id    uuid             NOT NULL,
    alert_id    uuid             NOT NULL,
    seq         bigint           NOT NULL,
    at          timestamptz      NOT NULL,
    lease_id    uuid,
    lease_until timestamptz,
    PRIMARY KEY (tenant_id, event_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX pending_events_seq ON pending_events (seq);

-- An event is appended where the change is made, so that no statement can make one without the other; once a statement, however many
-- alerts it changes.
CREATE FUNCTION append_events_of_opened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH appended AS (
        INSERT INTO alert_events (tenant_id, alert_id, event_id, kind, at, origin_at, trace, alert)
        SELECT a.tenant_id, a.alert_id, a.event_id, a.event_kind, a.event_at, a.event_origin_at, a.event_trace, alert_snapshot(a)
        FROM changed c JOIN alerts a ON a.tenant_id = c.tenant_id AND a.alert_id = c.alert_id
        ORDER BY a.event_id
        RETURNING tenant_id, event_id, alert_id, seq, at)
    INSERT INTO pending_events (tenant_id, event_id, alert_id, seq, at) SELECT * FROM appended;
    RETURN NULL;
END $$;

CREATE FUNCTION append_events_of_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH appended AS (
        INSERT INTO alert_events (tenant_id, alert_id, event_id, kind, at, origin_at, trace, alert)
        SELECT a.tenant_id, a.alert_id, a.event_id, a.event_kind, a.event_at, a.event_origin_at, a.event_trace, alert_snapshot(a)
        FROM before b JOIN alerts a ON a.tenant_id = b.tenant_id AND a.alert_id = b.alert_id
        WHERE a.event_id <> b.event_id
        ORDER BY a.event_id
        RETURNING tenant_id, event_id, alert_id, seq, at)
    INSERT INTO pending_events (tenant_id, event_id, alert_id, seq, at) SELECT * FROM appended;
    RETURN NULL;
END $$;

CREATE TRIGGER alerts_opened AFTER INSERT ON alerts REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION append_events_of_opened();
CREATE TRIGGER alerts_changed AFTER UPDATE ON alerts REFERENCING OLD TABLE AS before
FOR EACH STATEMENT EXECUTE FUNCTION append_events_of_changed();

CREATE TABLE integrations (
    tenant_id      text COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    integration_id uuid             NOT NULL,
    name           text             NOT NULL,
    enabled        boolean          NOT NULL,
    queue          text             NOT NULL,
    destination    json             NOT NULL,
    created_at     timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, integration_id)
);

CREATE TABLE routes (
    tenant_id      text COLLATE "C" NOT NULL,
    route_id       uuid             NOT NULL,
    integration_id uuid             NOT NULL,
    enabled        boolean          NOT NULL,
    spec           json             NOT NULL,
    created_at     timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, route_id),
    FOREIGN KEY (tenant_id, integration_id) REFERENCES integrations (tenant_id, integration_id) ON DELETE CASCADE
);

CREATE INDEX routes_integration ON routes (tenant_id, integration_id);

CREATE TABLE policies (
    tenant_id    text COLLATE "C" NOT NULL REFERENCES tenants (tenant_id),
    policy_id    uuid             NOT NULL,
    enabled      boolean          NOT NULL,
    min_severity smallint         NOT NULL,
    spec         json             NOT NULL,
    created_at   timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, policy_id)
);

-- tenant_id is null for the operators' tokens. Found by hash before the tenant is known.
CREATE TABLE api_tokens (
    token_hash bytea       NOT NULL PRIMARY KEY,
    token_id   uuid        NOT NULL,
    tenant_id  text COLLATE "C" REFERENCES tenants (tenant_id),
    role       text        NOT NULL,
    name       text        NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX api_tokens_id ON api_tokens (coalesce(tenant_id, '*'), token_id);

-- The delivery worker's queue: jobs that are PENDING or LEASED. What is finished leaves it for `finished_jobs`, so that it stays small.
CREATE TABLE jobs (
    tenant_id      text COLLATE "C" NOT NULL,
    job_id         uuid             NOT NULL,
    event_id       uuid             NOT NULL,
    route_id       uuid             NOT NULL,
    integration_id uuid             NOT NULL,
    queue          text             NOT NULL,
    state          text             NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'LEASED')),
    attempts       integer          NOT NULL DEFAULT 0,
    run_at         timestamptz      NOT NULL,
    created_at     timestamptz      NOT NULL,
    origin_at      timestamptz,
    trace          text,
    attempt_trace  text,
    last_error     text,
    lease_id       uuid,
    lease_until    timestamptz,
    payload        json             NOT NULL,
    PRIMARY KEY (tenant_id, job_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

-- That there is one a tenant, event and route is kept by `pending_events`: an event leaves it once, in the transaction that makes its jobs.
-- An index to say so as well would be written with every claim, and would tempt the planner to find a job by its tenant alone.
CREATE INDEX jobs_pending ON jobs (queue, run_at, job_id) WHERE state = 'PENDING';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'LEASED';

-- DELIVERED or DEAD. A replay brings a job back into `jobs`.
CREATE TABLE finished_jobs (
    tenant_id      text COLLATE "C" NOT NULL,
    job_id         uuid             NOT NULL,
    event_id       uuid             NOT NULL,
    route_id       uuid             NOT NULL,
    integration_id uuid             NOT NULL,
    queue          text             NOT NULL,
    state          text             NOT NULL CHECK (state IN ('DELIVERED', 'DEAD')),
    attempts       integer          NOT NULL,
    run_at         timestamptz      NOT NULL,
    created_at     timestamptz      NOT NULL,
    finished_at    timestamptz      NOT NULL,
    origin_at      timestamptz,
    trace          text,
    attempt_trace  text,
    last_error     text,
    payload        json             NOT NULL,
    PRIMARY KEY (tenant_id, job_id)
);

CREATE INDEX finished_jobs_dead ON finished_jobs (tenant_id, job_id) WHERE state = 'DEAD';
CREATE INDEX finished_jobs_at ON finished_jobs (finished_at);

-- Jobs wherever they stand, with the rights of who reads: a state that is named in the query leaves the table out that cannot hold it.
CREATE VIEW all_jobs WITH (security_invoker = true) AS
SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at, NULL::timestamptz AS finished_at,
    origin_at, trace, attempt_trace, last_error, payload
FROM jobs
UNION ALL
SELECT tenant_id, job_id, event_id, route_id, integration_id, queue, state, attempts, run_at, created_at, finished_at, origin_at, trace,
    attempt_trace, last_error, payload
FROM finished_jobs;

-- Attempts go when their job goes, by the purge that takes it.
CREATE TABLE attempts (
    tenant_id   text COLLATE "C" NOT NULL,
    job_id      uuid             NOT NULL,
    -- Attempts of a replayed job count from 1 again, so the time is what tells them apart.
    started_at  timestamptz      NOT NULL,
    attempt     integer          NOT NULL,
    finished_at timestamptz      NOT NULL,
    error       text,
    http_status integer,
    detail      text,
    PRIMARY KEY (tenant_id, job_id, started_at, attempt)
);
