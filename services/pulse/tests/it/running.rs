//! A `pulse run SERVICE` of the test's own, which may have something to wait for; ended with the handle.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::client;
use crate::process::{SERVICES, finish, keep, pulse};
use crate::stack::eventually;

/// How long what is awaited may take on a busy machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One service in a process of its own.
pub(crate) struct Running {
    pub(crate) service: &'static str,
    child: Child,
    log: Arc<Mutex<String>>,
    port: u16,
    client: reqwest::Client,
}

impl Running {
    /// Starts it; it need not be ready.
    pub(crate) fn start(service: &'static str, database: &str, port: u16) -> Self {
        let mut command = pulse();
        command.args(["run", service, "--listen", &format!("127.0.0.1:{port}")]).env("PULSE_DATABASE", database);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = keep(child.stderr.take().unwrap());
        Self { service, child, log, port, client: client() }
    }

    /// All five, on ports in a row.
    pub(crate) fn start_all(database: &str, port_base: u16) -> Vec<Self> {
        (port_base..).zip(SERVICES).map(|(port, service)| Self::start(service, database, port)).collect()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Status and text of one of its pages.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, String), String> {
        let answer = self.client.get(self.url(path)).send().await.map_err(|error| format!("{}: {error}", self.service))?;
        let status = answer.status().as_u16();
        answer.text().await.map(|text| (status, text)).map_err(|error| format!("{}: {error}", self.service))
    }

    /// Waits until /ready says 200.
    pub(crate) async fn ready(&self) {
        eventually(WITHIN, async || match self.get("/ready").await? {
            (200, _) => Ok(()),
            (_, text) => Err(format!("{} is not ready: {text}", self.service)),
        })
        .await;
    }

    /// Waits until /ready says 503 with a reason of the database's check that begins so; the reason.
    pub(crate) async fn not_ready(&self, begins: &[&str]) -> String {
        eventually(WITHIN, async || {
            let (status, text) = self.get("/ready").await?;
            let report: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
            let check = report["checks"].as_array().and_then(|checks| checks.iter().find(|check| check["name"] == "database"));
            let reason = check.and_then(|check| check["reason"].as_str()).unwrap_or_default();
            let fits = status == 503 && begins.iter().any(|begin| reason.starts_with(begin));
            if fits { Ok(reason.to_owned()) } else { Err(format!("{}: {status} {text}", self.service)) }
        })
        .await
    }

    /// SIGTERM, and what it exits with by itself.
    pub(crate) fn terminate(mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap().success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), asked.elapsed());
            }
            assert!(asked.elapsed() < WITHIN, "{} does not end: {}", self.service, self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Runs the program to its end: its code, and all that it said.
pub(crate) fn run_to_end(arguments: &[&str], database: &str) -> (Option<i32>, String) {
    let mut command = pulse();
    command.args(arguments).env("PULSE_DATABASE", database).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = finish(command.spawn().unwrap(), WITHIN);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}
