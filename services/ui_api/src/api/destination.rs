//! Destinations as clients write and see them: checked on the way in, without their secrets on the way out.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use pulse_domain::integration::{Destination, SIGNING_SECRET_BYTES, SIGNING_SECRET_PREFIX, is_reserved_header};
use rand::RngExt as _;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::problem::Problem;

const URL_MAX_BYTES: usize = 2_048;
const HEADERS_MAX: usize = 20;
const HEADER_VALUE_MAX_BYTES: usize = 4_096;
/// What a client writes to have a secret made.
const GENERATE: &str = "generate";
/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// Where messages go. What is left out on a change stays as it was
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum DestinationBody {
    /// A POST of JSON
    Webhook {
        /// http or https, without a user in it
        url: Option<String>,
        /// Sent with each message. To be given anew when the URL changes to another host
        headers: Option<BTreeMap<String, String>>,
        /// `whsec_` and base64 of 24 to 64 bytes, or `generate`; null: messages are not signed
        #[serde(default, deserialize_with = "given")]
        #[schema(value_type = Option<String>)]
        signing_secret: Option<Option<String>>,
    },
    /// An incoming webhook in Slack's format
    Slack { url: Option<String> },
}

/// Tells null from left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Where messages go, without the secrets
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum DestinationView {
    Webhook {
        /// Without its query
        url: String,
        /// The values are hidden
        headers: BTreeMap<String, &'static str>,
        signed: bool,
    },
    Slack {
        /// Without its path, which is the secret
        url: String,
    },
}

impl From<&Destination> for DestinationView {
    fn from(destination: &Destination) -> Self {
        match destination {
            Destination::Webhook { url, headers, signing_secret } => Self::Webhook {
                url: match url.split_once('?') {
                    Some((base, _)) => format!("{base}?{HIDDEN}"),
                    None => url.clone(),
                },
                headers: headers.keys().map(|name| (name.clone(), HIDDEN)).collect(),
                signed: signing_secret.is_some(),
            },
            Destination::Slack { url } => Self::Slack {
                url: Url::parse(url).map_or_else(|_| HIDDEN.to_owned(), |url| format!("{}/{HIDDEN}", url.origin().ascii_serialization())),
            },
        }
    }
}

/// A destination that was checked, and the secret if one was made for it.
pub(super) struct Accepted {
    pub(super) destination: Destination,
    pub(super) generated: Option<String>,
}

/// Checks a destination; what is left out comes from `old`.
pub(super) fn accept(body: DestinationBody, old: Option<&Destination>) -> Result<Accepted, Problem> {
    match body {
        DestinationBody::Slack { url } => {
            let old_url = old.and_then(|old| if let Destination::Slack { url } = old { Some(url) } else { None });
            Ok(Accepted { destination: Destination::Slack { url: accept_url(url, old_url)? }, generated: None })
        }
        DestinationBody::Webhook { url, headers, signing_secret } => {
            let old = old.and_then(|old| match old {
                Destination::Webhook { url, headers, signing_secret } => Some((url, headers, signing_secret)),
                Destination::Slack { .. } => None,
            });
            let url = accept_url(url, old.map(|(url, ..)| url))?;
            let headers = match (headers, old) {
                (Some(headers), _) => accept_headers(headers)?,
                (None, Some((old_url, old_headers, _))) => keep_headers(&url, old_url, old_headers)?,
                (None, None) => BTreeMap::new(),
            };
            let (signing_secret, generated) = match signing_secret {
                None => (old.and_then(|(_, _, secret)| secret.clone()), None),
                Some(None) => (None, None),
                Some(Some(wish)) if wish == GENERATE => {
                    let made = generate_secret();
                    (Some(made.clone()), Some(made))
                }
                Some(Some(secret)) => (Some(accept_secret(secret)?), None),
            };
            Ok(Accepted { destination: Destination::Webhook { url, headers, signing_secret }, generated })
        }
    }
}

fn accept_url(url: Option<String>, old: Option<&String>) -> Result<String, Problem> {
    let Some(url) = url else {
        return old.cloned().ok_or_else(|| Problem::validation("url is missing"));
    };
    let wrong = |why: &str| Err(Problem::validation(format!("url {why}")));
    if url.len() > URL_MAX_BYTES {
        return wrong(&format!("has at most {URL_MAX_BYTES} bytes"));
    }
    if url.contains(HIDDEN) {
        return wrong("is the hidden form of an answer: leave it out to keep the one that is there");
    }
    let Ok(parsed) = Url::parse(&url) else {
        return wrong("must be a whole URL such as https://example.com/hook");
    };
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return wrong("must begin with https:// or http:// and name a host");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return wrong("must not hold a user or a password: use the header Authorization");
    }
    Ok(parsed.into())
}

