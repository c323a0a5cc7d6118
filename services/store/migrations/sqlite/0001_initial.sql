-- Times are microseconds since 1970 in UTC, ids are the 16 bytes of a UUID, lists and objects are JSON text.
-- tenant_id leads every key and index, but for those of the queues that serve all tenants at once.

CREATE TABLE tenants (
    tenant_id     TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    -- Grows with every change of the tenant's rules, so that evaluators know when to compile them again.
    rules_version INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Pulse itself: the alerts about its own services belong to it.
INSERT INTO tenants (tenant_id, name, created_at) VALUES ('pulse-system', 'Pulse itself', 0);

CREATE TABLE devices (
    tenant_id   TEXT    NOT NULL REFERENCES tenants (tenant_id),
    device_id   TEXT    NOT NULL,
    site_id     TEXT    NOT NULL,
    device_type TEXT    NOT NULL,
    group_ids   TEXT    NOT NULL,
    lifecycle   TEXT    NOT NULL,
    token_hash  BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, device_id)
) STRICT, WITHOUT ROWID;

-- What changes with every message and judgement, apart from `devices` so that the hot rows stay small.
CREATE TABLE device_state (
    tenant_id         TEXT    NOT NULL,
    device_id         TEXT    NOT NULL,
    status            TEXT    NOT NULL DEFAULT 'UNKNOWN',
    last_seen         INTEGER,
    -- The end of the device's chain of readings, and how many it has had.
    last_reading_id   INTEGER NOT NULL DEFAULT 0,
    reading_count     INTEGER NOT NULL DEFAULT 0,
    evaluated_through INTEGER NOT NULL DEFAULT 0,
    -- When an evaluator must next look: receipt of the oldest reading that is not yet evaluated, or the next check for silence.
    due_at            INTEGER,
    lease_id          BLOB,
    lease_until       INTEGER,
    memory            TEXT    NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, device_id),
    FOREIGN KEY (tenant_id, device_id) REFERENCES devices (tenant_id, device_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX device_state_due ON device_state (due_at) WHERE due_at IS NOT NULL;

-- A log in the order of arrival, so that a batch from all over the fleet is written to neighbouring pages: keyed by device, each row
-- would write a page of its own. A device's readings are a chain from `last_reading_id` back, which ends where a reading was purged.
-- A reading's id is at least its receipt in microseconds.
CREATE TABLE readings (
    reading_id  INTEGER NOT NULL PRIMARY KEY,
    previous_id INTEGER NOT NULL,
    tenant_id   TEXT    NOT NULL,
    device_id   TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    ts          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    site_id     TEXT    NOT NULL,
    seq         INTEGER,
    metrics     TEXT    NOT NULL,
    trace       TEXT
) STRICT;

-- Readings, each also as one JSON array: how a claim takes many at once. Names, kinds and traces are put between quotes as they are,
-- since only such are kept as need no more; metrics are JSON already.
CREATE VIEW packed_readings AS
SELECT *, '[' || reading_id || ',"' || kind || '",' || ts || ',' || received_at || ',"' || site_id || '",' || coalesce(seq, 'null') || ','
    || metrics || ',' || coalesce('"' || trace || '"', 'null') || ']' AS packed
FROM readings;

-- The last number that was given out.
CREATE TABLE sequences (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sequences (name, value) VALUES ('readings', 0);

-- About every 64th reading of each device: where to step into a long chain.
CREATE TABLE milestones (
    tenant_id   TEXT    NOT NULL,
    device_id   TEXT    NOT NULL,
    reading_id  INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, device_id, reading_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER milestones_set AFTER UPDATE OF reading_count ON device_state
WHEN NEW.reading_count / 64 > OLD.reading_count / 64 BEGIN
    INSERT INTO milestones (tenant_id, device_id, reading_id, received_at)
    VALUES (NEW.tenant_id, NEW.device_id, NEW.last_reading_id, NEW.last_seen);
END;
CREATE TRIGGER milestones_removed AFTER DELETE ON readings BEGIN
    DELETE FROM milestones WHERE tenant_id = OLD.tenant_id AND device_id = OLD.device_id AND reading_id = OLD.reading_id;
END;

CREATE TABLE ingest_progress (
    instance        TEXT    NOT NULL PRIMARY KEY,
    up_since        INTEGER NOT NULL,
    durable_through INTEGER NOT NULL,
    reported_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rules (
    tenant_id  TEXT    NOT NULL REFERENCES tenants (tenant_id),
    rule_id    BLOB    NOT NULL,
    enabled    INTEGER NOT NULL,
    spec       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    error      TEXT,
    PRIMARY KEY (tenant_id, rule_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    tenant_id        TEXT    NOT NULL REFERENCES tenants (tenant_id),
    alert_id         BLOB    NOT NULL,
    fingerprint      TEXT    NOT NULL,
    -- The service's name for an alert about Pulse itself, so there is no reference to `devices`.
    device_id        TEXT    NOT NULL,
    site_id          TEXT    NOT NULL,
    alert_type       TEXT    NOT NULL,
    rule_id          BLOB,
    severity         INTEGER NOT NULL,
    -- By how many steps escalations have raised the severity above the judged one.
    raised           INTEGER NOT NULL DEFAULT 0,
    -- A JSON number, since SQLite's own text of a REAL has fewer digits.
    confidence       TEXT    NOT NULL,
    summary          TEXT    NOT NULL,
    details          TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    acknowledged_at  INTEGER,
    acknowledged_by  TEXT,
    closed_at        INTEGER,
    escalation_level INTEGER NOT NULL,
    silenced_until   INTEGER,
    -- The latest event. Whoever writes event_id appends the event: see the triggers below.
    event_id         BLOB    NOT NULL,
    event_kind       TEXT    NOT NULL,
    event_at         INTEGER NOT NULL,
    event_origin_at  INTEGER,
    event_trace      TEXT,
    PRIMARY KEY (tenant_id, alert_id)
) STRICT, WITHOUT ROWID;

-- One alert that is not closed per fingerprint.
CREATE UNIQUE INDEX alerts_open_fingerprint ON alerts (tenant_id, fingerprint) WHERE status <> 'CLOSED';
CREATE INDEX alerts_open ON alerts (tenant_id, alert_id) WHERE status <> 'CLOSED';
CREATE INDEX alerts_open_device ON alerts (tenant_id, device_id) WHERE status <> 'CLOSED';
CREATE INDEX alerts_device ON alerts (tenant_id, device_id, alert_id);
CREATE INDEX alerts_escalation ON alerts (alert_id) WHERE status = 'OPEN';
CREATE INDEX alerts_closed ON alerts (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE silences (
    tenant_id   TEXT    NOT NULL REFERENCES tenants (tenant_id),
    fingerprint TEXT    NOT NULL,
    device_id   TEXT    NOT NULL,
    until       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE INDEX silences_device ON silences (tenant_id, device_id);

-- Alerts, each also as one JSON object: how they are read, and what their events keep of them.
CREATE VIEW alert_snapshots AS
SELECT *, json_object(
    'tenant_id', tenant_id,
    'alert_id', hex(alert_id),
    'fingerprint', fingerprint,
    'device_id', device_id,
    'site_id', site_id,
    'alert_type', alert_type,
    'rule_id', CASE WHEN rule_id IS NOT NULL THEN hex(rule_id) END,
    'severity', severity,
    'confidence', json(confidence),
    'summary', summary,
    'details', json(details),
    'status', status,
    'created_at', created_at,
    'updated_at', updated_at,
    'acknowledged_at', acknowledged_at,
    'acknowledged_by', acknowledged_by,
    'closed_at', closed_at,
    'escalation_level', escalation_level,
    'silenced_until', silenced_until
) AS snapshot
FROM alerts;

-- The dispatcher's queue, in the order of the commits, and an alert's history.
CREATE TABLE alert_events (
    seq           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tenant_id     TEXT    NOT NULL,
    event_id      BLOB    NOT NULL,
    alert_id      BLOB    NOT NULL,
    kind          TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    origin_at     INTEGER,
    trace         TEXT,
    alert         TEXT    NOT NULL,
    dispatched_at INTEGER,
    lease_id      BLOB,
    lease_until   INTEGER
) STRICT;

CREATE UNIQUE INDEX alert_events_id ON alert_events (tenant_id, event_id);
CREATE INDEX alert_events_alert ON alert_events (tenant_id, alert_id, seq);
CREATE INDEX alert_events_pending ON alert_events (seq) WHERE dispatched_at IS NULL;
CREATE INDEX alert_events_dispatched ON alert_events (dispatched_at) WHERE dispatched_at IS NOT NULL;

-- An event is appended where the change is made, so that no statement can make one without the other.
CREATE TRIGGER alerts_opened AFTER INSERT ON alerts BEGIN
    INSERT INTO alert_events (tenant_id, event_id, alert_id, kind, at, origin_at, trace, alert)
    SELECT NEW.tenant_id, NEW.event_id, NEW.alert_id, NEW.event_kind, NEW.event_at, NEW.event_origin_at, NEW.event_trace, snapshot
    FROM alert_snapshots WHERE tenant_id = NEW.tenant_id AND alert_id = NEW.alert_id;
END;
CREATE TRIGGER alerts_changed AFTER UPDATE OF event_id ON alerts BEGIN
    INSERT INTO alert_events (tenant_id, event_id, alert_id, kind, at, origin_at, trace, alert)
    SELECT NEW.tenant_id, NEW.event_id, NEW.alert_id, NEW.event_kind, NEW.event_at, NEW.event_origin_at, NEW.event_trace, snapshot
    FROM alert_snapshots WHERE tenant_id = NEW.tenant_id AND alert_id = NEW.alert_id;
END;

CREATE TABLE integrations (
    tenant_id      TEXT    NOT NULL REFERENCES tenants (tenant_id),
    integration_id BLOB    NOT NULL,
    name           TEXT    NOT NULL,
    enabled        INTEGER NOT NULL,
    queue          TEXT    NOT NULL,
    destination    TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, integration_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE routes (
    tenant_id      TEXT    NOT NULL,
    route_id       BLOB    NOT NULL,
    integration_id BLOB    NOT NULL,
    enabled        INTEGER NOT NULL,
    spec           TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, route_id),
    FOREIGN KEY (tenant_id, integration_id) REFERENCES integrations (tenant_id, integration_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX routes_integration ON routes (tenant_id, integration_id);

CREATE TABLE policies (
    tenant_id    TEXT    NOT NULL REFERENCES tenants (tenant_id),
    policy_id    BLOB    NOT NULL,
    enabled      INTEGER NOT NULL,
    min_severity INTEGER NOT NULL,
    spec         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, policy_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_tokens (
    token_hash BLOB    NOT NULL PRIMARY KEY,
    token_id   BLOB    NOT NULL,
    tenant_id  TEXT REFERENCES tenants (tenant_id),
    role       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_tokens_id ON api_tokens (tenant_id, token_id);

CREATE TABLE jobs (
    tenant_id      TEXT    NOT NULL REFERENCES tenants (tenant_id),
    job_id         BLOB    NOT NULL,
    event_id       BLOB    NOT NULL,
    route_id       BLOB    NOT NULL,
    integration_id BLOB    NOT NULL,
    queue          TEXT    NOT NULL,
    state          TEXT    NOT NULL DEFAULT 'PENDING',
    attempts       INTEGER NOT NULL DEFAULT 0,
    run_at         INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER,
    origin_at      INTEGER,
    trace          TEXT,
    last_error     TEXT,
    lease_id       BLOB,
    lease_until    INTEGER,
    payload        TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, job_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX jobs_once ON jobs (tenant_id, event_id, route_id);
CREATE INDEX jobs_pending ON jobs (queue, run_at, job_id, integration_id) WHERE state = 'PENDING';
CREATE INDEX jobs_leased ON jobs (lease_until, queue, run_at) WHERE state = 'LEASED';
CREATE INDEX jobs_undelivered ON jobs (tenant_id, job_id) WHERE state <> 'DELIVERED';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE attempts (
    tenant_id   TEXT    NOT NULL,
    job_id      BLOB    NOT NULL,
    -- Attempts of a replayed job count from 1 again, so the time is what tells them apart.
    started_at  INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    error       TEXT,
    http_status INTEGER,
    detail      TEXT,
    PRIMARY KEY (tenant_id, job_id, started_at, attempt),
    FOREIGN KEY (tenant_id, job_id) REFERENCES jobs (tenant_id, job_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
