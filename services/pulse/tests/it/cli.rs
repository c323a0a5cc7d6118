//! What a person meets at the door: one clear line, and the right exit code.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use crate::process::{Up, finish, free_ports, pulse};

fn fails(arguments: &[&str], environment: &[(&str, &str)], code: i32, says: &[&str]) -> String {
    let child = pulse().args(arguments).envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = finish(child, Duration::from_secs(20));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    for part in says {
        assert!(stderr.contains(part), "{arguments:?} should say {part:?}: {stderr}");
    }
    if code == 1 {
        assert_eq!(stderr.trim_end().lines().count(), 1, "one line: {stderr}");
    }
    stderr
}

#[test]
fn wrong_flags_and_settings_are_named() {
    fails(&["up", "--devises", "3"], &[], 2, &["--devises"]);
    fails(&["up", "--demo", "--devices", "0"], &[], 2, &["--devices", "1..="]);
    fails(&["up", "--demo", "--duration", "forty"], &[], 2, &["--duration", "for example 250ms"]);
    fails(&["run", "evaluatr"], &[], 2, &["evaluatr", "evaluator"]);
    fails(&["up"], &[("PULSE_DTAA", "x")], 2, &["PULSE_DTAA", "did you mean PULSE_DATA?"]);
    fails(&["up"], &[("PULSE_PORT_BASE", "seventy")], 2, &["seventy", "PORT"]);
    fails(&["up"], &[("PULSE_EVALUATOR_LEASE", "1s")], 1, &["PULSE_EVALUATOR_CYCLE_DEADLINE", "less than PULSE_EVALUATOR_LEASE"]);
    fails(&["up", "--database-pool-max", "1"], &[], 2, &["--database-pool-max", "2..="]);
}

#[test]
fn a_database_url_that_cannot_be_read_is_refused_without_what_it_held() {
    for url in ["mysql://u:secret@h/d", "postgres://u:secret@h:port/d", "secret"] {
        for command in [&["run", "evaluator"][..], &["up"], &["migrate"]] {
            for from_variable in [false, true] {
                let (flag, variable) = (["--database", url], [("PULSE_DATABASE", url)]);
                let arguments = [command, if from_variable { &[] } else { &flag }].concat();
                let variables: &[_] = if from_variable { &variable } else { &[] };
                let said = fails(&arguments, variables, 2, &["--database", "PULSE_DATABASE", "postgres://USER:PASSWORD@HOST"]);
                assert!(!said.contains("secret"), "{said}");
            }
        }
    }
    // Help shows what variables hold, but not this one.
    for command in [&["run", "--help"][..], &["up", "--help"], &["migrate", "--help"]] {
        let mut child = pulse();
        child.args(command).env("PULSE_DATABASE", "postgres://u:secret@h/d");
        let help = String::from_utf8(child.output().unwrap().stdout).unwrap();
        assert!(help.contains("PULSE_DATABASE") && !help.contains("secret"), "{help}");
    }
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let base = free_ports();
    let taken = TcpListener::bind(("127.0.0.1", base + 2)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let port = taken.local_addr().unwrap().to_string();
    fails(&["up", "--data", data, "--port-base", &base.to_string()], &[], 1, &[&port, "dispatcher", "in use"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "x").unwrap();
    let data = file.join("data");
    fails(&["up", "--data", data.to_str().unwrap(), "--port-base", &free_ports().to_string()], &[], 1, &["a-file/data", "--data"]);
}

#[test]
fn a_database_that_is_none_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pulse.db"), "this is no database, but a text that is long enough to be looked at".repeat(100))
        .unwrap();
    fails(&["up", "--data", folder.path().to_str().unwrap(), "--port-base", &free_ports().to_string()], &[], 1, &["pulse.db"]);
}

#[tokio::test]
async fn a_signal_drains_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), free_ports(), &[], &[]).await;
    let (code, took) = up.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn the_first_start_shows_a_token_that_works_and_the_second_shows_none() {
    let folder = tempfile::tempdir().unwrap();
    let base = free_ports();
    let first = Up::start(folder.path(), base, &[], &[]).await;
    let token = first.token.clone().expect("the first start shows a token");
    let tenants = crate::api::Api::new(&first.url(0), &token).get("/api/v1/tenants").await;
    assert!(tenants["items"].as_array().unwrap().iter().any(|tenant| tenant["tenant_id"] == "default"), "{tenants}");
    first.terminate();
    let second = Up::start(folder.path(), base, &[], &[]).await;
    assert_eq!(second.token, None);
    second.terminate();
}
