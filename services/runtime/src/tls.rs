//! The TLS of HTTP clients: rustls with ring, and the roots that the caller trusts. All of it is passed explicitly, so that no default of
//! the process decides.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

/// The certificate authorities of the web, as Mozilla lists them.
pub fn web_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// What a client connects with that trusts these roots and shows no certificate of its own.
///
/// # Errors
/// [`Error::Task`] when rustls refuses the setup, a defect of the build.
pub fn client_config(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|source| Error::Task { what: "setting up TLS", source: Box::new(source) })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