/// A caller who cannot read the headers must not be able to have them sent to a host of their own.
fn keep_headers(url: &str, old_url: &str, old: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Problem> {
    let origin = |url: &str| Url::parse(url).map(|url| url.origin());
    let same = matches!((origin(url), origin(old_url)), (Ok(new), Ok(old)) if new == old);
    if same || old.is_empty() {
        return Ok(old.clone());
    }
    Err(Problem::validation("the URL changes to another host: give headers anew, as the old ones may hold secrets ({} for none)"))
}

fn accept_headers(headers: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Problem> {
    if headers.len() > HEADERS_MAX {
        return Err(Problem::validation(format!("headers has at most {HEADERS_MAX} entries, this one has {}", headers.len())));
    }
    let mut accepted = BTreeMap::new();
    for (name, value) in headers {
        let parsed = HeaderName::try_from(&name).map_err(|_| Problem::validation(format!("{name:?} is no name of a header")))?;
        let name = parsed.as_str();
        if is_reserved_header(name) {
            return Err(Problem::validation(format!("the header {name} is set by Pulse itself")));
        }
        if value.len() > HEADER_VALUE_MAX_BYTES || HeaderValue::from_str(&value).is_err() || value == HIDDEN {
            return Err(Problem::validation(format!(
                "the value of the header {name} must be at most {HEADER_VALUE_MAX_BYTES} visible characters (and not {HIDDEN})"
            )));
        }
        if accepted.insert(name.to_owned(), value).is_some() {
            return Err(Problem::validation(format!("the header {name} stands twice")));
        }
    }
    Ok(accepted)
}

fn accept_secret(secret: String) -> Result<String, Problem> {
    let bytes = secret.strip_prefix(SIGNING_SECRET_PREFIX).and_then(|base64| STANDARD.decode(base64).ok());
    if bytes.is_some_and(|bytes| SIGNING_SECRET_BYTES.contains(&bytes.len())) {
        return Ok(secret);
    }
    Err(Problem::validation("signing_secret must be whsec_ and base64 of 24 to 64 bytes, or \"generate\" to have one made"))
}

fn generate_secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    format!("{SIGNING_SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: serde_json::Value) -> DestinationBody {
        serde_json::from_value(json).unwrap()
    }

    fn webhook(url: &str, headers: &[(&str, &str)], secret: Option<&str>) -> Destination {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Destination::Webhook { url: url.to_owned(), headers, signing_secret: secret.map(str::to_owned) }
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let secret_short = format!("whsec_{}", STANDARD.encode([1; 23]));
        let table = [
            (serde_json::json!({"kind": "webhook"}), "url is missing"),
            (serde_json::json!({"kind": "slack"}), "url is missing"),
            (serde_json::json!({"kind": "webhook", "url": "example.com"}), "whole URL"),
            (serde_json::json!({"kind": "webhook", "url": "ftp://example.com"}), "https://"),
            (serde_json::json!({"kind": "webhook", "url": "https://me:pw@example.com"}), "user or a password"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com/?***"}), "hidden form"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com", "headers": {"a b": "1"}}), "no name of a header"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com", "headers": {"Host": "x"}}), "host is set by Pulse"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com", "headers": {"Webhook-Id": "x"}}), "webhook-id is set"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com", "headers": {"x": "a\nb"}}), "visible characters"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com", "headers": {"X": "1", "x": "2"}}), "stands twice"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com", "signing_secret": "abc"}), "whsec_"),
            (serde_json::json!({"kind": "webhook", "url": "https://e.com", "signing_secret": secret_short}), "whsec_"),
        ];
        for (json, says) in table {
            let problem = format!("{:?}", accept(body(json), None).err().unwrap());
            assert!(problem.contains(says), "{problem} should say {says}");
        }
    }

    #[test]
    fn what_is_left_out_stays() {
        let secret = format!("whsec_{}", STANDARD.encode([1; 32]));
        let old = webhook("https://e.com/a?key=1", &[("authorization", "Bearer x")], Some(&secret));
        let kept = accept(body(serde_json::json!({"kind": "webhook"})), Some(&old)).ok().unwrap();
        assert!(kept.destination == old);
        let unsigned = accept(body(serde_json::json!({"kind": "webhook", "signing_secret": null})), Some(&old)).ok().unwrap();
        assert!(unsigned.destination == webhook("https://e.com/a?key=1", &[("authorization", "Bearer x")], None));
        let made = accept(body(serde_json::json!({"kind": "webhook", "signing_secret": "generate"})), Some(&old)).ok().unwrap();
        assert!(accept_secret(made.generated.unwrap()).is_ok());
    }

    #[test]
    fn headers_do_not_follow_to_another_host() {
        let old = webhook("https://e.com/a", &[("authorization", "Bearer x")], None);
        let elsewhere = serde_json::json!({"kind": "webhook", "url": "https://evil.example/a"});
        assert!(accept(body(elsewhere), Some(&old)).is_err());
        let path = serde_json::json!({"kind": "webhook", "url": "https://e.com/b"});
        assert!(accept(body(path), Some(&old)).is_ok());
        let anew = serde_json::json!({"kind": "webhook", "url": "https://evil.example/a", "headers": {}});
        assert!(accept(body(anew), Some(&old)).ok().unwrap().destination == webhook("https://evil.example/a", &[], None));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = |destination: &Destination| serde_json::to_string(&DestinationView::from(destination)).unwrap();
        let hook = shown(&webhook("https://e.com/a?key=SECRET", &[("authorization", "SECRET")], Some("SECRET")));
        assert_eq!(hook, r#"{"kind":"webhook","url":"https://e.com/a?***","headers":{"authorization":"***"},"signed":true}"#);
        let slack = shown(&Destination::Slack { url: "https://hooks.slack.com/services/SECRET".to_owned() });
        assert_eq!(slack, r#"{"kind":"slack","url":"https://hooks.slack.com/***"}"#);
    }
}
