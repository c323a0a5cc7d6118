//! The two doors of the server, as a device sees them: a request in, a verdict for each message out.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use pulse_domain::reading::RejectReason;
use reqwest::Client;
use serde::Deserialize;

use crate::client;
use crate::error::Result;
use crate::fleet::Message;
use crate::wire::{BATCH_PATH, DeviceAccess, FleetAccess, TOKEN_HEADER, single_path};

/// The longest wait for an answer; the server's own is 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait that a Retry-After is followed for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Durable.
    Accepted,
    /// Refused for good: the server's reason, or the status where it gave none.
    Rejected(String),
    /// Not now.
    Retry,
}

/// What the server said to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// One for each message, in their order.
    pub verdicts: Vec<Verdict>,
    /// How long it asked to be left alone, at most 30 s.
    pub retry_after: Option<Duration>,
}

/// A client of the doors, with connections kept alive.
#[derive(Debug)]
pub struct Door {
    client: Client,
    base: String,
}

impl Door {
    /// The doors at this base URL.
    pub fn new(url: &str, connections: usize) -> Result<Self> {
        let base = client::base_url(url)?;
        let client = client::build(|builder| builder.timeout(ANSWER_TIMEOUT).pool_max_idle_per_host(connections))?;
        Ok(Self { client, base })
    }

    /// Sends one message through the single door. An error means that no answer came: the server may have taken it all the same.
    pub async fn single(
        &self,
        fleet: &FleetAccess,
        device: &DeviceAccess,
        message: &Message,
        body: Bytes,
    ) -> std::result::Result<Answer, reqwest::Error> {
        let url = format!("{}{}", self.base, single_path(&fleet.tenant_id, &device.device_id, message));
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json").header(TOKEN_HEADER, device.token.reveal()).body(body);
        let response = request.send().await?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = response.bytes().await?;
        Ok(Answer { verdicts: vec![whole(status, &body)], retry_after })
    }

    /// Sends `messages` messages through the batch door. An error means that no answer came.
    pub async fn batch(&self, messages: usize, body: Bytes) -> std::result::Result<Answer, reqwest::Error> {
        let request = self.client.post(format!("{}{BATCH_PATH}", self.base)).header(CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = response.bytes().await?;
        Ok(Answer { verdicts: each(status, &body, messages), retry_after })
    }
}

/// The verdict that a status alone gives: refusals that pass are tried again, and so is every fault of the server.
fn whole(status: StatusCode, body: &[u8]) -> Verdict {
    match status {
        _ if status.is_success() => Verdict::Accepted,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Verdict::Retry,
        _ if status.is_server_error() => Verdict::Retry,
        _ => Verdict::Rejected(problem_code(body).unwrap_or_else(|| format!("HTTP {}", status.as_u16()))),
    }
}

/// The stable code of a problem document, in the words of the batch door. Others are left out, so that the set of reasons stays closed.
fn problem_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
    }
    let code = serde_json::from_slice::<Problem>(body).ok()?.code.to_ascii_uppercase();
    RejectReason::ALL.iter().any(|reason| reason.as_str() == code).then_some(code)
}

/// The verdicts of a batch's answer; those that it does not mention are tried again.
fn each(status: StatusCode, body: &[u8], messages: usize) -> Vec<Verdict> {
    #[derive(Deserialize)]
    struct BatchAnswer {
        results: Vec<BatchResult>,
    }
    #[derive(Deserialize)]
    struct BatchResult {
        index: usize,
        status: String,
        #[serde(default)]
        reason: Option<RejectReason>,
    }
    let verdict = whole(status, body);
    if verdict != Verdict::Accepted {
        return vec![verdict; messages];
    }
    let Ok(answer) = serde_json::from_slice::<BatchAnswer>(body) else {
        return vec![Verdict::Rejected("ANSWER NOT UNDERSTOOD".into()); messages];
    };
    let mut verdicts = vec![Verdict::Retry; messages];
    for result in answer.results {
        let Some(verdict) = verdicts.get_mut(result.index) else { continue };
        *verdict = match (result.status.as_str(), result.reason) {
            ("accepted", _) => Verdict::Accepted,
            (_, Some(RejectReason::RateLimited | RejectReason::Unavailable)) => Verdict::Retry,
            (_, reason) => Verdict::Rejected(reason.map_or("NO REASON", RejectReason::as_str).to_owned()),
        };
    }
    verdicts
}

/// Retry-After in both its forms: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_on_a_single_message() {
        let problem = br#"{"type":"about:blank","code":"token_invalid"}"#;
        for (status, body, expected) in [
            (202, &b""[..], Verdict::Accepted),
            (401, problem, Verdict::Rejected("TOKEN_INVALID".into())),
            (403, b"<html>", Verdict::Rejected("HTTP 403".into())),
            (400, br#"{"code":"whatever-0815"}"#, Verdict::Rejected("HTTP 400".into())),
            (429, b"", Verdict::Retry),
            (500, b"", Verdict::Retry),
            (503, b"", Verdict::Retry),
        ] {
            assert_eq!(whole(StatusCode::from_u16(status).unwrap(), body), expected, "{status}");
        }
    }

    #[test]
    fn a_batch_is_judged_message_by_message() {
        let body = br#"{"accepted":1,"rejected":3,"results":[
            {"index":1,"status":"rejected","reason":"RATE_LIMITED","device_id":"b"},
            {"index":0,"status":"accepted","reason":null,"device_id":"a"},
            {"index":3,"status":"rejected","reason":"SITE_MISMATCH"},
            {"index":99,"status":"accepted"}]}"#;
        let expected = vec![Verdict::Accepted, Verdict::Retry, Verdict::Retry, Verdict::Rejected("SITE_MISMATCH".into())];
        assert_eq!(each(StatusCode::ACCEPTED, body, 4), expected);
        assert_eq!(each(StatusCode::SERVICE_UNAVAILABLE, b"", 2), vec![Verdict::Retry; 2]);
        assert_eq!(each(StatusCode::OK, b"?", 1), vec![Verdict::Rejected("ANSWER NOT UNDERSTOOD".into())]);
    }

    #[test]
    fn retry_after_has_two_forms_and_a_bound() {
        let wait = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(wait("2"), Some(Duration::from_secs(2)));
        assert_eq!(wait("86400"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
