//! How a cluster of a test's own is set up.

use std::path::PathBuf;

/// By default a fresh installation's settings, with room for more connections, as many tests share the server.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) server: Vec<(String, String)>,
    pub(super) tls: bool,
    pub(super) folder: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { server: vec![("max_connections".to_owned(), "400".to_owned())], tls: false, folder: None }
    }
}

impl Settings {
    /// A setting of postgresql.conf.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.server.push((name.to_owned(), value.into()));
        self
    }

    /// With a certificate of an authority of its own; whoever speaks no TLS is not let in. URLs say `sslmode=verify-full`.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The data lies in a new folder in this one, say on a small disk; the server's account must be able to reach it.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }
}
