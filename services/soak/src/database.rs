//! The database under test.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::process::Process;
use crate::system::free_ports;
use crate::wait::until;

/// How long the first start may take.
const FIRST_START_MAX: Duration = Duration::from_secs(30);
/// How long a statement may wait for others.
const STATEMENT_MAX: Duration = Duration::from_secs(10);
/// The tables that the next version's migration touches: all that change all the time.
const EXPANDED: [&str; 7] = ["devices", "device_state", "readings", "alerts", "alert_events", "jobs", "attempts"];
/// How long `pulse up` may take to end.
const END_MAX: Duration = Duration::from_secs(15);

/// A database that was set up by a first start, and the operator's token that this showed.
#[derive(Debug, Clone)]
pub struct Database {
    /// As `--database` takes it.
    pub url: String,
    pub token: String,
}

impl Database {
    /// A file of SQLite in this folder.
    pub async fn sqlite(program: &Path, folder: &Path) -> Result<Self> {
        let token = first_start(program, &["--data".to_owned(), folder.display().to_string()], folder).await?;
        Ok(Self { url: format!("sqlite:{}", folder.join("pulse.db").display()), token })
    }

    /// Carries out a migration as a next version may bring it: each table gains a column that this version knows nothing of.
    pub async fn expand(&self) -> Result<()> {
        for table in EXPANDED {
            self.execute(&format!("ALTER TABLE {table} ADD COLUMN of_the_next_version TEXT")).await?;
        }
        Ok(())
    }

    /// One statement, as an administrator.
    pub async fn execute(&self, statement: &str) -> Result<()> {
        let file = self.url.strip_prefix("sqlite:").context("the database is no file of SQLite")?;
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(STATEMENT_MAX);
        let mut connection = options.connect().await?;
        // Statements are this crate's own.
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

/// Runs `pulse up` until it has shown the operator's token.
async fn first_start(program: &Path, arguments: &[String], folder: &Path) -> Result<String> {
    let log = folder.join("first-start.log");
    let mut command = crate::system::pulse(program);
    command.arg("up").args(arguments).args(["--port-base", &free_ports()?.to_string()]);
    let mut up = start(&mut command, &log)?;
    let token = until(FIRST_START_MAX, "the first start", async || {
        up.check().map_err(|error| format!("{error:#}: {}", shown(&log)))?;
        let text = shown(&log);
        let token = text.lines().map(str::trim).find(|line| line.starts_with("pulse_op_"));
        token.map(str::to_owned).ok_or_else(|| "it has shown no token".to_owned())
    })
    .await?;
    up.terminate(END_MAX).await.context("the first start")?;
    Ok(token)
}

fn start(command: &mut Command, log: &Path) -> Result<Process> {
    Process::start(command, log)
}

fn shown(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
