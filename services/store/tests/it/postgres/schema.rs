//! The schema's versions: brought about by several at once, refused where they do not fit.

use pulse_store::PoolSettings;
use pulse_store::postgres::{Migrated, Postgres, SchemaError};
use pulse_testbed::postgres::{Cluster, Database, PASSWORD, Settings};

use super::{connect, execute, number};
use crate::fixture::*;

async fn empty() -> (Database, Postgres) {
    let database = Cluster::shared().await.database().await;
    let postgres = Postgres::new(&database.url()).unwrap();
    (database, postgres)
}

/// The version that it was brought to.
async fn known(database: &Database) -> i64 {
    number(&mut connect(&database.url()).await, "SELECT max(version) FROM _sqlx_migrations").await
}

/// An error with all its causes, as a log would have it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn an_empty_database_has_none_until_it_is_migrated() {
    let (database, postgres) = empty().await;
    let missing = postgres.check().await.unwrap_err();
    assert!(matches!(missing, SchemaError::Missing) && missing.is_transient(), "{missing:?}");
    let made = postgres.migrate().await.unwrap();
    assert_eq!(made, Migrated { from: 0, to: known(&database).await });
    postgres.check().await.unwrap();
    assert_eq!(postgres.migrate().await.unwrap(), Migrated { from: made.to, to: made.to }, "there is nothing left to do");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn several_may_migrate_at_once() {
    let (database, postgres) = empty().await;
    let all: Vec<_> = (0..8)
        .map(|_| {
            let postgres = postgres.clone();
            tokio::spawn(async move { postgres.migrate().await })
        })
        .collect();
    for one in all {
        let migrated = one.await.unwrap().unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(migrated.to, known(&database).await);
    }
    postgres.check().await.unwrap();
    let mut connection = connect(&database.url()).await;
    let versions = number(&mut connection, "SELECT count(*) FROM _sqlx_migrations").await;
    assert_eq!(versions, number(&mut connection, "SELECT count(*) FROM _sqlx_migrations WHERE success").await);
    assert_eq!(number(&mut connection, "SELECT count(*) FROM tenants").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn databases_of_one_server_are_migrated_at_the_same_moment_and_share_the_roles() {
    // A server that has never seen the roles.
    let cluster = Cluster::start(Settings::default()).await;
    let mut databases = Vec::new();
    for _ in 0..4 {
        databases.push(cluster.database().await);
    }
    let all: Vec<_> = (databases.iter())
        .map(|database| {
            let postgres = Postgres::new(&database.url()).unwrap();
            tokio::spawn(async move { postgres.migrate().await })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap_or_else(|error| panic!("{}", chain(&error)));
    }
    for database in &databases {
        let granted = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pulse\\_%' AND has_table_privilege(oid, 'alerts', 'SELECT')";
        assert_eq!(number(&mut connect(&database.url()).await, granted).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn an_older_schema_is_to_be_migrated() {
    let db = Db::postgres().await;
    let postgres = Postgres::new(&db.server().url_of("pulse_worker").await).unwrap();
    postgres.check().await.unwrap();
    let mut superuser = db.server().connect().await;
    let needed = number(&mut superuser, "SELECT max(version) FROM _sqlx_migrations").await;
    execute(&mut superuser, &format!("DELETE FROM _sqlx_migrations WHERE version = {needed}")).await.unwrap();
    let older = postgres.check().await.unwrap_err();
    let found = needed - 1;
    assert!(matches!(older, SchemaError::Older { found: f, needed: n } if (f, n) == (found, needed)), "{older:?}");
    assert!(older.is_transient() && older.to_string().contains("pulse migrate"), "{older}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_newer_schema_says_whether_this_version_can_live_with_it() {
    let db = Db::postgres().await;
    let service = Postgres::new(&db.server().url_of("pulse_api").await).unwrap();
    let owner = Postgres::new(&db.server().database.url()).unwrap();
    let running = db.server().store_of("pulse_api").await;
    let mut superuser = db.server().connect().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'newer', true, 'x', 1)";
    execute(&mut superuser, newer).await.unwrap();

    // The services go on, so that versions can run side by side; this one does not touch the schema.
    service.check().await.unwrap();
    let refused = owner.migrate().await.unwrap_err();
    assert!(matches!(refused, SchemaError::Newer { found: 99, known } if known < 99), "{refused:?}");
    running.ping().await.unwrap();

    execute(&mut superuser, "UPDATE schema_compatibility SET oldest_version = 99").await.unwrap();
    let refused = service.check().await.unwrap_err();
    assert!(matches!(refused, SchemaError::Newer { found: 99, .. }) && !refused.is_transient(), "{refused:?}");
    assert!(refused.to_string().contains("newer Pulse"), "{refused}");
    let noticed = running.ping().await.unwrap_err();
    assert!(noticed.kind() == "schema_newer" && chain(&noticed).contains("newer Pulse"), "{noticed:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_schema_of_another_build_is_foreign() {
    let db = Db::postgres().await;
    execute(&mut db.server().connect().await, "UPDATE _sqlx_migrations SET checksum = 'other' WHERE version = 2").await.unwrap();
    let foreign = Postgres::new(&db.server().database.url()).unwrap().migrate().await.unwrap_err();
    assert!(matches!(foreign, SchemaError::Foreign { version: 2 }), "{foreign:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn only_the_owner_migrates() {
    let (database, _) = empty().await;
    Cluster::shared().await.execute(&format!("CREATE ROLE passer_by LOGIN PASSWORD '{PASSWORD}'")).await;
    let passer_by = Postgres::new(&database.url_as("passer_by")).unwrap();
    let db = Db::postgres().await;
    let service = Postgres::new(&db.server().url_of("pulse_worker").await).unwrap();
    for refused in [passer_by.migrate().await.unwrap_err(), service.migrate().await.unwrap_err()] {
        assert!(matches!(refused, SchemaError::NotOwner(_)) && !refused.is_transient(), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn who_is_not_let_in_learns_why_and_no_secret_is_told() {
    let mut cluster = Cluster::start(Settings::default()).await;
    let right = cluster.admin_url("postgres");
    assert!(matches!(Postgres::new(&right).unwrap().check().await, Err(SchemaError::Missing)));
    let wrong = [right.replace(PASSWORD, "a-guessed-secret"), cluster.admin_url("no_such_database"), cluster.url_as("ghost", "postgres")];
    for url in wrong {
        let postgres = Postgres::new(&url).unwrap();
        for refused in [postgres.check().await.unwrap_err(), postgres.migrate().await.unwrap_err()] {
            assert!(matches!(refused, SchemaError::Refused(_)) && !refused.is_transient(), "{refused:?}");
            for text in
                [chain(&refused), format!("{refused:?}"), format!("{postgres:?} {:?}", postgres.pool("test", PoolSettings::default()))]
            {
                assert!(!text.contains("a-guessed-secret") && !text.contains(PASSWORD), "{text}");
            }
        }
    }
    cluster.stop().await;
    let away = Postgres::new(&right).unwrap().check().await.unwrap_err();
    assert!(matches!(away, SchemaError::Unreachable(_)) && away.is_transient(), "{away:?}");
    cluster.restart().await;
    assert!(matches!(Postgres::new(&right).unwrap().check().await, Err(SchemaError::Missing)), "it was only away");
}
