//! The one HTTP client of all deliveries: connections are kept and TLS is set up once, as a client of its own for each delivery costs
//! fifty times the delivery.

use std::time::Duration;

use pulse_domain::job::Failure;
use pulse_runtime::{Clock, Error, attribute, spans, tls};
use pulse_telemetry::Tracer;
use pulse_telemetry::opentelemetry::KeyValue;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use crate::egress::Guard;
use crate::egress::resolver::GuardedResolver;
use crate::settings::Settings;
use crate::{ca_file, excerpt, failure, retry_after};

/// Much of the world closes idle connections after 5 s; one that is closed while we send costs a retry.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// How much of an answer's body is read: enough for a reason, and to use the connection again after the usual `ok`.
const BODY_MAX_BYTES: usize = 4096;
/// How long the rest of a body is waited for once the status has come.
const BODY_WAIT_MAX: Duration = Duration::from_secs(1);

/// The attribute of a request's span that counts the attempts before it.
const RESEND_COUNT: &str = "http.request.resend_count";

/// Sends messages to where the guard lets them.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    guard: Guard,
    clock: Clock,
    tracer: Tracer,
    timeout: Duration,
    connect_timeout: Duration,
}

/// A POST request.
pub(crate) struct Post {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Texts that a failure's detail must not repeat.
    pub(crate) secrets: Vec<String>,
    /// How many times the same message was sent before.
    pub(crate) resends: u32,
}

impl Http {
    /// # Errors
    /// [`Error::Settings`] when the CA file cannot be used; [`Error::Task`] when the client cannot be set up, a defect of the build.
    pub(crate) fn new(settings: &Settings, clock: Clock, tracer: Tracer) -> Result<Self, Error> {
        let mut roots = tls::web_roots();
        if let Some(ca_file) = &settings.ca_file {
            ca_file::add_to(&mut roots, ca_file)?;
        }
        let guard = Guard::new(settings.allow_http, settings.allowed_ranges.clone());
        let client = Client::builder()
            .tls_backend_preconfigured(tls::client_config(roots)?)
            .dns_resolver(GuardedResolver::new(guard.clone()))
            // A proxy would resolve and connect in our place, past the guard.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .http1_only()
            .referer(false)
            .user_agent(concat!("Pulse/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(usize::try_from(settings.concurrency.max(settings.notification_concurrency)).unwrap_or(usize::MAX))
            .build()
            .map_err(|source| Error::Task { what: "setting up the HTTP client", source: Box::new(source) })?;
        Ok(Self { client, guard, clock, tracer, timeout: settings.timeout, connect_timeout: settings.connect_timeout })
    }

    /// Posts, and takes any 2xx for the receiver's acknowledgement. The receiver is told the request's span, so that its own may go on from it.
    pub(crate) async fn post(&self, mut post: Post) -> Result<StatusCode, Failure> {
        self.guard.check_url(&post.url).map_err(failure::blocked)?;
        let span = spans::request(&self.tracer, "POST", &post.url);
        if post.resends > 0 {
            span.set(KeyValue::new(RESEND_COUNT, i64::from(post.resends)));
        }
        self.tracer.inject(&span, &mut post.headers);
        // A status needs no further description.
        let describe =
            |failure: &Failure| (failure.kind.as_str(), if failure.http_status.is_some() { String::new() } else { failure.detail.clone() });
        let sent = span.run(self.send(post), describe).await;
        let status = sent.as_ref().map_or_else(|failure| failure.http_status, |status| Some(status.as_u16()));
        if let Some(status) = status.filter(|_| span.is_recording()) {
            span.set(KeyValue::new(attribute::HTTP_STATUS, i64::from(status)));
        }
        sent
    }

    async fn send(&self, post: Post) -> Result<StatusCode, Failure> {
        let mut secrets = post.secrets;
        // Many services expect a token in the query.
        secrets.extend(post.url.query().map(str::to_owned));
        let request = self.client.post(post.url).headers(post.headers).body(post.body);
        let response = request.send().await.map_err(|error| failure::transport(&error, self.connect_timeout, self.timeout))?;
        let status = response.status();
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after::parse(value, self.clock.now()));
        let body = beginning_of(response).await;
        if status.is_success() { Ok(status) } else { Err(failure::answer(status, &excerpt::of(&body, &secrets), asked)) }
    }
}

/// Up to [`BODY_MAX_BYTES`] of the body. The status has been heard, so whatever happens here changes nothing.
async fn beginning_of(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = BODY_MAX_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
    };
    // Of a body that is too slow, what has come so far is enough.
    let _in_time = tokio::time::timeout(BODY_WAIT_MAX, reading).await.is_ok();
    body
}

