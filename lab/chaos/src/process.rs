//! A child process that ends with its handle, with its output in a file.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Between two looks at whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts it, with both its outputs appended to the log.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let open =
            || OpenOptions::new().create(true).append(true).open(log).with_context(|| format!("{} cannot be written", log.display()));
        let child = command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).spawn();
        Ok(Self(child.with_context(|| format!("{name} cannot be started"))?))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Fails when it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("it has ended with {status}"),
            None => Ok(()),
        }
    }

    /// kill -9; returns once it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// SIGTERM; fails unless it ends in time and well.
    pub async fn terminate(mut self, within: Duration) -> Result<Duration> {
        let asked = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        anyhow::ensure!(sent.success(), "SIGTERM cannot be sent to {}", self.pid());
        loop {
            match self.0.try_wait()? {
                Some(status) if status.success() => return Ok(asked.elapsed()),
                Some(status) => bail!("it ended with {status} after SIGTERM"),
                None if asked.elapsed() > within => bail!("it has not ended {within:?} after SIGTERM"),
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}
