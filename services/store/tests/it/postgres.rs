//! What is PostgreSQL's own: roles, the schema, locks between connections, TLS.

mod access;
mod api;
mod connections;
mod races;
mod schema;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use pulse_store::postgres::Postgres;
use pulse_store::{PoolSettings, SharedStore};
use pulse_testbed::pgbouncer::PgBouncer;
use pulse_testbed::postgres::{ADMIN, Cluster, Database, PASSWORD};
use pulse_testbed::proxy::Proxy;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};

/// A test's database, with this version's schema.
pub(crate) struct Server {
    database: Database,
}

impl Server {
    pub(crate) async fn new() -> Self {
        let migrate = async |url: String| {
            Postgres::new(&url).unwrap().migrate().await.unwrap();
        };
        Self { database: Cluster::shared().await.database_from("schema", migrate).await }
    }

    /// A login role of this database alone that is a member of `role`, for a service.
    async fn login(&self, role: &str) -> String {
        let login = format!("{}_{role}", self.database.name());
        let make = format!(
            "DO $$ BEGIN CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}' IN ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        );
        self.database.execute(&make).await;
        login
    }

    /// The URL for a service in this role.
    pub(crate) async fn url_of(&self, role: &str) -> String {
        self.database.url_as(&self.login(role).await)
    }

    /// The same through a network that can fail.
    async fn url_through(&self, network: &Proxy, role: &str) -> String {
        self.database.url_as_at(&self.login(role).await, network.port())
    }

    /// A store for a service in this role.
    pub(crate) async fn store_of(&self, role: &str) -> SharedStore {
        store(&self.url_of(role).await, PoolSettings::default())
    }

    /// The same behind a pooler, set up as docs/operations.md says for one that cannot keep prepared statements.
    pub(crate) async fn pooled_store_of(&self, role: &str) -> SharedStore {
        let url = self.database.url_as_at(&self.login(role).await, PgBouncer::shared().await.port());
        store(&format!("{url}?statement-cache-capacity=0"), PoolSettings::default())
    }

    /// A connection in this role, for queries by hand.
    async fn connect_as(&self, role: &str) -> PgConnection {
        connect(&self.url_of(role).await).await
    }

    /// A connection of the superuser's.
    async fn connect(&self) -> PgConnection {
        connect(&self.database.url_as(ADMIN)).await
    }
}

fn store(url: &str, settings: PoolSettings) -> SharedStore {
    Arc::new(Postgres::new(url).unwrap().pool("test", settings))
}

async fn connect(url: &str) -> PgConnection {
    url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().connect().await.unwrap()
}

/// The one number that a query answers.
async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await;
    row.unwrap_or_else(|error| panic!("{sql}: {error}")).get(0)
}

/// The texts of a query's first column.
async fn texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await;
    rows.unwrap_or_else(|error| panic!("{sql}: {error}")).iter().map(|row| row.get(0)).collect()
}

/// Runs statements; how many rows they changed.
async fn execute(connection: &mut PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|done| done.rows_affected())
}

/// The server's code for a refusal; none when it was none.
async fn refusal(connection: &mut PgConnection, sql: &str) -> Option<String> {
    let error = execute(connection, sql).await.err()?;
    Some(error.as_database_error().and_then(|failure| failure.code()).unwrap_or_else(|| panic!("{sql}: {error}")).into_owned())
}

/// Waits until this many connections of the database wait for a lock.
async fn until_waiting(connection: &mut PgConnection, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        // A transaction goes on showing what it first saw of the others.
        execute(connection, "SELECT pg_stat_clear_snapshot()").await.unwrap();
        let found = number(connection, waiting).await;
        if found == count {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found} wait, not {count}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
