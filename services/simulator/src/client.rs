//! The HTTP client of setup and driver, and of whoever tests with them: rustls with ring, no proxies, no redirects.

use std::time::Duration;

use pulse_runtime::tls;
use reqwest::{Client, ClientBuilder};
use url::Url;

use crate::error::{Error, Result};

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A client with the simulator's defaults, changed by `settings`.
pub fn build(settings: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    let tls = tls::client_config(tls::web_roots()).map_err(Error::Tls)?;
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("pulse-simulator/", env!("CARGO_PKG_VERSION")));
    settings(builder).build().map_err(Error::Client)
}

/// The base that paths are added to: checked, without a slash at its end.
pub fn base_url(text: &str) -> Result<String> {
    let refuse = |reason: String| Error::Url { url: text.to_owned(), reason };
    let url = Url::parse(text).map_err(|error| refuse(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("it must begin with http:// or https://".into()));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it must have no query, no fragment and no user".into()));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_checked() {
        assert_eq!(base_url("http://127.0.0.1:8081").unwrap(), "http://127.0.0.1:8081");
        assert_eq!(base_url("https://pulse.example/prefix/").unwrap(), "https://pulse.example/prefix");
        for (bad, says) in [("127.0.0.1:8081", "URL"), ("ftp://x", "http:// or https://"), ("http://x/?a=1", "no query")] {
            let error = base_url(bad).unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
