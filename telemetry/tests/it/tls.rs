//! OTLP over TLS: an authority of one's own, and a collector that wants to know who pushes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use pulse_telemetry::Telemetry;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::receiver::Receiver;
use crate::telemetry_with;

const WITHIN: Duration = Duration::from_secs(10);
const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// An authority, and the files that it signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Certificate and key, in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// What a collector of this authority does, which wants a certificate of its clients.
    fn server(&self) -> TlsAcceptor {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.issuer.pem().as_bytes()).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&ring)).build().unwrap();
        let (certificate, key) = self.sign("localhost");
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_client_cert_verifier(clients).with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    async fn receiver(&self, protocol: &'static str) -> Receiver {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Receiver::serve(protocol, TlsListener { tcp, acceptor: self.server() })
    }

    /// The variables of a client, with its certificate if it has one.
    fn env(&self, receiver: &Receiver, certified: bool) -> Vec<(&'static str, String)> {
        let mut env = receiver.env();
        env[0].1 = format!("https://localhost:{}", receiver.address.port());
        env.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "2000".to_owned()));
        env.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", self.path("ca.pem").display().to_string()));
        if certified {
            let (certificate, key) = self.sign("client");
            std::fs::write(self.path("client.pem"), certificate).unwrap();
            std::fs::write(self.path("client.key"), key).unwrap();
            env.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", self.path("client.pem").display().to_string()));
            env.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", self.path("client.key").display().to_string()));
        }
        env
    }
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            // A client that is not trusted ends here.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_reach_a_collector_that_both_sides_trust() {
    let authority = Authority::new();
    for protocol in PROTOCOLS {
        let receiver = authority.receiver(protocol).await;
        let telemetry = telemetry_with("worker", authority.env(&receiver, true));
        assert_eq!(telemetry.shutdown(WITHIN).await, Ok(()), "{protocol}");
        assert_eq!(receiver.pushes().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_trust_on_either_side_nothing_is_pushed() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for protocol in PROTOCOLS {
        let receiver = authority.receiver(protocol).await;
        for env in [authority.env(&receiver, false), stranger.env(&receiver, true)] {
            assert!(telemetry_with("worker", env).shutdown(WITHIN).await.is_err(), "{protocol}");
        }
        assert_eq!(receiver.pushes().len(), 0);
    }
}

#[tokio::test]
async fn a_file_that_is_not_pem_stops_the_start() {
    let authority = Authority::new();
    let path = authority.path("ca.pem");
    std::fs::write(&path, "rubbish").unwrap();
    for protocol in PROTOCOLS {
        let file = path.display().to_string();
        let lookup = move |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("https://localhost:4318".to_owned()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
            "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some(file.clone()),
            _ => None,
        };
        let error = Telemetry::builder("worker").env(lookup).init().unwrap_err().to_string();
        assert!(error.contains("ca.pem") && error.contains("no certificate in PEM"), "{error}");
    }
}
