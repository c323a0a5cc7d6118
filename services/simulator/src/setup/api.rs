//! The API as an operator uses it: bearer token, JSON, problem documents.

use std::time::{Duration, Instant};

use pulse_domain::credential::SecretToken;
use pulse_runtime::Backoff;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use crate::client;
use crate::error::{Error, Result};

/// The longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server that is starting, or busy, is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait between two attempts.
const RETRY_WAIT_MAX: Duration = Duration::from_millis(250);
/// Rows asked for at once; the most that the API gives.
const PAGE_ROWS: usize = 500;
/// The most pages of one list.
const PAGES_MAX: usize = 10_000;

/// A client of the API.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: String,
    token: SecretToken,
}

/// An answer that is no fault of the server.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Api {
    pub(super) fn new(url: &str, token: SecretToken) -> Result<Self> {
        let base = client::base_url(url)?;
        let client = client::build(|builder| builder.timeout(ANSWER_TIMEOUT))?;
        Ok(Self { client, base, token })
    }

    /// Makes something, and reads what the API says of it.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.expect(Method::POST, path, Some(body)).await
    }

    /// Makes something unless it is there already: says whether it was made.
    pub(super) async fn post_unless_there(&self, path: &str, body: &Value) -> Result<bool> {
        let answer = self.call(&Method::POST, path, Some(body)).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(false);
        }
        read::<Value>(&describe(&Method::POST, path), &answer).map(|_made| true)
    }

    /// Changes something.
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<()> {
        self.expect::<Value>(Method::PUT, path, Some(body)).await.map(drop)
    }

    /// A whole list, page by page.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        #[derive(Deserialize)]
        struct Page<T> {
            items: Vec<T>,
            #[serde(default)]
            next: Option<String>,
        }
        let mut all = Vec::new();
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let page: Page<T> = self.expect(Method::GET, &format!("{path}?limit={PAGE_ROWS}{after}"), None).await?;
            all.extend(page.items);
            let Some(next) = page.next else { break };
            after = format!("&after={}", byte_serialize(next.as_bytes()).collect::<String>());
        }
        Ok(all)
    }

    async fn expect<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T> {
        let answer = self.call(&method, path, body).await?;
        read(&describe(&method, path), &answer)
    }

    /// Tries again while the server is not there, or says that it is busy; only then is it certain that nothing was done.
    async fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let (begun, mut backoff) = (Instant::now(), Backoff::up_to(RETRY_WAIT_MAX));
        loop {
            let mut request = self.client.request(method.clone(), format!("{}/api/v1{path}", self.base)).bearer_auth(self.token.reveal());
            if let Some(body) = body {
                request = request.json(body);
            }
            let is_patient = begun.elapsed() < PATIENCE;
            match request.send().await {
                Ok(response) if is_patient && is_busy(response.status()) => {}
                Ok(response) => {
                    let status = response.status();
                    let body = response.bytes().await.map_err(|source| unreachable(method, path, source))?;
                    return Ok(Answer { status, body: body.to_vec() });
                }
                Err(error) if is_patient && error.is_connect() => {}
                Err(source) => return Err(unreachable(method, path, source)),
            }
            tokio::time::sleep(backoff.failed()).await;
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
}

fn describe(method: &Method, path: &str) -> String {
    format!("{method} /api/v1{path}")
}

fn unreachable(method: &Method, path: &str, source: reqwest::Error) -> Error {
    Error::Unreachable { what: describe(method, path), source: source.without_url() }
}

fn read<T: DeserializeOwned>(what: &str, answer: &Answer) -> Result<T> {
    if !answer.status.is_success() {
        return Err(Error::Refused { what: what.to_owned(), status: answer.status.as_u16(), detail: problem(&answer.body) });
    }
    let body = if answer.body.is_empty() { b"null" } else { answer.body.as_slice() };
    serde_json::from_slice(body).map_err(|error| Error::Answer { what: what.to_owned(), detail: error.to_string() })
}

/// What a problem document says to people.
fn problem(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        title: String,
        #[serde(default)]
        detail: Option<String>,
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { title, detail: Some(detail) }) => format!("{title}: {detail}"),
        Ok(Problem { title, detail: None }) => title,
        Err(_) => "no problem document".to_owned(),
    }
}
