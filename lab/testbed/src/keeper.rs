//! The one who clears up when a test process has ended, also by kill -9.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::Account;

/// Waits for the end of its input, which is the end of whoever held the other side. Then ends the processes that have a file of the folder
/// among their arguments, PostgreSQL without a checkpoint, and removes the folder. A process is known by its arguments, as its id may
/// long be another's.
const SCRIPT: &str = r#"
read -r _
tries=0
while files=$(grep -lsz "^$1/" /proc/[0-9]*/cmdline); [ -n "$files" ]; do
  [ $tries -lt 100 ] && signal=QUIT || signal=KILL
  for file in $files; do
    process=${file#/proc/}
    kill -$signal "${process%/cmdline}" 2>/dev/null
  done
  tries=$((tries + 1))
  sleep 0.05
done
rm -rf "$1"
"#;

/// A folder and the servers that work in it; both go with this handle or with the process that holds it.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    process: Child,
}

impl Keeper {
    /// A new folder in `within` that belongs to the account.
    pub(crate) fn new(within: &Path, account: Account) -> Self {
        let folder = tempfile::Builder::new().prefix("pulse-testbed-").tempdir_in(within).unwrap().keep();
        account.give(&folder);
        let mut command = Command::new("sh");
        command.arg("-c").arg(SCRIPT).arg("testbed-keeper").arg(&folder);
        // A group of its own, so that Ctrl-C at the terminal ends the tests and not who clears up after them.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        Self { folder, process }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Keeper {
    /// Returns when all is gone.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().map(drop).unwrap_or_default();
    }
}
