//! A database on PostgreSQL, and what can befall it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use pulse_testbed::postgres::{ADMIN, Cluster, Database, Settings};
use pulse_testbed::proxy::Proxy;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::task::JoinHandle;

use super::Reached;
use crate::wait::until;

/// How long a backend may take to end.
const END_MAX: Duration = Duration::from_secs(5);

/// All backends of this database but the one that says so. The server is not asked to wait for each in turn: they end at once.
const TERMINATE_OTHERS: &str = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";
/// Those that have not ended yet.
const LEFT: &str = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)";

/// A database on a server.
#[derive(Debug)]
pub struct Postgres {
    // Dropped in this order: the database is dropped on a server that is still there.
    database: Database,
    network: Option<Proxy>,
    server: Server,
}

/// Whose server it is.
#[derive(Debug)]
enum Server {
    /// One that may be killed.
    Own(Box<Cluster>),
    /// The process's one, as setting one up takes seconds.
    Shared(&'static Cluster),
}

impl Server {
    fn cluster(&self) -> &Cluster {
        match self {
            Self::Own(cluster) => cluster,
            Self::Shared(cluster) => cluster,
        }
    }
}

impl Postgres {
    /// An empty one.
    pub(super) async fn start(reached: Reached) -> Self {
        let server = match reached {
            Reached::OnItsOwnServer => Server::Own(Box::new(Cluster::start(Settings::default()).await)),
            Reached::Directly | Reached::ThroughNetwork => Server::Shared(Cluster::shared().await),
        };
        let database = server.cluster().database().await;
        let network = match reached {
            Reached::ThroughNetwork => Some(Proxy::start(server.cluster().port()).await),
            Reached::Directly | Reached::OnItsOwnServer => None,
        };
        Self { database, network, server }
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

    /// kill -9 of all the server's processes; it is away for so long, then recovers.
    ///
    /// # Errors
    /// When it is not this database's own.
    pub async fn lose_power(&mut self, away: Duration) -> Result<()> {
        let Server::Own(cluster) = &mut self.server else { bail!("others work on this server") };
        cluster.kill().await;
        tokio::time::sleep(away).await;
        cluster.restart().await;
        Ok(())
    }

    /// Ends every connection that the services have; how many.
    pub async fn terminate_backends(&self) -> Result<usize> {
        let mut admin = self.admin().await?;
        let ended: Vec<(i32, bool)> = sqlx::query_as(TERMINATE_OTHERS).fetch_all(&mut admin).await?;
        let ended: Vec<i32> = ended.into_iter().map(|(pid, _sent)| pid).collect();
        until(END_MAX, "connections end", async || {
            let left: i64 = sqlx::query_scalar(LEFT).bind(&ended).fetch_one(&mut admin).await.map_err(|error| error.to_string())?;
            if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
        })
        .await?;
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
