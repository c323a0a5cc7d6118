//! Clusters: a database a test, crashes, settings, TLS.

use std::sync::atomic::{AtomicU32, Ordering};

use pulse_testbed::postgres::{Cluster, OWNER, Settings};
use sqlx::{Connection as _, Executor as _, Row as _};

use crate::{connect, number};

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn each_test_has_a_copy_of_what_was_filled_once() {
    let cluster = Cluster::shared().await;
    let filled = AtomicU32::new(0);
    let database = async || {
        let fill = async |url: String| {
            filled.fetch_add(1, Ordering::Relaxed);
            let mut connection = connect(&url).await.unwrap();
            connection.execute("CREATE TABLE things (id bigint); INSERT INTO things VALUES (1)").await.unwrap();
            // Left open, as a pool may leave one.
            std::mem::forget(connection);
        };
        cluster.database_from("things", fill).await
    };
    let (one, other) = tokio::join!(database(), database());
    assert_eq!(filled.load(Ordering::Relaxed), 1);
    let mut in_one = connect(&one.url()).await.unwrap();
    in_one.execute("INSERT INTO things VALUES (2)").await.unwrap();
    assert_eq!(number(&mut in_one, "SELECT count(*) FROM things").await, 2);
    let mut in_other = connect(&other.url()).await.unwrap();
    assert_eq!(number(&mut in_other, "SELECT count(*) FROM things").await, 1);

    let role = sqlx::query("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user").fetch_one(&mut in_one).await.unwrap();
    assert_eq!((role.get("rolname"), role.get("rolsuper")), (OWNER, false));

    let name = one.name().to_owned();
    drop(one);
    let mut admin = connect(&cluster.admin_url("postgres")).await.unwrap();
    while sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(&name).fetch_optional(&mut admin).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn what_was_committed_outlives_a_crash_and_what_was_not_does_not() {
    let mut cluster = Cluster::start(Settings::default()).await;
    let database = cluster.database().await;
    let mut connection = connect(&database.url()).await.unwrap();
    connection.execute("CREATE TABLE things (id bigint); INSERT INTO things VALUES (1)").await.unwrap();
    let mut open = connection.begin().await.unwrap();
    open.execute("INSERT INTO things VALUES (2)").await.unwrap();
    let (pid, port) = (cluster.pid(), cluster.port());

    cluster.kill().await;
    assert!(open.commit().await.is_err());
    assert!(connect(&database.url()).await.is_err());

    cluster.restart().await;
    assert!(cluster.log().contains("was not properly shut down"), "{}", cluster.log());
    assert_ne!(cluster.pid(), pid);
    assert_eq!(cluster.port(), port);
    let mut connection = connect(&database.url()).await.unwrap();
    assert_eq!(number(&mut connection, "SELECT sum(id)::bigint FROM things").await, 1);

    cluster.restart().await;
    assert!(cluster.log().contains("database system was shut down at"), "{}", cluster.log());
    assert!(connection.ping().await.is_err(), "the connection was to the server before");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_servers_work_is_counted() {
    let cluster = Cluster::start(Settings::default()).await;
    let mut connection = connect(&cluster.admin_url("postgres")).await.unwrap();
    let before = cluster.cpu_seconds();
    number(&mut connection, "SELECT sum(sqrt(n))::bigint FROM generate_series(1, 3000000) n").await;
    let living = cluster.cpu_seconds();
    assert!(living - before > 0.1, "{before} to {living}");
    // What an ended process has used is not forgotten.
    connection.close().await.unwrap();
    let ended = cluster.cpu_seconds();
    assert!(ended >= living - 0.05, "{living} to {ended}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn durability_is_a_fresh_installations_and_other_settings_are_the_tests() {
    let cluster = Cluster::start(Settings::default().set("max_connections", "7").set("log_statement", "all")).await;
    let mut connection = connect(&cluster.admin_url("postgres")).await.unwrap();
    for (name, value) in [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"), ("max_connections", "7")] {
        let shown = sqlx::query("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await.unwrap();
        assert_eq!(shown.get::<String, _>(0), value, "{name}");
    }
    assert!(cluster.log().contains("current_setting"), "{}", cluster.log());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn with_tls_the_server_proves_itself_and_lets_nobody_in_without() {
    let cluster = Cluster::start(Settings::default().tls()).await;
    let database = cluster.database().await;
    let mut connection = connect(&database.url()).await.unwrap();
    let used = sqlx::query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
    assert!(used.get::<bool, _>(0));

    let (plain, _) = database.url().split_once('?').map(|(url, rest)| (url.to_owned(), rest.to_owned())).unwrap();
    let refused = connect(&format!("{plain}?sslmode=disable")).await.unwrap_err();
    assert!(refused.to_string().contains("no encryption"), "{refused}");
    // Verified against the machine's authorities, who know nothing of this one.
    let refused = connect(&format!("{plain}?sslmode=verify-full")).await.unwrap_err();
    assert!(matches!(refused, sqlx::Error::Tls(_) | sqlx::Error::Io(_)), "{refused:?}");
}
