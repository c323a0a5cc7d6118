//! Webhooks: a POST of the job's JSON, signed by Standard Webhooks (<https://www.standardwebhooks.com>).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pulse_domain::integration::{SIGNING_SECRET_BYTES, SIGNING_SECRET_PREFIX, is_reserved_header};
use pulse_domain::job::Failure;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::message::{Message, parse_url};
use crate::failure;
use crate::http_client::Post;

const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The request to a webhook.
pub(crate) fn post(
    message: &Message<'_>,
    url: &str,
    own: &BTreeMap<String, String>,
    signing_secret: Option<&str>,
) -> Result<Post, Failure> {
    let body = message.job.payload.as_str().as_bytes().to_vec();
    let mut headers = message.headers()?;
    add_own(&mut headers, own)?;
    let timestamp = message.at.timestamp();
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
    if let Some(secret) = signing_secret {
        headers.insert(WEBHOOK_SIGNATURE, sign(secret, &message.id(), timestamp, &body)?);
    }
    let secrets = own.values().cloned().chain(signing_secret.map(str::to_owned)).collect();
    Ok(Post { url: parse_url(url)?, headers, body, secrets, resends: message.resends() })
}

/// The integration's own headers.
fn add_own(headers: &mut HeaderMap, own: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, value) in own {
        let Ok(parsed) = HeaderName::try_from(name) else {
            return Err(failure::config(format!("the integration's header {name:?} is no header name: rename it and replay the job")));
        };
        if is_reserved_header(parsed.as_str()) {
            return Err(failure::config(format!("the integration's header {parsed} is set by Pulse itself: remove it and replay the job")));
        }
        let Ok(mut value) = HeaderValue::try_from(value) else {
            return Err(failure::config(format!(
                "the value of the integration's header {parsed} holds characters that no header may: correct it and replay the job"
            )));
        };
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(())
}

/// The signature over id, time and body.
fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Result<HeaderValue, Failure> {
    let unusable = || {
        let (least, most) = (SIGNING_SECRET_BYTES.start(), SIGNING_SECRET_BYTES.end());
        failure::config(format!(
            "the integration's signing secret must be {SIGNING_SECRET_PREFIX} and base64 of {least} to {most} bytes: set a new one and replay the job"
        ))
    };
    let key = secret.strip_prefix(SIGNING_SECRET_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = key.filter(|key| SIGNING_SECRET_BYTES.contains(&key.len())).ok_or_else(unusable)?;
    let signature = standardwebhooks::Webhook::from_bytes(key).and_then(|signer| signer.sign(id, timestamp, body));
    signature.ok().and_then(|text| HeaderValue::try_from(text).ok()).ok_or_else(unusable)
}

#[cfg(test)]
mod tests {
    use pulse_domain::job::ErrorKind;

    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    #[test]
    fn the_signature_is_the_standards() {
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let signature = sign(SECRET, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap();
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn a_secret_that_cannot_sign_is_named_but_not_shown() {
        for secret in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "whsec_!!!!",
            &format!("whsec_{}", STANDARD.encode([7; 65])),
        ] {
            let failure = sign(secret, "id", 0, b"{}").unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Config);
            assert!(failure.detail.contains("signing secret must be whsec_ and base64 of 24 to 64 bytes"), "{}", failure.detail);
            assert!(secret.len() < 7 || !failure.detail.contains(secret));
        }
    }

    #[test]
    fn own_headers_are_sent_but_none_that_pulse_sets() {
        let own = |name: &str, value: &str| {
            let mut headers = HeaderMap::new();
            add_own(&mut headers, &[(name.to_owned(), value.to_owned())].into()).map(|()| headers)
        };
        assert_eq!(own("Authorization", "Bearer x").unwrap()["authorization"], "Bearer x");
        for (name, reason) in [
            ("Content-Type", "set by Pulse"),
            ("HOST", "set by Pulse"),
            ("Webhook-Id", "set by Pulse"),
            ("webhook-anything", "set by Pulse"),
            ("TraceParent", "set by Pulse"),
            ("Transfer-Encoding", "set by Pulse"),
            ("User-Agent", "set by Pulse"),
            ("", "no header name"),
            ("a b", "no header name"),
            ("x\r\ny", "no header name"),
        ] {
            let failure = own(name, "v").unwrap_err();
            assert!(failure.kind == ErrorKind::Config && failure.detail.contains(reason), "{name}: {}", failure.detail);
        }
        let failure = own("x-token", "secret\r\nvalue").unwrap_err();
        assert!(failure.detail.contains("x-token") && !failure.detail.contains("secret"), "{}", failure.detail);
    }
}
