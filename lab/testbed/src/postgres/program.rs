//! The installed server, and the folder that it works in.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{ADMIN, PASSWORD, Settings, certificates};
use crate::account::Account;

/// Names the folder of the server's programs, where they are not Debian's.
const BIN_VARIABLE: &str = "PULSE_TEST_POSTGRES_BIN";
/// Where Debian's packages put them, a folder for each version.
const INSTALLED: &str = "/usr/lib/postgresql";

#[derive(Debug)]
pub(super) struct Program {
    bin: PathBuf,
    folder: PathBuf,
    account: Account,
}

impl Program {
    /// Makes a cluster's files in the folder.
    pub(super) fn install(folder: &Path, account: Account, settings: &Settings) -> Self {
        let program = Self { bin: bin(), folder: folder.to_owned(), account };
        program.initialise();
        program.configure(settings);
        program
    }

    /// What this cluster's URLs end with.
    pub(super) fn parameters(&self, settings: &Settings) -> String {
        if settings.tls {
            format!("?sslmode=verify-full&sslrootcert={}", self.folder.join(certificates::AUTHORITY).display())
        } else {
            String::new()
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.arg("-D").arg(self.data()).current_dir(&self.folder).env_clear().env("TZ", "UTC").stdin(Stdio::null());
        self.account.run(&mut command);
        command
    }

    /// Texts sort as people's do unless a column says otherwise, as most installations have it.
    fn initialise(&self) {
        let passwords = self.folder.join("password");
        self.account.write(&passwords, PASSWORD);
        let mut initdb = self.command("initdb");
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]);
        initdb.args(["--auth=scram-sha-256", "--username", ADMIN]).arg("--pwfile").arg(passwords);
        let output = initdb.output().unwrap_or_else(|error| panic!("{} cannot run: {error}", self.bin.join("initdb").display()));
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn configure(&self, settings: &Settings) {
        let mut lines = vec!["listen_addresses = '127.0.0.1'".to_owned(), "unix_socket_directories = ''".to_owned()];
        lines.extend(settings.server.iter().map(|(name, value)| format!("{name} = '{}'", value.replace('\'', "''"))));
        let mut door = "host";
        if settings.tls {
            certificates::write(&self.folder, self.account);
            let file = |name| self.folder.join(name).display().to_string();
            lines.push("ssl = on".to_owned());
            lines.push(format!("ssl_cert_file = '{}'", file(certificates::CERTIFICATE)));
            lines.push(format!("ssl_key_file = '{}'", file(certificates::KEY)));
            door = "hostssl";
        }
        self.account.write(&self.data().join("postgresql.auto.conf"), &lines.join("\n"));
        self.account.write(&self.data().join("pg_hba.conf"), &format!("{door} all,replication all 127.0.0.1/32 scram-sha-256\n"));
    }

    /// Starts the server; its log begins anew.
    pub(super) fn run(&self, port: u16) -> Child {
        let log = File::create(self.log_file()).unwrap();
        let mut server = self.command("postgres");
        server.args(["-p", &port.to_string()]).stdout(log.try_clone().unwrap()).stderr(log);
        server.spawn().unwrap()
    }
}

/// The newest that is installed.
fn bin() -> PathBuf {
    if let Some(bin) = std::env::var_os(BIN_VARIABLE) {
        return bin.into();
    }
    let versions = std::fs::read_dir(INSTALLED).into_iter().flatten().filter_map(|entry| {
        let entry = entry.unwrap();
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin"))).filter(|(_, bin)| bin.join("postgres").exists())
    });
    let newest = versions.max_by_key(|(version, _)| *version);
    newest.unwrap_or_else(|| panic!("no PostgreSQL in {INSTALLED}: run tools/setup, or set {BIN_VARIABLE}")).1
}
