//! The rules of grafana/prometheus: what every one of them must have, read from the files.

mod promql;
mod promtool;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// An alert or a recording.
#[derive(Deserialize)]
struct Rule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TestFile {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    #[serde(default)]
    alert_rule_test: Vec<Moment>,
}

/// What an alert is to be at a moment; moments stand in the order of time for each alert.
#[derive(Deserialize)]
struct Moment {
    alertname: String,
    exp_alerts: Vec<serde_json::Value>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn folder(name: &str) -> PathBuf {
    repository().join("grafana/prometheus").join(name)
}

/// The YAML files of a folder.
fn files(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    assert!(!files.is_empty(), "{name} is empty");
    files
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn rules() -> Vec<Rule> {
    files("rules").iter().flat_map(|file| read::<RuleFile>(file).groups).flat_map(|group| group.rules).collect()
}

fn alerts() -> BTreeMap<String, Rule> {
    let mut alerts = BTreeMap::new();
    for rule in rules() {
        if let Some(name) = rule.alert.clone() {
            assert!(alerts.insert(name.clone(), rule).is_none(), "{name} is there twice");
        }
    }
    alerts
}

/// The uids of the boards.
fn boards() -> BTreeSet<String> {
    let folders = fs::read_dir(repository().join("grafana/dashboards")).unwrap().map(|folder| folder.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
    let board = |file: PathBuf| -> serde_json::Value { serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap() };
    files.map(|file| board(file)["uid"].as_str().unwrap().to_owned()).collect()
}

/// The anchors that a Markdown page has: its headings, as they are shown on the usual sites.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim().to_lowercase());
    headings.map(|heading| heading.replace(' ', "-")).collect()
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_where_to_look() {
    let boards = boards();
    for (name, alert) in alerts() {
        let severity = alert.labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("critical" | "warning")), "{name}: severity {severity:?}");
        for annotation in ["summary", "description"] {
            assert!(alert.annotations.get(annotation).is_some_and(|text| !text.is_empty()), "{name} has no {annotation}");
        }
        let board = alert.annotations.get("dashboard_url").and_then(|url| url.strip_prefix("/d/")).unwrap_or_default();
        assert!(boards.contains(board), "{name}: no board {board:?}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let mut linked = BTreeSet::new();
    for (name, alert) in alerts() {
        let link = alert.annotations.get("runbook_url").unwrap_or_else(|| panic!("{name} has no runbook_url"));
        let (file, anchor) = link.split_once('#').unwrap_or_else(|| panic!("{name}: {link} names no heading"));
        assert_eq!(anchor, name.to_lowercase());
        let page = fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
        assert!(anchors(&page).contains(anchor), "{name}: {file} has no heading {name}");
        linked.insert((repository().join(file), anchor.to_owned()));
    }
    for entry in fs::read_dir(repository().join("docs/runbooks")).unwrap() {
        let file = entry.unwrap().path();
        for anchor in anchors(&fs::read_to_string(&file).unwrap()).into_iter().filter(|anchor| anchor.starts_with("pulse")) {
            assert!(linked.contains(&(file.clone(), anchor.clone())), "{}: no alert {anchor}", file.display());
        }
    }
}

#[test]
fn the_index_of_the_runbooks_names_every_alert_and_links_resolve() {
    let folder = repository().join("docs/runbooks");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for name in alerts().keys() {
        assert!(index.contains(&format!("[{name}](")), "README.md of the runbooks does not name {name}");
    }
    for link in index.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
        let page = fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{link}: {error}"));
        assert!(anchor.is_none_or(|anchor| anchors(&page).contains(anchor)), "{link}: no such heading");
    }
}

#[test]
fn every_alert_has_tests_in_which_it_stays_quiet_fires_and_ends() {
    let mut seen: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for test in files("tests").iter().flat_map(|file| read::<TestFile>(file).tests) {
        let mut fired = BTreeSet::new();
        for moment in test.alert_rule_test {
            let what = match (moment.exp_alerts.is_empty(), fired.contains(&moment.alertname)) {
                (true, true) => "ends",
                (true, false) => "stays quiet",
                (false, _) => "fires",
            };
            if what == "fires" {
                fired.insert(moment.alertname.clone());
            }
            seen.entry(moment.alertname).or_default().insert(what);
        }
        assert!(!test.name.is_empty());
    }
    let alerts = alerts();
    for name in alerts.keys() {
        let seen = seen.get(name).map(|seen| seen.iter().copied().collect::<Vec<_>>()).unwrap_or_default();
        assert_eq!(seen, ["ends", "fires", "stays quiet"], "{name}");
    }
    assert!(seen.keys().all(|name| alerts.contains_key(name)), "a test is about an alert that there is not");
}
