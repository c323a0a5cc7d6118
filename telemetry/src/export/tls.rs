//! TLS towards the collector: ring, the usual authorities or the one given, and a client certificate if there is one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::env::TlsFiles;
use crate::export::error::InitError;

/// The files' contents.
pub(crate) struct Tls {
    authority: Option<Pem>,
    client: Option<Client>,
}

struct Client {
    certificate: Pem,
    key: Pem,
}

struct Pem {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Tls {
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, InitError> {
        let client = |(certificate, key): &(PathBuf, PathBuf)| {
            Ok::<_, InitError>(Client { certificate: Pem::read(certificate)?, key: Pem::read(key)? })
        };
        Ok(Self {
            authority: files.authority.as_deref().map(Pem::read).transpose()?,
            client: files.client.as_ref().map(client).transpose()?,
        })
    }

    pub(crate) fn for_tonic(self) -> Result<ClientTlsConfig, InitError> {
        let config = ClientTlsConfig::new();
        let config = match self.authority {
            Some(authority) => {
                // It would take a file without certificates, and then trust nobody.
                authority.certificates()?;
                config.ca_certificate(Certificate::from_pem(authority.bytes))
            }
            None => config.with_webpki_roots(),
        };
        Ok(match self.client {
            Some(client) => config.identity(Identity::from_pem(client.certificate.bytes, client.key.bytes)),
            None => config,
        })
    }

    pub(crate) fn for_reqwest(self) -> Result<ClientConfig, InitError> {
        let mut roots = RootCertStore::empty();
        match &self.authority {
            Some(authority) => {
                for certificate in authority.certificates()? {
                    roots.add(certificate).map_err(|error| authority.unusable(&error))?;
                }
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| InitError::Exporter(error.to_string()))?
            .with_root_certificates(roots);
        match self.client {
            Some(Client { certificate, key }) => {
                let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|error| key.unusable(&error))?;
                config.with_client_auth_cert(certificate.certificates()?, private).map_err(|error| certificate.unusable(&error))
            }
            None => Ok(config.with_no_client_auth()),
        }
    }
}

impl Pem {
    fn read(path: impl AsRef<Path>) -> Result<Self, InitError> {
        let path = path.as_ref().to_owned();
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self { path, bytes }),
            Err(error) => Err(InitError::TlsFile { path, reason: error.to_string() }),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, InitError> {
        let found = CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>().map_err(|error| self.unusable(&error))?;
        if found.is_empty() { Err(self.unusable(&"it holds no certificate in PEM")) } else { Ok(found) }
    }

    fn unusable(&self, why: &dyn std::fmt::Display) -> InitError {
        InitError::TlsFile { path: self.path.clone(), reason: why.to_string() }
    }
}
