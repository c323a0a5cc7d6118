//! Statements name the columns that they read. The next version's migration may add one under a running program, whose prepared statement for
//! all columns then has another shape than it had: sqlx's SQLite panics on it and loses the connection, PostgreSQL refuses it from then on.

use std::path::Path;

/// What may say "all": results whose shape no table decides.
const DECIDED_BY_THE_STATEMENT: [&str; 12] = [
    "SELECT * FROM chain ",
    "SELECT c.place, r.*",
    "SELECT * FROM fleet()",
    "SELECT * FROM count_readings(",
    "SELECT * FROM device_credentials(",
    // Read by the rest of the same statement, which names its columns.
    "    RETURNING *)",
    "AND state = 'PENDING' RETURNING *)",
    "AND state = 'DEAD' RETURNING *)",
    "SELECT j.*, $11 FROM (",
    "SELECT *, $8 FROM finished",
    "SELECT a.* FROM unnest(",
    "    RETURNING j.*",
];

/// The lines of a folder's sources that ask for all columns.
fn asking_for_all(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            asking_for_all(&path, found);
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let asks = line.contains("SELECT *") || line.contains(".*") || line.contains("RETURNING *");
            let is_statement = !line.trim_start().starts_with("//") && !line.trim_start().starts_with('.');
            if asks && is_statement && !DECIDED_BY_THE_STATEMENT.iter().any(|fine| line.contains(fine)) {
                found.push(format!("{}: {line}", path.display()));
            }
        }
    }
}

#[test]
fn statements_name_the_columns_that_they_read() {
    let mut found = Vec::new();
    asking_for_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.is_empty(), "{found:#?}");
}
