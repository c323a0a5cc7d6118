//! The statements that run all the time find their rows by index, in order, whatever the tables hold.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

use super::{Sqlite, changes, delivery, dispatch, evaluation, ingest, ops};

/// What runs with every batch or cycle.
const HOT: [(&str, &str); 20] = [
    ("append", ingest::APPEND),
    ("claim devices", evaluation::CLAIM),
    ("load devices", evaluation::LOAD),
    ("write states", evaluation::WRITE_STATES),
    ("find held", evaluation::HELD),
    ("close alerts", changes::CLOSE),
    ("update alerts", changes::UPDATE),
    ("open alerts", changes::OPEN),
    ("claim events", dispatch::CLAIM),
    ("load routes", dispatch::ROUTES),
    ("finish events", dispatch::FINISH),
    ("make jobs", dispatch::MAKE_JOBS),
    ("claim jobs", delivery::CLAIM),
    ("log attempts", delivery::LOG),
    ("finish jobs", delivery::FINISH),
    ("candidates", ops::CANDIDATES),
    ("escalate", ops::ESCALATE),
    ("expire jobs", ops::EXPIRE_JOBS),
    ("purge readings", ops::PURGE_READINGS),
    ("history", ingest::HISTORY),
];

/// What SQLite says it will do, step by step, for each statement of the text.
async fn plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let mut steps = Vec::new();
    for statement in sql.split(';') {
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"))).fetch_all(&mut *connection).await.unwrap();
        steps.extend(rows.iter().map(|row| row.get::<String, _>("detail")));
    }
    steps
}

#[tokio::test]
async fn hot_statements_neither_scan_tables_nor_sort() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(sqlite.path()).connect().await.unwrap();
    let mut faults = Vec::new();
    for (name, sql) in HOT {
        let steps = plan(&mut connection, sql).await;
        for step in &steps {
            // What is listed (the batch's JSON, an index from its head, a subquery) may be scanned; a table may not.
            // `c` and `chain` are the readings of one device, walked back.
            let harmless = ["SCAN chain", "VIRTUAL TABLE", "USING INDEX", "USING COVERING INDEX", "SUBQUERY", "(subquery", "CONSTANT ROW"];
            let scans = step.starts_with("SCAN ") && step != "SCAN c" && !harmless.iter().any(|harmless| step.contains(harmless));
            // The second would be an index built for one use, the third a sort.
            if scans || step.contains("AUTOMATIC") || step.contains("TEMP B-TREE FOR ORDER BY") {
                faults.push(format!("{name}: {steps:#?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
