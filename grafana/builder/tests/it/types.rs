//! The files checked against Grafana's own types, which its npm package has.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pulse_boards::files;

fn check(files: &[PathBuf]) -> Output {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/board-types");
    assert!(tool.join("node_modules").exists(), "tools/setup gets Grafana's types");
    Command::new("node").arg(tool.join("check.mjs")).args(files).output().expect("node runs")
}

fn written() -> Vec<PathBuf> {
    let directory = files::directory();
    files::present(&directory).unwrap().into_iter().map(|file| directory.join(file)).collect()
}

#[test]
#[ignore = "needs npm: run tools/test"]
fn boards_are_of_grafanas_types() {
    let output = check(&written());
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// Shows that the test above can fail.
#[test]
#[ignore = "needs npm: run tools/test"]
fn what_grafana_does_not_know_is_seen() {
    let board = std::fs::read_to_string(&written()[0]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (n, (right, instead)) in
        [("\"graphTooltip\": 1", "\"graphTooltip\": 9"), ("\"spanNulls\"", "\"spanNull\""), ("\"stat\"", "\"stats\"")].iter().enumerate()
    {
        assert!(board.contains(right), "{right}");
        wrong.push(directory.path().join(format!("wrong{n}.json")));
        std::fs::write(&wrong[n], board.replace(right, instead)).unwrap();
    }
    let output = check(&wrong);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    for n in 0..wrong.len() {
        assert!(said.contains(&format!("wrong{n}.ts")), "{said}");
    }
}
