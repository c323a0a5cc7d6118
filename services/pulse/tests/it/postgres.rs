//! Processes on PostgreSQL: what they wait for, what they survive, how they end.

use std::time::Duration;

use pulse_testbed::postgres::{Cluster, PASSWORD, Settings};
use pulse_testbed::proxy::Proxy;
use serde_json::{Value, json};

use crate::api::client;
use crate::process::{finish, free_ports, pulse};
use crate::running::{Running, WITHIN, run_to_end};
use crate::stack::eventually;

/// A reading of a device that there is not.
async fn ingest(api: &Running) -> reqwest::Response {
    let url = api.url("/ingest/v1/tenant/default/device/freezer-1/telemetry");
    let reading = json!({ "site_id": "berlin", "metrics": { "temp_c": -18.5 } });
    client().post(url).header("x-provision-token", "pulse_dev_none").json(&reading).send().await.unwrap()
}

async fn is_told_to_come_back(api: &Running) {
    let answer = ingest(api).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], 503);
}

/// The lines of a log that say that something is wrong.
fn complaints(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).collect()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn services_wait_for_the_database_and_its_schema_and_start_by_themselves() {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    let mut network = Proxy::start(cluster.port()).await;
    network.cut().await;
    let url = database.url_at(network.port());
    let services = Running::start_all(&url, free_ports());

    for service in &services {
        let reason = service.not_ready(&["unreachable since 20"]).await;
        assert!(reason.contains("the database cannot be reached"), "{reason}");
        assert_eq!(service.get("/health").await.unwrap().0, 200);
        let (status, metrics) = service.get("/metrics").await.unwrap();
        assert!(status == 200 && metrics.contains("pulse_db_pool_size"), "{status} {metrics}");
        is_told_to_come_back(service).await;
    }
    let (code, said) = run_to_end(&["migrate", "--wait", "1s"], &url);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot be reached") && !said.contains(PASSWORD), "{said}");

    network.heal().await;
    for service in &services {
        let reason = service.not_ready(&["schema_missing since 20"]).await;
        assert!(reason.contains("run pulse migrate"), "{reason}");
    }
    let (code, said) = run_to_end(&["migrate"], &url);
    assert!(code == Some(0) && said.contains("its schema was made, version"), "{code:?} {said}");
    for service in &services {
        service.ready().await;
    }
    assert_eq!(ingest(&services[0]).await.status(), 403, "the device is not registered");
    let (code, said) = run_to_end(&["migrate"], &url);
    assert!(code == Some(0) && said.contains("nothing to do"), "{code:?} {said}");

    for service in services {
        let (name, log) = (service.service, service.log());
        // Not a line a try.
        assert!(complaints(&log).len() <= 4, "{name}: {log}");
        assert!(!log.contains(PASSWORD), "{name}: {log}");
        let (code, took) = service.terminate();
        assert!(code == Some(0) && took < Duration::from_secs(10), "{name}: {code:?} after {took:?}");
    }
}

