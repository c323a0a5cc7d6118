//! Whom a server runs as: PostgreSQL and PgBouncer refuse to run as root.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// The account whom Debian's packages make for it.
const NAME: &str = "postgres";

/// The user and group to run servers as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account(Option<(u32, u32)>);

impl Account {
    /// Ourselves, unless we are root.
    pub(crate) fn unprivileged() -> Self {
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        Self(root.then(|| (id("-u"), id("-g"))))
    }

    /// Gives it a file or folder.
    pub(crate) fn give(self, path: &Path) {
        if let Some((user, group)) = self.0 {
            chown(path, Some(user), Some(group)).unwrap_or_else(|error| panic!("{} cannot be given to {NAME}: {error}", path.display()));
        }
    }

    /// Writes a file that only it may read.
    pub(crate) fn write(self, path: &Path, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self.give(path);
    }

    /// Makes a command run as it.
    pub(crate) fn run(self, command: &mut Command) {
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
    }
}

fn id(which: &str) -> u32 {
    let output = Command::new("id").args([which, NAME]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("as root, servers run as the user {NAME}, whom there is not: run tools/setup"))
}
