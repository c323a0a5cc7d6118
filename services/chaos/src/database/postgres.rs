//! A PostgreSQL of the scenario's own, and what can befall it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pulse_testbed::postgres::{ADMIN, Cluster, Database, Settings};
use pulse_testbed::proxy::Proxy;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::task::JoinHandle;

/// All backends of this database but the one that says so; waits until they are gone.
const TERMINATE_OTHERS: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// A server with one database.
#[derive(Debug)]
pub struct Postgres {
    // Dropped in this order: the database is dropped on a server that is still there.
    database: Database,
    network: Option<Proxy>,
    cluster: Cluster,
}

impl Postgres {
    /// Starts it with an empty database.
    pub(super) async fn start(through_network: bool) -> Self {
        let cluster = Cluster::start(Settings::default()).await;
        let database = cluster.database().await;
        let network = if through_network { Some(Proxy::start(cluster.port()).await) } else { None };
        Self { database, network, cluster }
    }

    /// As services reach it.
    pub(super) fn url(&self) -> String {
        self.network.as_ref().map_or_else(|| self.database.url(), |network| self.database.url_at(network.port()))
    }

    /// A connection of the superuser's, for which the server always has room.
    async fn admin(&self) -> Result<PgConnection> {
        let options: PgConnectOptions = self.database.url_as(ADMIN).parse()?;
        options.connect().await.context("the superuser is not let in")
    }

    /// One or more statements, as the superuser.
    pub(super) async fn execute(&self, statements: &str) -> Result<()> {
        run(&mut self.admin().await?, statements).await
    }

    /// kill -9 of all its processes; it is away for so long, then recovers.
    pub async fn lose_power(&mut self, away: Duration) {
        self.cluster.kill().await;
        tokio::time::sleep(away).await;
        self.cluster.restart().await;
    }

    /// Ends every connection that the services have; how many.
    pub async fn terminate_backends(&self) -> Result<usize> {
        let ended: Vec<bool> = sqlx::query_scalar(TERMINATE_OTHERS).fetch_all(&mut self.admin().await?).await?;
        Ok(ended.len())
    }

    /// Changes a row of every device, and every alert and job that waits, and holds the transaction open for so long before it is undone.
    /// Returns once the rows are held.
    pub async fn hold_rows(&self, time: Duration) -> Result<JoinHandle<Result<()>>> {
        let mut holder = self.admin().await?;
        let take =
            "BEGIN; UPDATE device_state SET status = status; UPDATE jobs SET attempts = attempts; UPDATE alerts SET summary = summary";
        run(&mut holder, take).await?;
        Ok(tokio::spawn(async move {
            tokio::time::sleep(time).await;
            run(&mut holder, "ROLLBACK").await
        }))
    }

    /// Lets nobody but the superuser in any more, and ends every connection that the services have.
    pub async fn refuse_connections(&self) -> Result<()> {
        self.limit_connections(0).await?;
        self.terminate_backends().await?;
        Ok(())
    }

    /// Lets everybody in again.
    pub async fn allow_connections(&self) -> Result<()> {
        self.limit_connections(-1).await
    }

    /// What is over the limit is refused as when the server's own is reached: 53300, too many connections.
    async fn limit_connections(&self, limit: i32) -> Result<()> {
        self.execute(&format!("ALTER DATABASE {} CONNECTION LIMIT {limit}", self.database.name())).await
    }

    /// The network between the services and the server.
    ///
    /// # Errors
    /// When the services reach it without one.
    pub fn network(&mut self) -> Result<&mut Proxy> {
        self.network.as_mut().context("the services reach the database without a network of the test's")
    }
}

/// Statements are this crate's own.
async fn run(connection: &mut PgConnection, statements: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *connection).await.with_context(|| statements.to_owned())?;
    ensure!(connection.ping().await.is_ok(), "the superuser's connection is lost");
    Ok(())
}