#[tokio::test]
async fn a_service_that_waits_ends_when_asked() {
    let service = Running::start("dispatcher", &format!("postgres://pulse:{PASSWORD}@127.0.0.1:9/pulse"), free_ports());
    service.not_ready(&["unreachable"]).await;
    let (code, took) = service.terminate();
    assert!(code == Some(0) && took < Duration::from_secs(5), "{code:?} after {took:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn what_waiting_cannot_mend_ends_the_program_with_a_line() {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    assert_eq!(run_to_end(&["migrate"], &database.url()).0, Some(0));
    database
        .execute(
            "UPDATE schema_compatibility SET oldest_version = 900;
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (900, 'later', true, '', 0)",
        )
        .await;
    let listen = format!("127.0.0.1:{}", free_ports());
    let wrong_password = database.url().replace(PASSWORD, "a-wrong-one");
    for (arguments, url, says) in [
        (&["run", "evaluator", "--listen", &listen][..], database.url(), "schema 900 by a newer Pulse"),
        (&["migrate"], database.url(), "schema 900 by a newer Pulse"),
        (&["run", "evaluator", "--listen", &listen], wrong_password, "the database refuses the connection"),
    ] {
        let (code, said) = run_to_end(arguments, &url);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("pulse: ") && last.contains(says), "{arguments:?}: {said}");
        assert!(!said.contains(PASSWORD) && !said.contains("a-wrong-one"), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_schema_that_is_brought_further_is_worked_on_while_it_can_be() {
    let database = Cluster::shared().await.database().await;
    assert_eq!(run_to_end(&["migrate"], &database.url()).0, Some(0));
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (900, 'later', true, '', 0)";
    database.execute(newer).await;
    let port_base = free_ports().to_string();
    let (code, said) = run_to_end(&["up", "--duration", "1s", "--port-base", &port_base], &database.url());
    assert!(code == Some(0) && said.contains("is up"), "{code:?} {said}");

    let service = Running::start("evaluator", &database.url(), free_ports());
    service.ready().await;
    database.execute("UPDATE schema_compatibility SET oldest_version = 900").await;
    let reason = service.not_ready(&["schema_newer since 20"]).await;
    assert!(reason.contains("newer version"), "{reason}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_database_that_dies_is_survived_quietly() {
    let mut cluster = Cluster::start(Settings::default()).await;
    let database = cluster.database().await;
    assert_eq!(run_to_end(&["migrate"], &database.url()).0, Some(0));
    let services = Running::start_all(&database.url(), free_ports());
    for service in &services {
        service.ready().await;
    }

    cluster.kill().await;
    for service in &services {
        service.not_ready(&["unavailable since 20", "no_answer since 20"]).await;
        assert_eq!(service.get("/health").await.unwrap().0, 200);
    }
    let before: Vec<_> = services.iter().map(|service| (cpu_seconds(service), complaints(&service.log()).len())).collect();
    // The outage that is watched: what is asked is how little the services do in it.
    let outage = Duration::from_secs(10);
    let refused = tokio::time::timeout(outage, is_told_to_come_back(&services[0]));
    refused.await.expect("a refusal takes no longer than the wait for a connection");
    tokio::time::sleep(outage).await;
    for (service, (cpu, lines)) in services.iter().zip(before) {
        let (cpu, log) = (cpu_seconds(service) - cpu, service.log());
        let said = complaints(&log).len() - lines;
        assert!(cpu < outage.as_secs_f64() / 4.0, "{} works {cpu} s on nothing", service.service);
        assert!(said <= 12, "{} says {said} things in {outage:?}: {log}", service.service);
    }

    cluster.restart().await;
    for service in &services {
        service.ready().await;
    }
    eventually(WITHIN, async || match ingest(&services[0]).await.status().as_u16() {
        403 => Ok(()),
        status => Err(format!("ingest answers {status}")),
    })
    .await;
    for service in services {
        let (name, log) = (service.service, service.log());
        assert!(!log.contains("panic") && !log.contains(PASSWORD), "{name}: {log}");
        let (code, took) = service.terminate();
        assert!(code == Some(0) && took < Duration::from_secs(10), "{name}: {code:?} after {took:?}");
    }
}

/// Processor time of a process so far, in the kernel's ticks of 10 ms.
fn cpu_seconds(service: &Running) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", service.pid())).unwrap();
    // After the name, which may hold anything: utime and stime are the 12th and 13th field.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn up_makes_its_schema_and_delivers() {
    let database = Cluster::shared().await.database().await;
    let mut up = pulse();
    up.args(["up", "--demo", "--devices", "100", "--duration", "25s", "--json", "--port-base", &free_ports().to_string()]);
    up.env("PULSE_DATABASE", database.url()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = finish(up.spawn().unwrap(), WITHIN);
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("PostgreSQL at 127.0.0.1") && stderr.contains("its schema was made"), "{stderr}");
    assert!(!stderr.contains(PASSWORD), "{stderr}");
    let totals: Value = serde_json::from_str(&stdout).unwrap();
    for total in ["readings_accepted", "alerts_opened", "alerts_closed", "delivered"] {
        assert!(totals[total].as_u64().is_some_and(|count| count > 0), "{total} in {totals}");
    }
    assert_eq!(totals["dead"], 0, "{totals}");
}
