//! Nothing is left of a cluster whose process has ended, however it ended.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A cluster in a process of its own, with its folder in one of the test's.
struct Held {
    process: Child,
    input: Option<ChildStdin>,
    within: tempfile::TempDir,
}

impl Held {
    fn start() -> Self {
        let within = tempfile::tempdir().unwrap();
        // The server's account must come through.
        std::fs::set_permissions(within.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pulse-testbed"));
        let mut process = command.env("TMPDIR", within.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("postgres://"), "{url}");
        let input = process.stdin.take();
        Self { process, input, within }
    }

    fn data(&self) -> PathBuf {
        std::fs::read_dir(self.within.path()).unwrap().next().unwrap().unwrap().path().join("data")
    }

    fn leaves_nothing(self) {
        let started = Instant::now();
        while std::fs::read_dir(self.within.path()).unwrap().next().is_some() || runs_in(self.within.path()) {
            assert!(started.elapsed() < Duration::from_secs(20), "something is left in {}", self.within.path().display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether some process works in a folder or has it among its arguments.
fn runs_in(folder: &Path) -> bool {
    procfs::process::all_processes().unwrap().filter_map(Result::ok).any(|process| {
        let named =
            process.cmdline().is_ok_and(|arguments| arguments.iter().any(|argument| argument.starts_with(folder.to_str().unwrap())));
        named || process.cwd().is_ok_and(|cwd| cwd.starts_with(folder))
    })
}

#[test]
#[ignore = "needs PostgreSQL: run tools/test"]
fn after_kill_9() {
    let mut held = Held::start();
    assert!(runs_in(&held.data()));
    held.process.kill().unwrap();
    held.process.wait().unwrap();
    held.leaves_nothing();
}

#[test]
#[ignore = "needs PostgreSQL: run tools/test"]
fn after_its_own_end() {
    let mut held = Held::start();
    drop(held.input.take());
    assert!(held.process.wait().unwrap().success());
    held.leaves_nothing();
}
