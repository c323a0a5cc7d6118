//! Which database the services work on, and how many connections they have to it.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use pulse_runtime::parse_duration;
use pulse_store::postgres::Postgres;
use pulse_store::sqlite::Sqlite;
use pulse_store::{PoolSettings, SharedStore};

/// A database's URL, which may hold a password: it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(String);

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Takes every text: what clap says of one that it cannot read repeats it.
impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// A URL that cannot be used. What it held is left out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseUrlError {
    #[error(
        "--database (PULSE_DATABASE) must be sqlite:FILE, for example sqlite:pulse-data/pulse.db, or postgres://USER:PASSWORD@HOST:5432/NAME"
    )]
    Scheme,
    #[error("--database (PULSE_DATABASE): {0}")]
    Postgres(pulse_store::postgres::UrlError),
}

impl DatabaseUrl {
    /// What it names; nothing is opened.
    ///
    /// # Errors
    /// Says what would be right.
    pub(crate) fn target(&self) -> Result<Target, DatabaseUrlError> {
        if self.0.starts_with("postgres:") || self.0.starts_with("postgresql:") {
            return Postgres::new(&self.0).map(|postgres| Target::Postgres(Box::new(postgres))).map_err(DatabaseUrlError::Postgres);
        }
        let file = self.0.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        file.filter(|file| !file.is_empty()).map(|file| Target::Sqlite(file.into())).ok_or(DatabaseUrlError::Scheme)
    }
}

/// A database that is named but not open.
#[derive(Debug)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<Postgres>),
}

impl Target {
    /// Opens a file and brings it to this version's schema. A server is asked for nothing: it may be there later.
    ///
    /// # Errors
    /// The file cannot be used, and why.
    pub(crate) async fn open(self) -> anyhow::Result<Database> {
        Ok(match self {
            Self::Sqlite(file) => Database::Sqlite(Sqlite::open(&file).await.context("the database cannot be opened")?),
            Self::Postgres(postgres) => Database::Postgres(postgres),
        })
    }
}

/// A database as the process holds it.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

impl Database {
    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Sqlite(sqlite) => sqlite.path().display().to_string(),
            Self::Postgres(postgres) => format!("PostgreSQL at {}", postgres.place()),
        }
    }

    /// A service's own pool.
    ///
    /// # Errors
    /// A file that cannot be opened; a server is first asked when the pool is used.
    pub(crate) async fn pool(&self, service: &str, pool: &PoolArguments) -> anyhow::Result<SharedStore> {
        let settings = PoolSettings { max_connections: pool.max, acquire_timeout: pool.acquire_timeout };
        Ok(match self {
            Self::Sqlite(sqlite) => Arc::new(sqlite.pool(settings).await.with_context(|| format!("{service} cannot open the database"))?),
            Self::Postgres(postgres) => Arc::new(postgres.pool(service, settings)),
        })
    }
}

/// Each service's pool of connections.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct PoolArguments {
    /// The most connections that each service has to the database
    #[arg(id = "database_pool_max", long = "database-pool-max", env = "PULSE_DATABASE_POOL_MAX", value_name = "CONNECTIONS",
          default_value_t = PoolSettings::default().max_connections, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub(crate) max: u32,
    /// How long a call waits for a free connection before it fails as unavailable; it fails sooner when the server cannot be reached
    #[arg(id = "database_acquire_timeout", long = "database-acquire-timeout", env = "PULSE_DATABASE_ACQUIRE_TIMEOUT", value_name = "DURATION",
          default_value = "5s", value_parser = parse_acquire_timeout)]
    pub(crate) acquire_timeout: Duration,
}

fn parse_acquire_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    let fits = (Duration::from_millis(100)..=Duration::from_secs(30)).contains(&timeout);
    if fits { Ok(timeout) } else { Err(format!("{text} is not from 100ms to 30s")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn target(url: &str) -> Result<Target, DatabaseUrlError> {
        DatabaseUrl(url.to_owned()).target()
    }

    #[test]
    fn urls_are_read() {
        for (url, file) in [("sqlite:a/b.db", "a/b.db"), ("sqlite:///var/lib/pulse.db", "/var/lib/pulse.db"), ("sqlite://rel.db", "rel.db")]
        {
            assert!(matches!(target(url), Ok(Target::Sqlite(path)) if path == Path::new(file)), "{url}");
        }
        for url in ["postgres://pulse:secret@db/pulse", "postgresql://db/pulse?sslmode=verify-full"] {
            assert!(matches!(target(url), Ok(Target::Postgres(_))), "{url}");
        }
    }

    #[test]
    fn bad_urls_are_refused_without_what_they_held() {
        for (url, says) in [
            ("", "must be sqlite:FILE"),
            ("sqlite:", "must be sqlite:FILE"),
            ("mysql://u:secret@h/d", "must be sqlite:FILE"),
            ("postgres://u:secret@h:port/d", "looks like postgres://"),
            ("postgres:secret", "looks like postgres://"),
        ] {
            let error = target(url).unwrap_err();
            assert!(error.to_string().contains(says), "{url}: {error}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{url}");
        }
        assert!(!format!("{:?}", DatabaseUrl("postgres://u:secret@h/d".to_owned())).contains("secret"));
    }
}
