//! A PostgreSQL of the test process's own.

mod certificates;
mod database;
mod processes;
mod program;
mod settings;

use std::process::Child;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, OnceCell};

pub use database::Database;
pub use settings::Settings;

use crate::account::Account;
use crate::keeper::Keeper;
use program::Program;

/// The superuser.
pub const ADMIN: &str = "postgres";
/// Who owns the tests' databases: may make roles, as migrations do, and is bound by row-level security, as superusers are not.
pub const OWNER: &str = "pulse";
/// The password of both; no log, error, metric or trace may hold it.
pub const PASSWORD: &str = "testbed-secret";

/// How long the server may take to start, also with a crash to recover from.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a stop may take.
const STOP_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A server with its data in a folder of its own, on 127.0.0.1, with the settings of a fresh installation: what is committed is on the disk.
/// It goes with this handle, and with the process however that ends.
#[derive(Debug)]
pub struct Cluster {
    program: Program,
    port: u16,
    /// What follows a URL's `?`.
    parameters: String,
    /// None when it does not run.
    postmaster: Option<Child>,
    /// The templates that are filled, by key; held while one is filled.
    templates: Mutex<Vec<String>>,
    _keeper: Keeper,
}

impl Cluster {
    /// The test process's one, started by the first who asks. Nobody can stop it: others work on it.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::start(Settings::default())).await
    }

    /// One of the test's own, to kill and to set up at will.
    pub async fn start(settings: Settings) -> Self {
        let account = Account::unprivileged();
        let keeper = Keeper::new(&settings.folder.clone().unwrap_or_else(std::env::temp_dir), account);
        let program = Program::install(keeper.folder(), account, &settings);
        let parameters = program.parameters(&settings);
        let port = crate::free_port();
        let mut cluster = Self { program, port, parameters, postmaster: None, templates: Mutex::new(Vec::new()), _keeper: keeper };
        cluster.run().await;
        cluster.execute(&format!("CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")).await;
        cluster
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A database's URL for the superuser.
    pub fn admin_url(&self, database: &str) -> String {
        self.url_as(ADMIN, database)
    }

    /// A database's URL for a role that has [`PASSWORD`].
    pub fn url_as(&self, role: &str, database: &str) -> String {
        url(role, self.port, database, &self.parameters)
    }

    /// The process id of the postmaster.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn pid(&self) -> u32 {
        self.postmaster.as_ref().expect("the server runs").id()
    }

    /// Seconds of processor time of the server's processes since it was last started.
    pub fn cpu_seconds(&self) -> f64 {
        processes::cpu_seconds(self.pid())
    }

    /// What the server has logged since it was last started.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Runs statements as the superuser, in the database `postgres`.
    pub async fn execute(&self, statements: &str) {
        execute(&self.admin_url("postgres"), statements).await;
    }

    /// kill -9 of the postmaster and all of its processes at once, as when the machine's power goes; returns when they are gone.
    pub async fn kill(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        let children = processes::kill(postmaster.id());
        postmaster.wait().unwrap();
        within(STOP_MAX, "the server's processes end", async || children.iter().all(|child| !child.is_alive())).await;
    }

    /// Stops it as an administrator does who does not wait for clients: transactions are rolled back, all is written.
    pub async fn stop(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else { return };
        processes::signal(postmaster.id(), rustix::process::Signal::INT);
        let started = Instant::now();
        while postmaster.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < STOP_MAX, "the server does not stop: {}", self.log());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts it again on the same port with the same data, after [`Cluster::kill`], after [`Cluster::stop`] or out of its running.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }

    /// Starts the server and waits until it lets clients in.
    async fn run(&mut self) {
        let mut postmaster = self.program.run(self.port);
        let url = self.admin_url("postgres");
        let started = Instant::now();
        loop {
            let Err(error) = connect(&url).await else { break };
            if let Some(status) = postmaster.try_wait().unwrap() {
                panic!("PostgreSQL ended at its start, {status}: {}", self.log());
            }
            assert!(started.elapsed() < START_MAX, "PostgreSQL lets nobody in: {error}: {}", self.log());
            tokio::time::sleep(POLL).await;
        }
        self.postmaster = Some(postmaster);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The keeper removes what is left; a crash is the quickest end of data that nobody wants.
        if let Some(mut postmaster) = self.postmaster.take() {
            processes::kill(postmaster.id());
            postmaster.wait().map(drop).unwrap_or_default();
        }
    }
}

fn url(role: &str, port: u16, database: &str, parameters: &str) -> String {
    format!("postgres://{role}:{PASSWORD}@127.0.0.1:{port}/{database}{parameters}")
}

async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    url.parse::<PgConnectOptions>()?.connect().await
}

/// Runs statements that the tests wrote.
async fn execute(url: &str, statements: &str) {
    let mut connection = connect(url).await.expect("the server lets us in");
    let run = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await;
    run.unwrap_or_else(|error| panic!("{statements}: {error}"));
    connection.close().await.unwrap();
}

async fn within(bound: Duration, what: &str, holds: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < bound, "after {bound:?} not yet: {what}");
        tokio::time::sleep(POLL).await;
    }
}
