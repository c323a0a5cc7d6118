//! A pooler in front of a cluster.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::account::Account;
use crate::keeper::Keeper;
use crate::postgres::{ADMIN, Cluster, PASSWORD};

/// Connections of the shared one to a database.
const SHARED_POOL_SIZE: u32 = 8;
const START_MAX: Duration = Duration::from_secs(20);
/// Debian puts it where the PATH of users need not lead.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer"];

/// A PgBouncer in transaction mode that lets in every role of the cluster: a client's next transaction meets another connection of the server,
/// where there are several.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    process: Child,
    _keeper: Keeper,
}

impl PgBouncer {
    /// The test process's one, in front of [`Cluster::shared`].
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<PgBouncer> = OnceCell::const_new();
        SHARED.get_or_init(|| async { Self::start(Cluster::shared().await, SHARED_POOL_SIZE).await }).await
    }

    /// Starts it with at most `pool_size` connections to each database.
    pub async fn start(cluster: &Cluster, pool_size: u32) -> Self {
        let account = Account::unprivileged();
        let keeper = Keeper::new(&std::env::temp_dir(), account);
        let (port, server_port) = (crate::free_port(), cluster.port());
        let (users, settings) = (keeper.folder().join("users"), keeper.folder().join("pgbouncer.ini"));
        // The superuser looks up the other roles.
        account.write(&users, &format!("\"{ADMIN}\" \"{PASSWORD}\"\n"));
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nauth_user = {ADMIN}\npool_mode = transaction\n\
             default_pool_size = {pool_size}\nserver_round_robin = 1\nmax_client_conn = 1000\n\
             ignore_startup_parameters = extra_float_digits\n",
            users.display()
        );
        account.write(&settings, &text);
        let log = keeper.folder().join("log");
        let output = File::create(&log).unwrap();
        let mut command = Command::new(program());
        command.arg(&settings).stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        account.run(&mut command);
        let process = command.spawn().unwrap();
        let mut pooler = Self { port, process, _keeper: keeper };
        pooler.ready(&log).await;
        pooler
    }

    async fn ready(&mut self, log: &PathBuf) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            let running = self.process.try_wait().unwrap().is_none() && started.elapsed() < START_MAX;
            assert!(running, "PgBouncer does not listen: {}", std::fs::read_to_string(log).unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}

fn program() -> &'static str {
    let found = PROGRAMS.into_iter().find(|program| std::path::Path::new(program).exists());
    found.expect("pgbouncer is installed in /usr/sbin: run tools/setup")
}
