-- How readings come in and go. These functions run with the rights of the schema's owner: the roles that call them may not write to
-- `readings` by themselves, nor make and drop tables.

-- Functions with the owner's rights look for their tables here and nowhere before: a caller's temporary view of the same name would
-- otherwise run the caller's code with those rights.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Counts readings onto their devices and makes the devices due; of each device that is registered, its place in the arrays, from 1, and
-- the number of its last reading. The arrays hold each device once, in the order of the keys: a loop over them locks the devices in that
-- order, so that no two batches wait for each other's, and finds each state once, where an upsert would look for it and for its conflict.
CREATE FUNCTION count_readings(tenant_ids text[], device_ids text[], counts bigint[], first_at timestamptz[], last_at timestamptz[])
RETURNS TABLE (place bigint, reading_count bigint) LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
UPDATE device_state s SET
    reading_count = s.reading_count + b.count,
    last_seen = greatest(s.last_seen, b.last_at),
    due_at = least(s.due_at, b.first_at)
FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS b (tenant_id, device_id, count, first_at, last_at, place)
WHERE s.tenant_id = b.tenant_id AND s.device_id = b.device_id
RETURNING b.place, s.reading_count
$$;

-- Writes readings under the numbers that `count_readings` has made theirs, in the same transaction.
CREATE FUNCTION insert_readings(tenant_ids text[], device_ids text[], reading_ids bigint[], kinds text[], ts timestamptz[],
    received_at timestamptz[], site_ids text[], seqs bigint[], metrics text[], traces text[])
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
INSERT INTO readings (tenant_id, device_id, reading_id, kind, ts, received_at, site_id, seq, metrics, trace)
SELECT r.tenant_id, r.device_id, r.reading_id, r.kind, r.ts, r.received_at, r.site_id, r.seq, r.metrics::json, r.trace
FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    AS r (tenant_id, device_id, reading_id, kind, ts, received_at, site_id, seq, metrics, trace)
$$;

-- The partitions by day: name and the day's bounds.
CREATE VIEW reading_days AS
SELECT c.oid AS partition, c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows_about,
    to_timestamp(substr(c.relname, 10), 'YYYY_MM_DD')::date::timestamp AT TIME ZONE 'UTC' AS from_at,
    (to_timestamp(substr(c.relname, 10), 'YYYY_MM_DD')::date + 1)::timestamp AT TIME ZONE 'UTC' AS until_at
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'readings'::regclass AND c.relname ~ '^readings_\d{4}_\d\d_\d\d$';

-- Makes the partition of each day from the day of `from_at` on that has none; how many. Readings that the day already has in
-- `readings_other` are carried over.
CREATE FUNCTION make_reading_days(from_at timestamptz, days integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET lock_timeout = '2s'
AS $$
DECLARE
    day date;
    partition_name text;
    made integer := 0;
    opens timestamptz;
    ends timestamptz;
BEGIN
    FOR day IN SELECT (from_at AT TIME ZONE 'UTC')::date + n FROM generate_series(0, days - 1) n LOOP
        partition_name := 'readings_' || to_char(day, 'YYYY_MM_DD');
        CONTINUE WHEN EXISTS (SELECT FROM reading_days d WHERE d.name = partition_name);
        -- Another replica may be at it: one makes it, the others find it made.
        PERFORM pg_advisory_xact_lock(hashtext('pulse reading days'));
        CONTINUE WHEN EXISTS (SELECT FROM reading_days d WHERE d.name = partition_name);
        opens := day::timestamp AT TIME ZONE 'UTC';
        ends := (day + 1)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE %I (LIKE readings INCLUDING ALL)', partition_name);
        -- Attaching reads what lies in readings_other, which is nothing but where nobody made a partition in time.
        LOCK TABLE readings_other IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('WITH carried AS (DELETE FROM readings_other WHERE received_at >= $1 AND received_at < $2 RETURNING *)
            INSERT INTO %I SELECT * FROM carried', partition_name) USING opens, ends;
        EXECUTE format('ALTER TABLE readings ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition_name, opens, ends);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Drops the oldest day that ends at or before `before_at` and is over for a day by the database's clock too, unless a device has readings in it that nobody has evaluated; about how many
-- readings it held, null when there was none to drop.
CREATE FUNCTION drop_reading_day(before_at timestamptz) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT SET lock_timeout = '2s'
AS $$
DECLARE
    old record;
BEGIN
    SELECT d.* INTO old FROM reading_days d WHERE d.until_at <= least(before_at, now() - interval '1 day') ORDER BY d.from_at LIMIT 1;
    IF old IS NULL OR EXISTS (
        SELECT FROM device_state s WHERE s.reading_count > s.evaluated_through AND s.due_at < old.until_at) THEN
        RETURN NULL;
    END IF;
    EXECUTE format('DROP TABLE %I', old.name);
    RETURN old.rows_about;
END $$;