#[cfg(test)]
mod tests {
    use pulse_domain::job::ErrorKind;
    use pulse_telemetry::Telemetry;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn http(allowed: &str) -> Http {
        let settings = Settings {
            allow_http: true,
            allowed_ranges: allowed.split_whitespace().map(|range| range.parse().unwrap()).collect(),
            timeout: Duration::from_millis(300),
            ..Settings::default()
        };
        let telemetry = Telemetry::builder("delivery_worker").env(|_| None).init().unwrap();
        Http::new(&settings, Clock::system(), telemetry.tracer()).unwrap()
    }

    /// A receiver for one connection that reads a request's head and then does as it is told.
    async fn receiver<F: Future<Output = ()> + Send>(act: impl FnOnce(TcpStream) -> F + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            act(stream).await;
        });
        address.to_string()
    }

    async fn answering(answer: &'static str) -> String {
        receiver(move |mut stream| async move { stream.write_all(answer.as_bytes()).await.unwrap() }).await
    }

    fn post_to(url: &str) -> Post {
        let secrets = vec!["s3cr3t-token".to_owned()];
        Post { url: url.parse().unwrap(), headers: HeaderMap::new(), body: b"{}".to_vec(), secrets, resends: 0 }
    }

    async fn post(url: &str) -> Result<StatusCode, Failure> {
        http("127.0.0.0/8").post(post_to(url)).await
    }

    async fn check(url: String, kind: ErrorKind, detail: &str) {
        let failure = post(&url).await.unwrap_err();
        assert!(failure.kind == kind && failure.detail.contains(detail), "{url}: {failure:?}");
        assert!(!failure.detail.contains("/secret-path"), "the address may be the secret: {failure:?}");
    }

    #[tokio::test]
    async fn a_receiver_that_never_answers_is_a_timeout() {
        let address = receiver(|stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await;
        check(format!("http://{address}/secret-path"), ErrorKind::Timeout, "no answer within 300ms").await;
    }

    #[tokio::test]
    async fn nobody_there_is_no_connection() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        check(format!("http://{address}/secret-path"), ErrorKind::Connect, "no connection: Connection refused").await;
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_no_connection() {
        // Longer than a label may be, so that no name server is asked.
        let url = format!("http://{}.invalid/secret-path", "x".repeat(64));
        check(url, ErrorKind::Connect, "host name cannot be resolved").await;
    }

    #[tokio::test]
    async fn a_connection_that_breaks_is_told_from_one_that_never_was() {
        let reset = receiver(|stream| async move { stream.set_zero_linger().unwrap() }).await;
        check(format!("http://{reset}/secret-path"), ErrorKind::Connect, "the connection broke before an answer came").await;
        let closed = receiver(|stream| async move { drop(stream) }).await;
        check(format!("http://{closed}/secret-path"), ErrorKind::Connect, "the connection broke before an answer came").await;
    }

    #[tokio::test]
    async fn plain_text_where_tls_is_spoken_is_a_tls_failure() {
        let address = answering("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        check(format!("https://{address}/secret-path"), ErrorKind::Tls, "no secure connection").await;
    }

    #[tokio::test]
    async fn an_answer_that_is_no_http_is_the_servers_fault() {
        let address = answering("SSH-2.0-OpenSSH_9.9\r\n").await;
        check(format!("http://{address}/secret-path"), ErrorKind::Server, "not HTTP").await;
    }

    #[tokio::test]
    async fn redirects_are_refused_and_not_followed() {
        let address = answering("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        check(format!("http://{address}/secret-path"), ErrorKind::Refused, "redirects (302 Found)").await;
    }

    #[tokio::test]
    async fn a_refusal_says_why_without_our_secrets_and_when_to_come_back() {
        let address =
            answering("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 33\r\n\r\nslow key=down Bearer s3cr3t-token")
                .await;
        let failure = post(&format!("http://{address}/?key=down")).await.unwrap_err();
        assert_eq!((failure.kind, failure.http_status, failure.retry_after), (ErrorKind::Refused, Some(429), Some(Duration::from_secs(7))));
        assert_eq!(failure.detail, "the receiver answered 429 Too Many Requests: slow [redacted] Bearer [redacted]");
    }

    #[tokio::test]
    async fn a_success_is_one_whatever_its_body_does() {
        let endless = receiver(|mut stream| async move {
            stream.write_all(b"HTTP/1.1 202 Accepted\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        })
        .await;
        assert_eq!(post(&format!("http://{endless}/")).await, Ok(StatusCode::ACCEPTED));
        let stalled = receiver(|mut stream| async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        assert_eq!(post(&format!("http://{stalled}/")).await, Ok(StatusCode::OK));
    }

    #[tokio::test]
    async fn forbidden_destinations_are_never_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST"] {
            let failure = http("10.0.0.0/8").post(post_to(&format!("http://{host}:{port}/"))).await.unwrap_err();
            assert!(failure.kind == ErrorKind::Blocked && failure.detail.contains("loopback"), "{host}: {failure:?}");
        }
        // Not blocking: whoever connected before a post returned would be waiting here.
        let nobody = listener.into_std().unwrap().accept().unwrap_err();
        assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    }
}
