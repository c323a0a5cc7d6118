//! A database of the run's own.

use anyhow::Context as _;
use pulse_store::PoolSettings;
use pulse_store::postgres::{Postgres, PostgresStore};
use pulse_testbed::postgres::{Cluster, Settings};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use url::Url;

/// A migrated database on a server, made for a run and removed after it.
#[derive(Debug)]
pub(crate) struct Scratch {
    server: Url,
    /// The server itself when it was started for the run: it ends with the handle.
    _cluster: Option<Cluster>,
    pub(crate) url: String,
    name: String,
}

impl Scratch {
    /// Makes it on the server of `server`, a superuser's URL, or on one started for the run.
    pub(crate) async fn make(server: Option<&str>) -> anyhow::Result<Self> {
        let cluster = match server {
            Some(_) => None,
            None => Some(Cluster::start(Settings::default()).await),
        };
        let server = cluster.as_ref().map(|cluster| cluster.admin_url("postgres")).or(server.map(str::to_owned)).unwrap_or_default();
        let server =
            Url::parse(&server).ok().context("--database must be a PostgreSQL server's URL, postgres://USER@HOST:PORT/postgres")?;
        let name = format!("pulse_soak_{}", std::process::id());
        let mut own = server.clone();
        own.set_path(&name);
        let scratch = Self { server, _cluster: cluster, url: own.into(), name };
        scratch.administer(&format!("CREATE DATABASE {}", scratch.name)).await?;
        scratch.postgres()?.migrate().await.context("the run's database cannot be migrated")?;
        Ok(scratch)
    }

    /// As Pulse's processes see it.
    pub(crate) fn postgres(&self) -> anyhow::Result<Postgres> {
        Ok(Postgres::new(&self.url)?)
    }

    /// A service's door with so many connections.
    pub(crate) fn store(&self, max_connections: u32) -> anyhow::Result<PostgresStore> {
        Ok(self.postgres()?.pool("soak", PoolSettings { max_connections, ..PoolSettings::default() }))
    }

    /// A bare connection.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        connect(&self.url).await
    }

    /// Leaves nothing to be done for what was written so far.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        for statement in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(())
    }

    /// Drops it, whoever is connected.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        self.administer(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }

    async fn administer(&self, statement: &str) -> anyhow::Result<()> {
        let mut connection = connect(self.server.as_str()).await?;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .context("the server refuses a database of the run's own")?;
        connection.close().await?;
        Ok(())
    }
}

async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    let options: PgConnectOptions = url.parse().ok().context("the database's URL cannot be read")?;
    options.connect().await.context("the database cannot be reached")
}
