//! Who may do what: the API's role sees one tenant, whatever its query says, and neither role changes the schema.

use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, NewJob, Verdict};
use pulse_store::AttemptRecord;
use pulse_testbed::postgres::{Cluster, PASSWORD};
use sqlx::PgConnection;

use super::{execute, number, refusal, texts};
use crate::fixture::*;
use crate::tenants::{Estate, estate};

const API: &str = "pulse_api";
const WORKER: &str = "pulse_worker";
/// "insufficient privilege": what row-level security says too.
const DENIED: Option<&str> = Some("42501");

/// Every table that says whose its rows are; partitions count as their table.
const TENANTS_TABLES: &str = "
    SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1";

/// Two tenants that have something in every table.
async fn two_tenants() -> (Db, Vec<String>) {
    let db = Db::postgres().await;
    for name in ["t1", "t2"] {
        let estate = estate(&db, name).await;
        db.silence_alert(&estate.tenant_id, estate.alert.alert_id, at(99)).await.unwrap();
        with_jobs(&db, &estate).await;
        // An event that nobody has dispatched.
        db.acknowledge_alert(&estate.tenant_id, estate.alert.alert_id, "ann", at(6), &Default::default()).await.unwrap();
    }
    let mut superuser = db.server().connect().await;
    let tables = texts(&mut superuser, TENANTS_TABLES).await;
    assert!(tables.len() >= 16, "{tables:?}");
    for table in &tables {
        for tenant in ["t1", "t2"] {
            let own = number(&mut superuser, &format!("SELECT count(*) FROM {table} WHERE tenant_id = '{tenant}'")).await;
            assert!(own > 0, "{tenant} has nothing in {table}: the test would prove nothing of it");
        }
    }
    (db, tables)
}

/// A job that waits and one that is dead after an attempt.
async fn with_jobs(db: &Db, estate: &Estate) {
    let events = db.claim_events(claim(at(3))).await.unwrap();
    let event = events.events.iter().find(|event| event.alert.tenant_id == estate.tenant_id).unwrap();
    let other_route = route(&estate.tenant_id, estate.route.spec.integration_id);
    db.insert_route(&other_route).await.unwrap();
    let dead = NewJob { event_id: event.event_id, ..job(&estate.route, at(3)) };
    let waiting = NewJob { event_id: event.event_id, run_at: at(500), ..job(&other_route, at(3)) };
    let done = [(estate.tenant_id.clone(), event.event_id)];
    assert_eq!(db.commit_dispatch(events.lease, &done, &[dead, waiting], at(3)).await.unwrap().jobs, 2);
    let claimed = db.claim_jobs(Queue::Integration, claim(at(4)), &[]).await.unwrap();
    let job_id = claimed.jobs.first().unwrap().job.job_id;
    let attempt = Attempt { job_id, attempt: 1, started_at: at(4), finished_at: at(5), error: None, http_status: None, detail: None };
    let record = AttemptRecord { tenant_id: estate.tenant_id.clone(), lease: claimed.lease, attempt, verdict: Verdict::Dead, trace: None };
    assert_eq!(db.record_attempts(&[record], at(5)).await.unwrap().lost, [0; 0]);
}

