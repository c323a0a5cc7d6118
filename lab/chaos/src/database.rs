//! The database under test: a file of SQLite, or a database on PostgreSQL.

mod postgres;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::process::Process;
use crate::system::{DATABASE, free_ports, pulse};
use crate::wait::until;

pub use postgres::Postgres;

/// How long the first start may take.
const FIRST_START_MAX: Duration = Duration::from_secs(30);
/// How long `pulse up` may take to end.
const END_MAX: Duration = Duration::from_secs(15);
/// How long a statement may wait for others.
const STATEMENT_MAX: Duration = Duration::from_secs(10);

/// Tables that change all the time: what the next version's migration touches.
const EXPANDED: [&str; 7] = ["devices", "device_state", "readings", "alerts", "alert_events", "jobs", "attempts"];

/// Which database a scenario is run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Product {
    Sqlite,
    Postgres,
}

/// How the services reach a database that is a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reached {
    #[default]
    Directly,
    /// Through a network that can be cut.
    ThroughNetwork,
    /// Directly, on a server that is there for this database alone and can be killed.
    OnItsOwnServer,
}

/// A database that was set up by a first start.
#[derive(Debug)]
pub struct Database {
    /// As `PULSE_DATABASE` takes it.
    pub url: String,
    /// The operator's token, which the first start showed.
    pub token: String,
    /// None: SQLite.
    postgres: Option<Postgres>,
}

impl Database {
    /// A new one; a file lies in this folder.
    pub async fn create(product: Product, program: &Path, folder: &Path, reached: Reached) -> Result<Self> {
        match product {
            Product::Sqlite => {
                let url = format!("sqlite:{}", folder.join("pulse.db").display());
                let token = first_start(program, &url, folder).await?;
                Ok(Self { url, token, postgres: None })
            }
            Product::Postgres => {
                let postgres = Postgres::start(reached).await;
                let url = postgres.url();
                let token = first_start(program, &url, folder).await?;
                Ok(Self { url, token, postgres: Some(postgres) })
            }
        }
    }

    /// The server, for its faults.
    pub fn postgres(&mut self) -> Result<&mut Postgres> {
        self.postgres.as_mut().context("this fault needs PostgreSQL")
    }

    /// Carries out a migration as a next version may bring it: each table gains a column that this version knows nothing of.
    pub async fn expand(&self) -> Result<()> {
        for table in EXPANDED {
            self.execute(&format!("ALTER TABLE {table} ADD COLUMN of_the_next_version TEXT")).await?;
        }
        Ok(())
    }

    /// One statement, as an administrator.
    async fn execute(&self, statement: &str) -> Result<()> {
        if let Some(postgres) = &self.postgres {
            return postgres.execute(statement).await;
        }
        let file = self.url.strip_prefix("sqlite:").context("the database is no file of SQLite")?;
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(STATEMENT_MAX);
        let mut connection = options.connect().await?;
        // Statements are this crate's own.
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

/// Runs `pulse up` until it has shown the operator's token.
async fn first_start(program: &Path, url: &str, folder: &Path) -> Result<String> {
    let log = folder.join("first-start.log");
    let shown = || std::fs::read_to_string(&log).unwrap_or_default();
    let mut command = pulse(program);
    command.args(["up", "--port-base", &free_ports()?.to_string()]).env(DATABASE, url);
    let mut up = Process::start(&mut command, &log)?;
    let token = until(FIRST_START_MAX, "the first start", async || {
        up.check().map_err(|error| format!("{error:#}: {}", shown()))?;
        let token = shown().lines().map(str::trim).find(|line| line.starts_with("pulse_op_")).map(str::to_owned);
        token.ok_or_else(|| "it has shown no token".to_owned())
    })
    .await?;
    up.terminate(END_MAX).await.context("the first start")?;
    Ok(token)
}
