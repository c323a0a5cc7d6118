//! What Grafana is set up with fits the boards.

use std::collections::BTreeSet;

use pulse_boards::catalog;
use pulse_boards::files;
use pulse_boards::variable::{PROMETHEUS_UID, TEMPO_UID};
use serde_json::Value;

use crate::dashboards::{list, text};

fn provisioned(file: &str) -> Value {
    let path = files::directory().join("../provisioning").join(file);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every value under this key, however deep.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.extend(value.as_str().filter(|_| name == key));
                all(value, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn data_sources_are_those_the_boards_open_with() {
    let provisioned = provisioned("datasources/pulse.yaml");
    let sources = list(&provisioned, "/datasources");
    let by_uid = |uid: &str| sources.iter().find(|source| text(source, "/uid") == uid).map(|source| text(source, "/type"));
    assert_eq!(by_uid(PROMETHEUS_UID), Some("prometheus"));
    assert_eq!(by_uid(TEMPO_UID), Some("tempo"));
    assert_eq!(sources.iter().filter(|source| source["isDefault"] == true).count(), 1);
    for source in sources {
        assert_eq!(source["editable"], false, "{source}");
        let url = text(source, "/url");
        assert!(url.starts_with("${") && url.ends_with("_URL}"), "{url}: where it is comes from the environment");
    }
}

#[test]
fn links_between_data_sources_lead_to_those_that_are_there() {
    let provisioned = provisioned("datasources/pulse.yaml");
    let uids: BTreeSet<&str> = list(&provisioned, "/datasources").iter().map(|source| text(source, "/uid")).collect();
    let mut linked = Vec::new();
    all(&provisioned, "datasourceUid", &mut linked);
    assert_eq!(linked.iter().copied().collect::<BTreeSet<_>>(), uids, "each leads to the others");
}

/// A single dollar sign would be taken for a variable of the environment, and vanish.
#[test]
fn what_grafana_fills_in_later_is_written_with_two_dollar_signs() {
    let path = files::directory().join("../provisioning/datasources/pulse.yaml");
    let file = std::fs::read_to_string(path).unwrap();
    for line in file.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for (at, _) in line.match_indices("__") {
            assert!(line[..at].trim_end_matches('{').ends_with("$$"), "{line}");
        }
    }
}

#[test]
fn queries_from_a_span_ask_for_metrics_that_exist() {
    let provisioned = provisioned("datasources/pulse.yaml");
    let mut queries = Vec::new();
    all(&provisioned, "query", &mut queries);
    assert!(!queries.is_empty());
    for query in queries {
        let filled = query.replace("$$__tags", r#"service="ui_api""#);
        promql_parser::parser::parse(&filled).unwrap_or_else(|error| panic!("{filled}: {error}"));
        let words = filled.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics: Vec<_> = words.filter(|word| word.starts_with("pulse_")).collect();
        assert_eq!(metrics.len(), 1, "{filled}");
        let known = catalog::find(metrics[0]).unwrap_or_else(|| panic!("there is no metric {}", metrics[0]));
        assert!(known.labels.contains(&"service"), "{} is not chosen by service", known.name);
    }
}

#[test]
fn boards_lie_in_their_folders_and_are_not_changed_in_grafana() {
    let provisioned = provisioned("dashboards/pulse.yaml");
    let [provider] = list(&provisioned, "/providers") else { panic!("{provisioned}") };
    assert_eq!(provider["allowUiUpdates"], false);
    assert_eq!(provider.pointer("/options/foldersFromFilesStructure"), Some(&true.into()));
}
