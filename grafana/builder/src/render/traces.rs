//! The address of the traces behind a latency: Grafana's Explore, with a question to Tempo.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::panel::Traces;

/// Everything is encoded but Grafana's variables, which it fills in, encoded, when the link is followed.
pub(super) fn url(whose: Traces) -> String {
    let service = match whose {
        Traces::Of(service) => service,
        Traces::OfTheSeries => "${__field.labels.service}",
    };
    let question = format!(r#"{{resource.service.namespace="pulse" && resource.service.name="{service}"}}"#);
    let tempo = "${tempo}";
    let panes = json!({
        "traces": {
            "datasource": tempo,
            "queries": [{ "refId": "A", "datasource": { "type": "tempo", "uid": tempo }, "queryType": "traceql", "query": question }],
            "range": { "from": "${__from}", "to": "${__to}" },
        },
    });
    format!("/explore?schemaVersion=1&panes={}", encode(&panes.to_string()))
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    let mut rest = text;
    while let Some((before, variable, after)) = next_variable(rest) {
        encoded.extend(utf8_percent_encode(before, NON_ALPHANUMERIC));
        encoded.push_str(variable);
        rest = after;
    }
    encoded.extend(utf8_percent_encode(rest, NON_ALPHANUMERIC));
    encoded
}

/// Splits at the first `${…}`.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("${")?;
    let end = start + text[start..].find('}')? + 1;
    Some((&text[..start], &text[start..end], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stay_and_the_rest_is_encoded() {
        let url = url(Traces::OfTheSeries);
        for part in ["uid%22%3A%22${tempo}%22", "name%3D%5C%22${__field.labels.service}%5C%22%7D", "%22${__from}%22"] {
            assert!(url.contains(part), "{part} is not in {url}");
        }
        assert!(!url[9..].contains(['"', '{', ' ']) || url[9..].replace("${", "").find(['"', '{', ' ']).is_none(), "{url}");
    }
}
