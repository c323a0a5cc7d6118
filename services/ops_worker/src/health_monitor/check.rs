//! One check of one service: a GET that must be answered with 2xx in time.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use url::Url;

type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// Why a service counts as not well. The text is for people and stands in the alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("no connection")]
    Connect,
    #[error("answered with status {0}")]
    Status(u16),
    #[error("the answer could not be read")]
    Other,
}

impl CheckError {
    /// The closed set of the label `outcome`, beside `ok`.
    pub(crate) const LABELS: [&'static str; 4] = ["timeout", "connect", "status", "other"];

    /// Where its label stands in [`Self::LABELS`].
    pub(crate) fn label_index(&self) -> usize {
        match self {
            Self::Timeout(_) => 0,
            Self::Connect => 1,
            Self::Status(_) => 2,
            Self::Other => 3,
        }
    }
}

/// The one client of all checks.
#[derive(Debug)]
pub(crate) struct Checker {
    client: Client,
    timeout: Duration,
}

impl Checker {
    /// No proxy and no redirect: the service itself is to answer. TLS through ring, with the roots of the web.
    pub(crate) fn new(timeout: Duration) -> Result<Self, BuildError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .user_agent(concat!("pulse-ops-worker/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, timeout })
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks once. The body is not read: the status says it all.
    pub(crate) async fn check(&self, url: &Url) -> Result<(), CheckError> {
        match self.client.get(url.clone()).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(CheckError::Status(answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err(CheckError::Timeout(self.timeout)),
            Err(error) if error.is_connect() => Err(CheckError::Connect),
            Err(error) => {
                tracing::debug!(error = %error.without_url(), "a health check could not be read");
                Err(CheckError::Other)
            }
        }
    }
}
