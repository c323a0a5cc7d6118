//! A `pulse up` of the test's own: free ports, a folder, ended with the handle.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// The five services in the order of their ports.
pub(crate) const SERVICES: [&str; 5] = ["ui_api", "evaluator", "dispatcher", "delivery_worker", "ops_worker"];

/// Ports that one test takes: five services, and as many again for what else it starts.
const PORTS: u16 = 10;

/// A base from which ten ports in a row are free; each call in this process looks further on.
pub(crate) fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 1_200).unwrap() * PORTS;
    for _ in 0..1_000 {
        // Below the ports that the kernel gives to outgoing connections, which start at 32,768.
        let base = 20_000 + (offset + NEXT.fetch_add(PORTS, Ordering::Relaxed)) % 12_000;
        if (base..base + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
    panic!("no ten free ports in a row");
}

/// The program with no settings of ours in its environment.
pub(crate) fn pulse() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulse"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PULSE_") || name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Waits for a child to end; its output. Kills it at the bound.
pub(crate) fn finish(mut child: Child, within: Duration) -> Output {
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = drain(child.stderr.take().unwrap());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > within {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("still running after {within:?}: {}", String::from_utf8_lossy(&stderr.join().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn drain(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        pipe.read_to_end(&mut all).unwrap();
        all
    })
}

/// A running `pulse up`.
pub(crate) struct Up {
    child: Child,
    /// Its log so far, which is shown too.
    log: Arc<Mutex<String>>,
    pub(crate) port_base: u16,
    /// The operator's token, when this was the first start.
    pub(crate) token: Option<String>,
}

impl Up {
    /// Starts and waits until every service is ready.
    pub(crate) async fn start(data: &Path, port_base: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = pulse();
        command.args(["up", "--data", data.to_str().unwrap(), "--port-base", &port_base.to_string()]).args(arguments);
        command.envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let log = keep(child.stderr.take().unwrap());
        let mut up = Self { child, log, port_base, token: None };
        up.ready().await;
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(100)) {
            if line.trim().starts_with("pulse_op_") {
                up.token = Some(line.trim().to_owned());
            }
        }
        up
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The base URL of a service, from 0 in the order of [`SERVICES`].
    pub(crate) fn url(&self, index: u16) -> String {
        format!("http://127.0.0.1:{}", self.port_base + index)
    }

    async fn ready(&mut self) {
        let client = crate::api::client();
        let started = Instant::now();
        for index in 0..5 {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    panic!("ended at start: {status}");
                }
                let answer = client.get(format!("{}/ready", self.url(index))).send().await;
                if answer.is_ok_and(|answer| answer.status() == 200) {
                    break;
                }
                assert!(started.elapsed() < Duration::from_secs(30), "{} is not ready", SERVICES[usize::from(index)]);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what the program exits with.
    pub(crate) fn terminate(mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let status = self.child.wait().unwrap();
        (status.code(), asked.elapsed())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Shows lines as they come and keeps them.
#[allow(clippy::print_stderr, reason = "a test that fails shows what its child said")]
pub(crate) fn keep(pipe: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let kept = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&kept);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    kept
}

/// Lines as they come; the pipe is read to its end, so that the child never blocks on it.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap_or_default();
    });
    receiver
}
