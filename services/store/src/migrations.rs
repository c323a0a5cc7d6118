//! The migrations, embedded in the program.
//!
//! sqlx's `migrate!` would do the same, but its crate of macros is compiled with a second copy of SQLite and of most of sqlx.

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A migration: its version, its name and its text.
type File = (i64, &'static str, &'static str);

pub(crate) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[
        (1, "tables", include_str!("../migrations/postgres/0001_tables.sql")),
        (2, "readings", include_str!("../migrations/postgres/0002_readings.sql")),
        (3, "access", include_str!("../migrations/postgres/0003_access.sql")),
    ])
});

pub(crate) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[
        (1, "initial", include_str!("../migrations/sqlite/0001_initial.sql")),
        (2, "attempt_trace", include_str!("../migrations/sqlite/0002_attempt_trace.sql")),
    ])
});

/// What sqlx makes of the files when it reads them from their folder: the checksum that a database keeps is the text's.
fn migrator(files: &[File]) -> Migrator {
    let migrations = files.iter().map(|&(version, name, text)| {
        let no_transaction = text.starts_with("-- no-transaction");
        Migration::new(version, name.replace('_', " ").into(), MigrationType::Simple, text.into_sql_str(), no_transaction)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parts(migrator: &Migrator) -> Vec<(i64, String, Vec<u8>, bool)> {
        migrator.iter().map(|one| (one.version, one.description.to_string(), one.checksum.to_vec(), one.no_tx)).collect()
    }

    #[tokio::test]
    async fn every_file_of_the_folders_is_embedded_as_sqlx_reads_it() {
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        for (folder, embedded) in [("postgres", &*POSTGRES), ("sqlite", &*SQLITE)] {
            let read = Migrator::new(migrations.join(folder)).await.unwrap();
            assert_eq!(parts(embedded), parts(&read), "{folder}");
        }
    }
}
