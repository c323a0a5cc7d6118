//! The migrations of both databases, embedded in the program. They are listed by hand because sqlx's macro would do it at the price of
//! compiling sqlx and SQLite a second time for the compiler's own use: a sixth of the first build.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The file's name without `.sql`, which is the version and a description, and its text.
type File = (&'static str, &'static str);

const SQLITE: &[File] = &[
    ("0001_initial", include_str!("../migrations/sqlite/0001_initial.sql")),
    ("0002_attempt_trace", include_str!("../migrations/sqlite/0002_attempt_trace.sql")),
];

const POSTGRES: &[File] = &[
    ("0001_tables", include_str!("../migrations/postgres/0001_tables.sql")),
    ("0002_readings", include_str!("../migrations/postgres/0002_readings.sql")),
    ("0003_access", include_str!("../migrations/postgres/0003_access.sql")),
];

/// The migrations of a SQLite database.
pub(crate) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

/// The migrations of a PostgreSQL database.
pub(crate) fn postgres() -> Migrator {
    migrator(POSTGRES)
}

fn migrator(files: &[File]) -> Migrator {
    Migrator::with_migrations(files.iter().map(migration).collect())
}

/// A file whose name has no version is version 0, which the tests refuse.
fn migration(&(name, sql): &File) -> Migration {
    let (version, description) = name.split_once('_').unwrap_or_default();
    let version = version.parse().unwrap_or_default();
    Migration::new(version, Cow::Owned(description.replace('_', " ")), MigrationType::Simple, sql.into_sql_str(), false)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_listed_in_the_order_of_its_version() {
        for (folder, files) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut names: Vec<String> = folder.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            let listed: Vec<String> = files.iter().map(|(name, _)| format!("{name}.sql")).collect();
            assert_eq!(listed, names);
            let versions: Vec<i64> = migrator(files).iter().map(|migration| migration.version).collect();
            assert_eq!(versions, (1..=i64::try_from(files.len()).unwrap()).collect::<Vec<_>>());
        }
    }

    /// What databases in use hold of the migrations: another description or checksum would refuse them.
    #[test]
    fn a_migration_is_what_it_was_when_it_landed() {
        let second = migration(&SQLITE[1]);
        assert_eq!((second.version, &*second.description), (2, "attempt trace"));
        assert_eq!(second.sql.as_str(), SQLITE[1].1);
    }
}
