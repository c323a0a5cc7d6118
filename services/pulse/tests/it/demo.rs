//! The demo, as the README has it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::process::{finish, free_ports, pulse};

fn demo(folder: &std::path::Path, port_base: u16) -> Value {
    let child = pulse()
        .args(["up", "--demo", "--devices", "100", "--duration", "25s", "--json"])
        .args(["--data", folder.to_str().unwrap(), "--port-base", &port_base.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = finish(child, Duration::from_secs(60));
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(stdout.lines().count(), 1, "one line of JSON: {stdout}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn the_demo_ends_by_itself_with_alerts_opened_closed_and_delivered_and_again_on_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let port_base = free_ports();
    for round in ["first", "second"] {
        let totals = demo(folder.path(), port_base);
        for total in ["readings_accepted", "alerts_opened", "alerts_closed", "delivered"] {
            assert!(totals[total].as_u64().is_some_and(|count| count > 0), "{round}: {total} in {totals}");
        }
        assert_eq!((&totals["bad_signatures"], &totals["dead"]), (&0.into(), &0.into()), "{round}: {totals}");
    }
}
