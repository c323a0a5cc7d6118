//! The database under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::Process;
use crate::system::free_ports;
use crate::wait::until;

/// How long the first start may take.
const FIRST_START_MAX: Duration = Duration::from_secs(30);
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

    /// The file, where it is one.
    pub fn file(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
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
