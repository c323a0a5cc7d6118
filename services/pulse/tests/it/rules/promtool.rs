//! promtool's word on the files: they are valid, and alerts fire when they should, on whichever way metrics reach Prometheus.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{files, folder};

/// The ways of a series of a service: its label `transport`, and how its instance is named.
const SCRAPED: (&str, &str) = ("scrape", "");
const COLLECTED: (&str, &str) = ("collector", "id-");
const PUSHED: (&str, &str) = ("otlp", "id-");

fn promtool(arguments: &[&str], files: &[impl AsRef<Path>]) {
    let mut command = Command::new("promtool");
    command.args(arguments).args(files.iter().map(AsRef::as_ref));
    let output = command.output().expect("promtool is on the PATH: tools/setup builds it");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// A file of tests with each series of a service that it has scraped coming in on the given ways, once on each.
fn on_ways(tests: &str, ways: &[(&str, &str)]) -> String {
    let mut lines = tests.lines();
    let mut rewritten = String::new();
    while let Some(line) = lines.next() {
        let mut entry = vec![line];
        if !line.contains("series: ") || !line.contains("pulse_") || !line.contains("transport=\"scrape\"") {
            rewritten.extend([line, "\n"]);
            continue;
        }
        if !line.contains("values: ") {
            entry.push(lines.next().expect("a series has values"));
        }
        let entry = format!("{}\n", entry.join("\n"));
        for (transport, prefix) in ways {
            let way = entry.replace("transport=\"scrape\"", &format!("transport=\"{transport}\""));
            rewritten.push_str(&way.replace("instance=\"", &format!("instance=\"{prefix}")));
        }
    }
    rewritten.replace("../rules/", &format!("{}/", folder("rules").display()))
}

#[test]
#[ignore = "needs promtool: run tools/test"]
fn the_configuration_and_the_rules_are_valid() {
    promtool(&["check", "config"], &[folder("prometheus.yml")]);
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &files("rules"));
}

#[test]
#[ignore = "needs promtool: run tools/test"]
fn alerts_fire_and_end_as_their_tests_say() {
    promtool(&["test", "rules"], &files("tests"));
}

#[test]
#[ignore = "needs promtool: run tools/test"]
fn the_same_alerts_fire_when_metrics_are_pushed_and_when_they_come_on_all_three_ways_at_once() {
    for ways in [&[COLLECTED][..], &[PUSHED], &[SCRAPED, COLLECTED, PUSHED]] {
        let copies = tempfile::tempdir().unwrap();
        let rewritten = files("tests").into_iter().map(|file| {
            let copy = copies.path().join(file.file_name().unwrap());
            let (before, after) = (fs::read_to_string(&file).unwrap(), on_ways(&fs::read_to_string(&file).unwrap(), ways));
            assert_eq!(before.contains("pulse_"), after.contains("instance=\"id-"), "{}", file.display());
            fs::write(&copy, after).unwrap();
            copy
        });
        promtool(&["test", "rules"], &rewritten.collect::<Vec<_>>());
    }
}
