//! TLS to receivers: rustls with ring, Mozilla's roots and, for receivers on one's own premises, the operator's. All of it is passed
//! explicitly, so that no default of the process decides.

use std::path::Path;
use std::sync::Arc;

use pulse_runtime::Error;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// What the shared client connects with.
///
/// # Errors
/// [`Error::Settings`] when `ca_file` cannot be used; [`Error::Task`] when rustls refuses the setup, a defect of the build.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        let unusable =
            |why: &dyn std::fmt::Display| Error::Settings(format!("PULSE_DELIVERY_CA_FILE {} cannot be used: {why}", path.display()));
        let certificates = certificates(path).map_err(|why| unusable(&why))?;
        if certificates.is_empty() {
            return Err(unusable(&"it holds no certificate; it must be PEM, with BEGIN CERTIFICATE lines"));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|why| unusable(&why))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::Task { what: "setting up TLS", source: Box::new(source) })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_file_iter(path)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_of_no_use_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content, reason) in [
            ("empty.pem", "", "holds no certificate"),
            ("text.pem", "hello", "holds no certificate"),
            ("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "cannot be used"),
            ("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be used"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let error = client_config(Some(&path)).unwrap_err().to_string();
            assert!(error.starts_with("PULSE_DELIVERY_CA_FILE ") && error.contains(name) && error.contains(reason), "{error}");
        }
        let error = client_config(Some(&folder.path().join("missing.pem"))).unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
