//! Receivers behind TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pulse_delivery_worker::Settings;
use pulse_domain::job::{ErrorKind, JobState};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::receiver::Receiver;
use crate::world::World;

/// A receiver with a certificate of its own making for `name`; the port, and where its certificate lies.
async fn receiver(folder: &Path, name: &str) -> (u16, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let ca_file = folder.join(format!("{}.pem", name.escape_debug()));
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    (port, ca_file)
}

#[tokio::test]
async fn a_receiver_whose_authority_is_trusted_is_reached_over_https_alone() {
    let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
    let (port, ca_file) = receiver(folder.path(), "localhost").await;
    let target = world.webhook(&format!("https://localhost:{port}/hook")).await;
    let job_id = world.job(&target).await;
    let worker = world.start(Settings { allow_http: false, ca_file: Some(ca_file), ..World::settings() }).await;
    world.until(job_id, |job| job.state == JobState::Delivered).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_a_tls_failure_and_final() {
    let (world, folder) = (World::new().await, tempfile::tempdir().unwrap());
    let (unknown, _) = receiver(folder.path(), "localhost").await;
    let (misnamed, ca_file) = receiver(folder.path(), "example.com").await;
    let mut jobs = Vec::new();
    for (port, reason) in [(unknown, "invalid peer certificate"), (misnamed, "not valid for name")] {
        let target = world.webhook(&format!("https://localhost:{port}/hook")).await;
        jobs.push((world.job(&target).await, reason));
    }
    let worker = world.start(Settings { ca_file: Some(ca_file), ..World::settings() }).await;
    for (job_id, reason) in jobs {
        let job = world.until(job_id, |job| job.state == JobState::Dead).await;
        assert_eq!(world.attempts(job_id).await[0].error, Some(ErrorKind::Tls));
        assert!(job.last_error.as_ref().is_some_and(|error| error.contains(reason)), "{job:?}");
    }
    worker.stop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn whatever_a_receiver_says_is_kept() {
    let (world, folder) = (World::postgres().await, tempfile::tempdir().unwrap());
    let (port, ca_file) = receiver(folder.path(), "exa\0mple.com").await;
    let refusing = Receiver::open().await;
    refusing.answer(400, &[], "no\0such\u{1b}hook");
    let mut jobs = Vec::new();
    for (url, said) in [(format!("https://localhost:{port}/hook"), "exa mple.com"), (refusing.url().to_owned(), "no such hook")] {
        let target = world.webhook(&url).await;
        jobs.push((world.job(&target).await, said));
    }
    let worker = world.start(Settings { ca_file: Some(ca_file), ..World::settings() }).await;
    for (job_id, said) in jobs {
        let job = world.until(job_id, |job| job.state == JobState::Dead).await;
        let attempt = world.attempts(job_id).await.remove(0);
        assert_eq!(job.last_error, attempt.detail);
        assert!(job.last_error.as_ref().is_some_and(|error| error.contains(said)), "{job:?}");
    }
    worker.stop().await;
}
