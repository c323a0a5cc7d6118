//! An authority, and the server's certificate for 127.0.0.1.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::account::Account;

/// The authority's certificate, for clients.
pub(super) const AUTHORITY: &str = "ca.pem";
pub(super) const CERTIFICATE: &str = "server.pem";
pub(super) const KEY: &str = "server.key";

/// Writes all three to the folder.
pub(super) fn write(folder: &Path, account: Account) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join(AUTHORITY), authority.pem()).unwrap();
    account.write(&folder.join(CERTIFICATE), &certificate.pem());
    account.write(&folder.join(KEY), &key.serialize_pem());
}
