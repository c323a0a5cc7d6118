//! Opening: what is made, what is refused, and what the refusal says.

use pulse_store::PoolSettings;
use pulse_store::sqlite::{OpenError, Sqlite};
use pulse_store::{Database as _, DeliveryStore as _, RegistryStore as _};

use super::raw;
use crate::fixture::*;

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn a_missing_folder_is_made_and_a_database_is_opened_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/pulse.db");
    for round in 0..3 {
        let sqlite = Sqlite::open(&path).await.unwrap();
        let store = sqlite.pool(PoolSettings::default()).await.unwrap();
        assert_eq!(store.tenants(&all()).await.unwrap().items.len(), round);
        let tenant_id = tenant(&format!("t{round}"));
        store.insert_tenant(&pulse_domain::device::Tenant { tenant_id, name: "T".into(), created_at: at(0) }).await.unwrap();
        store.close().await;
    }
    assert!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("check"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_may_open_a_new_database_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulse.db");
    // A handle of its own has a gate of its own, as another process would.
    let opens: Vec<_> = (0..6).map(|_| tokio::spawn(Sqlite::open(path.clone()))).collect();
    for open in opens {
        open.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = Sqlite::open(file.join("data/pulse.db")).await.unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("cannot write to the data folder") && text.contains("file/data"), "{text}");
}

#[tokio::test]
async fn a_folder_in_the_place_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Sqlite::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
    assert!(error.to_string().contains("check its rights and that it is a file"), "{error}");
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulse.db");
    let other = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = sqlx::ConnectOptions::connect(&other).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{}", chain(&error));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulse.db");
    let text = "This is a letter, not a database. ".repeat(200);
    std::fs::write(&path, &text).unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{}", chain(&error));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulse.db");
    let other = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = sqlx::ConnectOptions::connect(&other).await.unwrap();
    sqlx::query("CREATE TABLE places (name TEXT)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{}", chain(&error));
    let mut connection = raw(&path).await;
    assert_eq!(super::number(&mut connection, "SELECT count(*) FROM sqlite_schema").await, 1);
    assert_eq!(super::number(&mut connection, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'delete'").await, 1);
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_to_this_one_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulse.db");
    Sqlite::open(&path).await.unwrap();
    let mut connection = raw(&path).await;
    for back in [
        "ALTER TABLE jobs DROP COLUMN attempt_trace",
        "DELETE FROM _sqlx_migrations WHERE version > 1",
        "INSERT INTO tenants (tenant_id, name, created_at) VALUES ('t1', 'T', 0)",
        "INSERT INTO jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, run_at, created_at, payload)
         VALUES ('t1', randomblob(16), randomblob(16), randomblob(16), randomblob(16), 'integration', 0, 0, '{}')",
    ] {
        sqlx::query(back).execute(&mut connection).await.unwrap();
    }
    let store = Sqlite::open(&path).await.unwrap().pool(PoolSettings::default()).await.unwrap();
    let jobs = store.jobs(&tenant("t1"), &pulse_store::JobFilter::default(), &all()).await.unwrap().items;
    assert_eq!(jobs.iter().map(|job| &job.attempt_trace).collect::<Vec<_>>(), [&None]);
}

#[tokio::test]
async fn a_newer_database_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulse.db");
    Sqlite::open(&path).await.unwrap();
    let mut connection = raw(&path).await;
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', '', TRUE, x'00', 0)").execute(&mut connection).await.unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 9999, .. }), "{error:?}");
    assert!(error.to_string().contains("newer Pulse (schema 9999"), "{error}");
}

#[tokio::test]
async fn a_database_of_an_unreleased_build_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pulse.db");
    Sqlite::open(&path).await.unwrap();
    let mut connection = raw(&path).await;
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00'").execute(&mut connection).await.unwrap();
    let error = Sqlite::open(&path).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { version: 1, .. }), "{error:?}");
}
