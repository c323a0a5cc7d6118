//! `pulse health`: asks the service beside it whether it lives, for a container's health check: the image has no other HTTP client.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::http::uri::Scheme;
use axum::http::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use pulse_runtime::{ServerSettings, parse_duration};
use tokio::net::TcpStream;

use crate::console::Console;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct HealthSettings {
    /// What to ask [default: /health of the service on this machine, where --admin-listen or else --listen says]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    url: Option<Uri>,
    /// Where the service listens
    #[arg(long, env = "PULSE_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    #[command(flatten)]
    server: ServerSettings,
    /// How long the answer may take
    #[arg(long, default_value = "3s", value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,
}

/// Says what the service answered.
///
/// # Errors
/// When it answered anything but success, or not in time; the text names the URL and what was wrong.
pub(crate) async fn health(settings: HealthSettings) -> anyhow::Result<()> {
    let url = match settings.url {
        Some(url) => url,
        None => beside(settings.server.admin_listen.unwrap_or(settings.listen))?,
    };
    let answer = tokio::time::timeout(settings.timeout, ask(&url)).await;
    let status = answer.with_context(|| format!("{url} did not answer within {:?}", settings.timeout))??;
    if !status.is_success() {
        bail!("{url} answered {status}");
    }
    Console::result(&format!("{url} answered {status}"));
    Ok(())
}

/// The health of what listens there, reached from this machine: "every address" is no address to connect to.
fn beside(listen: SocketAddr) -> anyhow::Result<Uri> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}/health", SocketAddr::new(ip, listen.port())).parse().context("the service's address makes no URL")
}

async fn ask(url: &Uri) -> anyhow::Result<axum::http::StatusCode> {
    let host = url.host().unwrap_or_default();
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80)));
    let stream = stream.await.with_context(|| format!("{url} cannot be reached"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(|| format!("{url} speaks no HTTP"))?;
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(header::HOST, authority).header(header::CONNECTION, "close").body(Body::empty())?;
    // The connection moves the bytes until it ends, with or without an answer; which of both it was, the request knows.
    let moving = async {
        let _moved = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer.with_context(|| format!("{url} did not answer"))?.status()),
        never = moving => match never {},
    }
}

fn parse_url(text: &str) -> Result<Uri, String> {
    let wrong = "write an http URL, for example http://127.0.0.1:8080/health";
    let url: Uri = text.parse().map_err(|error| format!("{error}: {wrong}"))?;
    let plain = url.scheme() == Some(&Scheme::HTTP) && url.host().is_some_and(|host| !host.is_empty());
    if plain { Ok(url) } else { Err(wrong.to_owned()) }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What is said of a server that answers with this and closes the connection.
    async fn said_of(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url: Uri = format!("http://{}/health", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1));
        let asked =
            HealthSettings { url: Some(url), listen, server: ServerSettings { admin_listen: None }, timeout: Duration::from_secs(20) };
        let said = health(asked).await.map_or_else(|error| format!("{error:#}"), |()| "well".to_owned());
        server.await.unwrap();
        said
    }

    #[tokio::test]
    async fn the_answer_decides_also_when_the_connection_ends_with_it() {
        assert_eq!(said_of("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await, "well");
        let ill = said_of("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert!(ill.ends_with("/health answered 503 Service Unavailable"), "{ill}");
        for broken in ["", "SSH-2.0-OpenSSH\r\n"] {
            let ill = said_of(broken).await;
            assert!(ill.contains("/health did not answer"), "{ill}");
        }
    }

    #[test]
    fn the_service_beside_it_is_found_where_it_listens() {
        for (listen, url) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080/health"),
            ("[::]:8080", "http://[::1]:8080/health"),
            ("10.1.2.3:9090", "http://10.1.2.3:9090/health"),
        ] {
            assert_eq!(beside(listen.parse().unwrap()).unwrap().to_string(), url);
        }
    }

    #[test]
    fn only_plain_http_is_asked() {
        assert!(parse_url("http://otel-collector:13133/").is_ok());
        for wrong in ["127.0.0.1:8080", "https://127.0.0.1:8080/health", "http://", "/health"] {
            assert!(parse_url(wrong).unwrap_err().contains("http://127.0.0.1:8080/health"), "{wrong}");
        }
    }
}
