//! PULSE_DELIVERY_CA_FILE: the certificate authorities of the operator, for receivers on one's own premises.

use std::fmt::Display;
use std::path::Path;

use pulse_runtime::Error;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

/// Adds the authorities in the file to the roots that are trusted.
///
/// # Errors
/// [`Error::Settings`] when the file cannot be used.
pub(crate) fn add_to(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    let unusable = |why: &dyn Display| Error::Settings(format!("PULSE_DELIVERY_CA_FILE {} cannot be used: {why}", path.display()));
    let certificates = certificates(path).map_err(|why| unusable(&why))?;
    if certificates.is_empty() {
        return Err(unusable(&"it holds no certificate; it must be PEM, with BEGIN CERTIFICATE lines"));
    }
    certificates.into_iter().try_for_each(|certificate| roots.add(certificate)).map_err(|why| unusable(&why))
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
            let error = add_to(&mut RootCertStore::empty(), &path).unwrap_err().to_string();
            assert!(error.starts_with("PULSE_DELIVERY_CA_FILE ") && error.contains(name) && error.contains(reason), "{error}");
        }
        let error = add_to(&mut RootCertStore::empty(), &folder.path().join("missing.pem")).unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