/// Runs a statement in a transaction that is rolled back; how many rows it changed, or the code of its refusal.
async fn tried(connection: &mut PgConnection, tenant: Option<&str>, sql: &str) -> Result<u64, String> {
    let tenant = tenant.map(|tenant| format!("; SET LOCAL pulse.tenant_id = '{tenant}'")).unwrap_or_default();
    execute(connection, &format!("BEGIN{tenant}")).await.unwrap();
    let done = execute(connection, sql).await;
    execute(connection, "ROLLBACK").await.unwrap();
    done.map_err(|error| error.as_database_error().and_then(|failure| failure.code()).unwrap_or_else(|| panic!("{sql}: {error}")).into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_api_reads_one_tenants_rows_whatever_it_asks_for() {
    let (db, tables) = two_tenants().await;
    let mut api = db.server().connect_as(API).await;
    for table in &tables {
        for (tenant, is_its_own) in [(None, false), (Some("t9"), false), (Some("*"), false), (Some("t1"), true)] {
            let all = tried(&mut api, tenant, &format!("SELECT FROM {table}")).await.unwrap();
            assert_eq!(all > 0, is_its_own, "{table} as {tenant:?}");
            let theirs = format!("SELECT FROM {table} WHERE tenant_id = 't2' OR tenant_id IS DISTINCT FROM 't1'");
            assert_eq!(tried(&mut api, tenant, &theirs).await, Ok(0), "{table} as {tenant:?}");
        }
    }
    let beside = "SELECT FROM devices mine JOIN devices theirs ON theirs.tenant_id <> mine.tenant_id";
    assert_eq!(tried(&mut api, Some("t1"), beside).await, Ok(0));
    // What a condition of the query's own tells of the rows that it is asked about.
    let spying = "CREATE FUNCTION pg_temp.spy(text) RETURNS boolean COST 0.0001 LANGUAGE plpgsql
            AS $$ BEGIN IF $1 <> 't1' THEN RAISE 'seen: %', $1; END IF; RETURN true; END $$;
        SELECT FROM devices WHERE pg_temp.spy(tenant_id)";
    tried(&mut api, Some("t1"), spying).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_api_changes_one_tenants_rows_whatever_it_asks_for() {
    let (db, tables) = two_tenants().await;
    let mut api = db.server().connect_as(API).await;
    for table in &tables {
        for tenant in [None, Some("t1")] {
            for sql in [
                format!("UPDATE {table} SET tenant_id = tenant_id WHERE tenant_id = 't2'"),
                format!("DELETE FROM {table} WHERE tenant_id = 't2'"),
                format!("SELECT FROM {table} WHERE tenant_id = 't2' FOR UPDATE"),
            ] {
                let done = tried(&mut api, tenant, &sql).await;
                assert!(matches!(done, Ok(0)) || done.as_ref().err().map(String::as_str) == DENIED, "{sql}: {done:?}");
            }
        }
        // A row of one's own cannot be given to another, nor one be made for it.
        let columns = texts(
            &mut api,
            &format!(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND attidentity = '' ORDER BY attnum"
            ),
        )
        .await;
        let values = columns.iter().map(|column| if column == "tenant_id" { "'t2'" } else { column }).collect::<Vec<_>>().join(", ");
        for sql in [
            format!("UPDATE {table} SET tenant_id = 't2'"),
            format!("INSERT INTO {table} ({}) SELECT {values} FROM {table}", columns.join(", ")),
        ] {
            let done = tried(&mut api, Some("t1"), &sql).await;
            assert_eq!(done.as_ref().err().map(String::as_str), DENIED, "{sql}: {done:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn every_table_with_a_tenant_is_behind_the_wall() {
    let db = Db::postgres().await;
    let mut superuser = db.server().connect().await;
    let open = format!("SELECT relname::text FROM pg_class WHERE NOT relrowsecurity AND relname = ANY(ARRAY({TENANTS_TABLES}))");
    assert_eq!(texts(&mut superuser, &open).await, Vec::<String>::new());
    let tables = number(&mut superuser, &format!("SELECT count(*) FROM ({TENANTS_TABLES}) t")).await;
    for role in [API, WORKER] {
        let policies = format!("SELECT count(*) FROM pg_policy WHERE polroles = ARRAY['{role}'::regrole::oid]");
        assert_eq!(number(&mut superuser, &policies).await, tables, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn partitions_are_read_through_their_table() {
    let (db, _) = two_tenants().await;
    let mut superuser = db.server().connect().await;
    let partitions = texts(&mut superuser, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'readings'::regclass").await;
    assert!(partitions.len() > 1, "{partitions:?}");
    let mut api = db.server().connect_as(API).await;
    for partition in partitions {
        for sql in ["SELECT FROM", "DELETE FROM", "TRUNCATE", "DROP TABLE"].map(|what| format!("{what} {partition}")) {
            assert_eq!(refusal(&mut api, &sql).await.as_deref(), DENIED, "{sql}");
        }
    }
}

/// What neither role may do, by any way that comes to mind.
const FORBIDDEN: &[&str] = &[
    "CREATE TABLE mine (x text)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "CREATE INDEX mine ON devices (site_id)",
    "CREATE TRIGGER mine AFTER INSERT ON alerts EXECUTE FUNCTION append_events_of_opened()",
    "CREATE POLICY mine ON devices USING (true)",
    "CREATE OR REPLACE FUNCTION find_token(hash bytea) RETURNS SETOF api_tokens LANGUAGE sql AS 'SELECT * FROM api_tokens'",
    "CREATE ROLE mine",
    "CREATE EXTENSION dblink",
    "ALTER TABLE devices ADD COLUMN mine text",
    "ALTER TABLE devices DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE devices DISABLE TRIGGER ALL",
    "ALTER TABLE devices OWNER TO pulse_api",
    "ALTER TABLE readings DETACH PARTITION readings_other",
    "ALTER POLICY own_tenant ON devices USING (true)",
    "ALTER FUNCTION fleet() SECURITY INVOKER",
    "ALTER ROLE pulse_api BYPASSRLS",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "DROP TABLE devices CASCADE",
    "DROP POLICY own_tenant ON devices",
    "DROP FUNCTION fleet()",
    "DROP TRIGGER alerts_opened ON alerts",
    "TRUNCATE devices CASCADE",
    "COPY devices TO PROGRAM 'cat'",
    "COPY devices FROM '/etc/passwd'",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET session_replication_role = 'replica'",
    "SET row_security = off; SELECT FROM devices",
    "INSERT INTO readings SELECT * FROM readings",
    "UPDATE readings SET seq = 1",
    "UPDATE schema_compatibility SET oldest_version = 99",
    "DELETE FROM _sqlx_migrations",
];

/// Rights that neither role may pass on.
const GIVEN_AWAY: [&str; 4] = [
    "GRANT SELECT ON readings_other TO PUBLIC",
    "GRANT SELECT ON readings_other TO pulse_api",
    "GRANT ALL ON devices TO PUBLIC",
    "GRANT pulse_worker TO pulse_api",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn neither_role_changes_the_schema_or_its_own_rights() {
    let (db, _) = two_tenants().await;
    let of_the_other = [(API, WORKER, &["SELECT make_reading_days(now(), 1)", "SELECT drop_reading_day(now())"][..]), (WORKER, API, &[])];
    for (role, other, more) in of_the_other {
        let mut connection = db.server().connect_as(role).await;
        let other = format!("SET ROLE {other}");
        for sql in FORBIDDEN.iter().chain(more).copied().chain([other.as_str()]) {
            let done = tried(&mut connection, Some("t1"), sql).await;
            assert_eq!(done.as_ref().err().map(String::as_str), DENIED, "{role}: {sql}: {done:?}");
        }
        // These are not for transactions.
        for sql in ["CREATE DATABASE mine", "ALTER SYSTEM SET fsync = off"] {
            assert_eq!(refusal(&mut connection, sql).await.as_deref(), DENIED, "{role}: {sql}");
        }
        // Some of these are only warned of: what they did is asked below, so they are not rolled back.
        for sql in GIVEN_AWAY {
            assert!(matches!(refusal(&mut connection, sql).await.as_deref(), None | DENIED), "{role}: {sql}");
        }
    }
    let mut superuser = db.server().connect().await;
    let given = "SELECT count(*) FROM pg_class, aclexplode(relacl) acl WHERE relnamespace = current_schema()::regnamespace AND grantee = 0";
    assert_eq!(number(&mut superuser, given).await, 0);
    let partitions = format!(
        "SELECT count(*) FROM pg_roles WHERE rolname = '{API}'
        AND has_table_privilege(oid, 'readings_other', 'SELECT')"
    );
    assert_eq!(number(&mut superuser, &partitions).await, 0);
    assert_eq!(number(&mut superuser, &format!("SELECT pg_has_role('{API}', '{WORKER}', 'MEMBER')::int::bigint")).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn functions_with_the_owners_rights_run_nothing_of_their_callers() {
    let db = Db::postgres().await;
    let mut superuser = db.server().connect().await;
    let of_the_owner = "FROM pg_proc WHERE prosecdef AND pronamespace = current_schema()::regnamespace";
    assert!(number(&mut superuser, &format!("SELECT count(*) {of_the_owner}")).await >= 8);
    let astray = format!("SELECT proname::text {of_the_owner} AND NOT 'search_path=public, pg_temp' = ANY(proconfig)");
    assert_eq!(texts(&mut superuser, &astray).await, Vec::<String>::new());
    let public =
        format!("SELECT proname::text {of_the_owner} AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))");
    assert_eq!(texts(&mut superuser, &public).await, Vec::<String>::new());

    // A view of the caller's that has a table's name, and runs what it likes for whoever reads it.
    for role in [API, WORKER] {
        let mut connection = db.server().connect_as(role).await;
        let trap = "CREATE FUNCTION pg_temp.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'sprung as %', current_user; END $$;
            CREATE TEMP VIEW tenants AS SELECT 't'::text AS tenant_id, 'T'::text AS name, now() AS created_at, 0::bigint AS rules_version
            WHERE pg_temp.trap();
            CREATE TEMP VIEW api_tokens AS SELECT * FROM tenants; CREATE TEMP VIEW devices AS SELECT * FROM tenants;
            CREATE TEMP VIEW device_state AS SELECT * FROM tenants";
        execute(&mut connection, trap).await.unwrap();
        assert!(execute(&mut connection, "SELECT FROM pg_temp.tenants").await.is_err(), "it springs where it is read");
        for call in ["fleet()", "list_tenants('', 9)", "find_token('x')", "device_credentials('{t1}', '{d1}')"] {
            execute(&mut connection, &format!("SELECT * FROM {call}")).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn strangers_see_nothing() {
    let (db, tables) = two_tenants().await;
    Cluster::shared().await.execute(&format!("CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'")).await;
    let mut stranger = super::connect(&db.server().database.url_as("stranger")).await;
    let calls = ["fleet()", "list_tenants('', 9)", "find_token('x')", "make_reading_days(now(), 1)", "drop_reading_day(now())"];
    for what in tables.iter().map(String::as_str).chain(calls).chain(["readings_other", "_sqlx_migrations"]) {
        assert_eq!(refusal(&mut stranger, &format!("SELECT FROM {what}")).await.as_deref(), DENIED, "{what}");
    }
}
