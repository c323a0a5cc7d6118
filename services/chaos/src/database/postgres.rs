//! A PostgreSQL of the scenario's own, and what can befall it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pulse_testbed::postgres::{ADMIN, Cluster, Database, Settings};
use pulse_testbed::proxy::Proxy;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::task::JoinHandle;

use super::Server;

/// How often all connections are taken away until the services have none: they open theirs again meanwhile.
const ROUNDS_MAX: u32 = 50;

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
    pub(super) async fn start(server: Server) -> Self {
        let settings = Settings::default();
        let settings = match server.connections_max {
            Some(connections) => settings.set("max_connections", connections.to_string()),
            None => settings,
        };
        let cluster = Cluster::start(settings).await;
        let database = cluster.database().await;
        let network = if server.through_network { Some(Proxy::start(cluster.port()).await) } else { None };
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
        terminate_but(&mut self.admin().await?, &[]).await
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

    /// Takes every connection that the server has to give to anybody but the superuser. They are given back with what is returned.
    pub async fn exhaust_connections(&self) -> Result<Vec<PgConnection>> {
        let options: PgConnectOptions = self.database.url().parse()?;
        let mut admin = self.admin().await?;
        let (mut taken, mut pids) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS_MAX {
            while let Ok(mut connection) = options.connect().await {
                pids.push(sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?);
                taken.push(connection);
            }
            if terminate_but(&mut admin, &pids).await? == 0 {
                return Ok(taken);
            }
        }
        anyhow::bail!("the services have connections still, beside {} that were taken", taken.len())
    }

    /// The network between the services and the server.
    ///
    /// # Errors
    /// When the services reach it without one.
    pub fn network(&mut self) -> Result<&mut Proxy> {
        self.network.as_mut().context("the services reach the database without a network of the test's")
    }
}

/// Ends all backends of the database but this connection's and these.
async fn terminate_but(admin: &mut PgConnection, pids: &[i32]) -> Result<usize> {
    let others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL($1)";
    let ended: Vec<bool> = sqlx::query_scalar(others).bind(pids).fetch_all(admin).await?;
    Ok(ended.len())
}

/// Statements are this crate's own.
async fn run(connection: &mut PgConnection, statements: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *connection).await.with_context(|| statements.to_owned())?;
    ensure!(connection.ping().await.is_ok(), "the superuser's connection is lost");
    Ok(())
}
