//! What is SQLite's own, and what needs the whole database to be looked at.

mod cancel;
mod concurrency;
mod crash;
mod database;
mod open;
mod statements;

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};

/// A connection beside the store's, to look at what it wrote.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// The one number that a query answers.
async fn number(connection: &mut SqliteConnection, sql: &'static str) -> i64 {
    sqlx::query(sql).fetch_one(connection).await.unwrap().get(0)
}

/// Nothing is damaged, nothing dangles, every alert has the events that its life implies, and no fingerprint is open twice.
async fn assert_consistent(path: &Path) {
    let mut connection = raw(path).await;
    let check: String = sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(check, "ok");
    assert_eq!(sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut connection).await.unwrap().len(), 0);
    for (what, sql) in [
        (
            "alerts without exactly one OPEN event",
            "SELECT count(*) FROM alerts a WHERE (SELECT count(*) FROM alert_events e
                WHERE e.tenant_id = a.tenant_id AND e.alert_id = a.alert_id AND e.kind = 'OPEN') <> 1",
        ),
        (
            "alerts whose CLOSED events do not fit their status",
            "SELECT count(*) FROM alerts a WHERE (SELECT count(*) FROM alert_events e
                WHERE e.tenant_id = a.tenant_id AND e.alert_id = a.alert_id AND e.kind = 'CLOSED') <> (a.status = 'CLOSED')",
        ),
        (
            "fingerprints open twice",
            "SELECT count(*) FROM (SELECT 1 FROM alerts WHERE status <> 'CLOSED' GROUP BY tenant_id, fingerprint HAVING count(*) > 1)",
        ),
        (
            "devices whose last reading is not the last",
            "SELECT count(*) FROM device_state s WHERE last_reading_id <> coalesce((SELECT max(reading_id) FROM readings r
                WHERE r.tenant_id = s.tenant_id AND r.device_id = s.device_id), 0)",
        ),
        (
            "devices with readings to judge that are not due",
            "SELECT count(*) FROM device_state WHERE last_reading_id > evaluated_through AND due_at IS NULL",
        ),
        (
            "jobs for events that are still on the queue",
            "SELECT count(*) FROM jobs JOIN alert_events USING (event_id) WHERE dispatched_at IS NULL",
        ),
        ("leased jobs without a lease", "SELECT count(*) FROM jobs WHERE (state = 'LEASED') <> (lease_until IS NOT NULL)"),
    ] {
        assert_eq!(number(&mut connection, sql).await, 0, "{what}");
    }
}
