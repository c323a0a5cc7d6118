//! Chat in Slack's format (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>), which Mattermost, Rocket.Chat and
//! others take too. The address is the secret, so it appears in no log and no detail.

use pulse_domain::job::Failure;
use serde_json::{Value, json};

use super::message::{Message, parse_url};
use crate::http_client::Post;

/// Slack's bound for a header block's text, in characters.
const HEADER_MAX_CHARS: usize = 150;
/// Slack allows 2,000 characters in a field; this many are used.
const FIELD_MAX_CHARS: usize = 300;
/// Slack allows 3,000 characters in a section; this many are used.
const SECTION_MAX_CHARS: usize = 1500;

/// The request to a chat channel.
pub(crate) fn post(message: &Message<'_>, address: &str) -> Result<Post, Failure> {
    let url = parse_url(address)?;
    let secrets = [url.path(), address].map(str::to_owned).into();
    let body = render(&message.job.payload.to_value()).to_string().into_bytes();
    Ok(Post { url, headers: message.headers()?, body, secrets, resends: message.resends() })
}

/// The message: `text` is what a notification shows, `blocks` what the channel shows.
fn render(payload: &Value) -> Value {
    let event = text_of(payload, "event");
    let (device, site) = (text_of(payload, "device_id"), text_of(payload, "site_id"));
    let summary = text_of(payload, "summary");
    let title = title(&event, payload);
    let fields: Vec<Value> = [
        ("Device", device.as_str()),
        ("Site", site.as_str()),
        ("Severity", &text_of(payload, "severity")),
        ("Type", &text_of(payload, "alert_type")),
        ("Status", &text_of(payload, "status")),
        ("Since", &text_of(payload, "created_at")),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| mrkdwn(&format!("*{name}*\n{}", escape(&shorten(value, FIELD_MAX_CHARS)))))
    .collect();
    let mut blocks =
        vec![json!({"type": "header", "text": {"type": "plain_text", "text": shorten(&title, HEADER_MAX_CHARS), "emoji": true}})];
    if !summary.is_empty() {
        blocks.push(json!({"type": "section", "text": mrkdwn(&escape(&shorten(&summary, SECTION_MAX_CHARS)))}));
    }
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let alert_id = text_of(payload, "alert_id");
    if !alert_id.is_empty() {
        blocks.push(json!({"type": "context", "elements": [mrkdwn(&format!("Alert `{}`", escape(&alert_id)))]}));
    }
    json!({"text": escape(&shorten(&format!("{title}: {summary}"), SECTION_MAX_CHARS)), "blocks": blocks})
}

/// The title: what happened to which device.
fn title(event: &str, payload: &Value) -> String {
    let what = match event {
        "OPEN" => ":rotating_light: Alert opened".to_owned(),
        "ACKNOWLEDGED" => ":eyes: Alert acknowledged".to_owned(),
        "ESCALATED" => format!(":arrow_double_up: Alert escalated to level {}", text_of(payload, "escalation_level")),
        "CLOSED" => ":white_check_mark: Alert closed".to_owned(),
        _ => "Alert changed".to_owned(),
    };
    match text_of(payload, "device_id") {
        device if device.is_empty() => what,
        device => format!("{what} on {device}"),
    }
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text})
}

/// A field of the payload as text; empty when it is missing.
fn text_of(payload: &Value, field: &str) -> String {
    match payload.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The three characters that Slack reads as markup: a device's name must not mention a whole channel.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn shorten(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars.saturating_sub(1)) {
        Some((end, last)) if end + last.len_utf8() < text.len() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Value {
        json!({
            "event": "OPEN", "alert_id": "a-1", "device_id": "pump-7", "site_id": "north", "alert_type": "THRESHOLD", "severity": 4,
            "summary": "temperature 93.1 > 90", "status": "OPEN", "created_at": "2026-03-01T12:00:00Z", "details": {"metric": "t"}
        })
    }

    #[test]
    fn it_says_what_happened_where_and_how_bad() {
        let message = render(&payload());
        assert_eq!(message["text"], ":rotating_light: Alert opened on pump-7: temperature 93.1 &gt; 90");
        assert_eq!(message["blocks"][0]["text"]["text"], ":rotating_light: Alert opened on pump-7");
        assert_eq!(message["blocks"][1]["text"]["text"], "temperature 93.1 &gt; 90");
        let fields: Vec<&str> = message["blocks"][2]["fields"].as_array().unwrap().iter().filter_map(|f| f["text"].as_str()).collect();
        assert_eq!(
            fields,
            ["*Device*\npump-7", "*Site*\nnorth", "*Severity*\n4", "*Type*\nTHRESHOLD", "*Status*\nOPEN", "*Since*\n2026-03-01T12:00:00Z"]
        );
        assert_eq!(message["blocks"][3]["elements"][0]["text"], "Alert `a-1`");
    }

    #[test]
    fn every_event_has_its_title() {
        for (event, title) in [
            ("ACKNOWLEDGED", ":eyes: Alert acknowledged on pump-7"),
            ("ESCALATED", ":arrow_double_up: Alert escalated to level 2 on pump-7"),
            ("CLOSED", ":white_check_mark: Alert closed on pump-7"),
            ("SOMETHING", "Alert changed on pump-7"),
        ] {
            let mut payload = payload();
            payload["event"] = event.into();
            payload["escalation_level"] = 2.into();
            assert_eq!(render(&payload)["blocks"][0]["text"]["text"], title);
        }
    }

    #[test]
    fn markup_in_names_is_text() {
        let mut payload = payload();
        payload["summary"] = "<!channel> & <https://evil.example|click>".into();
        let message = render(&payload);
        assert_eq!(message["blocks"][1]["text"]["text"], "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;");
        assert!(!message["text"].as_str().unwrap().contains('<'));
    }

    #[test]
    fn slacks_bounds_are_kept_and_a_poor_payload_still_makes_a_message() {
        let mut payload = payload();
        payload["device_id"] = "é".repeat(500).into();
        payload["summary"] = "x".repeat(10_000).into();
        let message = render(&payload);
        assert_eq!(message["blocks"][0]["text"]["text"].as_str().unwrap().chars().count(), HEADER_MAX_CHARS);
        assert_eq!(message["blocks"][1]["text"]["text"].as_str().unwrap().chars().count(), SECTION_MAX_CHARS);
        assert_eq!(render(&json!({}))["blocks"][0]["text"]["text"], "Alert changed");
    }

    #[test]
    fn shortening_counts_characters() {
        for (text, max, expected) in [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, ""), ("ééé", 3, "ééé"), ("éééé", 3, "éé…")]
        {
            assert_eq!(shorten(text, max), expected);
        }
    }
}
