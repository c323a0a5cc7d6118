//! The API as an operator uses it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Items on a page: the most there may be.
const PAGE: u32 = 500;

/// A client with an operator's token.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// A client of the API at `base`.
    pub fn new(base: impl Into<String>, token: impl Into<String>) -> Result<Self> {
        let client = pulse_simulator::client::build(|builder| builder.timeout(TIMEOUT))?;
        Ok(Self { client, base: base.into(), token: token.into() })
    }

    /// GET, as JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let request = self.client.get(format!("{}{path}", self.base));
        self.send(request).await.with_context(|| format!("GET {path}"))
    }

    /// POST of a JSON body, with the answer as JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        self.send(request).await.with_context(|| format!("POST {path}"))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Every item of a list, page by page.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit={PAGE}{after}")).await?;
            if let Value::Array(page) = page["items"].take() {
                items.extend(page);
            }
            match page["next"].as_str() {
                Some(cursor) => after = format!("&after={cursor}"),
                None => return Ok(items),
            }
        }
    }
}
