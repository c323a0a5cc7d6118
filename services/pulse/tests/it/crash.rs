//! kill -9 under load: what was acknowledged is there, nothing is open twice, no job is lost, delivery goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pulse_runtime::Shutdown;
use pulse_simulator::sink::{Sink, SinkSettings};
use serde_json::{Value, json};

use crate::api::{Api, client};
use crate::process::{Up, free_ports};
use crate::stack::eventually;

const DEVICES: u64 = 24;
/// How long what is awaited may take: it is the condition that matters, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Leases short enough that what the killed process held comes back within the test.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PULSE_DELIVERY_ALLOW_HTTP", "true"),
    ("PULSE_DELIVERY_ALLOWED_RANGES", "127.0.0.0/8"),
    ("PULSE_DELIVERY_TIMEOUT", "2s"),
    ("PULSE_DELIVERY_LEASE", "5s"),
    ("PULSE_DISPATCHER_LEASE", "5s"),
    ("PULSE_EVALUATOR_LEASE", "5s"),
    ("PULSE_EVALUATOR_CYCLE_DEADLINE", "4s"),
    ("PULSE_OPS_EXPIRY_INTERVAL", "1s"),
];

/// Devices that post as fast as they are answered, each value on the other side of the threshold, until told to stop or refused a connection.
async fn post(base: String, device: String, token: String, stop: Arc<AtomicBool>, total: Arc<AtomicU64>) -> Vec<i64> {
    let client = client();
    let url = format!("{base}/ingest/v1/tenant/acme/device/{device}/telemetry");
    let mut acknowledged = Vec::new();
    for seq in 0.. {
        let body = json!({"site_id": "s1", "seq": seq, "metrics": {"temp": if seq % 2 == 0 { 90 } else { 10 }}});
        let answer = client.post(&url).header("x-provision-token", &token).json(&body).send().await;
        match answer {
            Ok(answer) if answer.status() == 202 => {
                acknowledged.push(seq);
                total.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => assert!([429, 503].contains(&answer.status().as_u16()), "{}", answer.status()),
            Err(_gone) => break,
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

async fn fleet(api: &Api, sink: &Sink) -> HashMap<String, String> {
    api.post("/api/v1/tenants", &json!({"tenant_id": "acme", "name": "Acme"})).await;
    let devices: Vec<Value> =
        (0..DEVICES).map(|n| json!({"device_id": format!("d{n}"), "site_id": "s1", "device_type": "freezer"})).collect();
    let made = api.post("/api/v1/tenants/acme/devices/bulk", &json!({"devices": devices})).await;
    api.post(
        "/api/v1/tenants/acme/rules",
        &json!({"name": "hot", "severity": 4, "metric_name": "temp", "operator": "GT", "threshold": 50}),
    )
    .await;
    let destination = json!({"kind": "webhook", "url": sink.webhook_url(), "signing_secret": sink.signing_secret().reveal()});
    let integration = api.post("/api/v1/tenants/acme/integrations", &json!({"name": "sink", "destination": destination})).await;
    api.post("/api/v1/tenants/acme/routes", &json!({"name": "all", "integration_id": integration["integration_id"]})).await;
    let tokens = made["devices"].as_array().unwrap().iter();
    tokens.map(|device| (device["device_id"].as_str().unwrap().to_owned(), device["token"].as_str().unwrap().to_owned())).collect()
}

async fn every_acknowledged_reading_is_there(api: &Api, acknowledged: &BTreeMap<String, Vec<i64>>) {
    for (device, seqs) in acknowledged {
        let readings = api.all(&format!("/api/v1/tenants/acme/devices/{device}/readings")).await;
        let stored: BTreeSet<i64> = readings.iter().map(|reading| reading["seq"].as_i64().unwrap()).collect();
        let lost: Vec<&i64> = seqs.iter().filter(|seq| !stored.contains(seq)).collect();
        assert!(lost.is_empty(), "{device} lost {lost:?} of {}", seqs.len());
    }
}

async fn queues_are_empty(up: &Up) -> Result<(), String> {
    for index in 1..=3 {
        let text = client().get(format!("{}/metrics", up.url(index))).send().await.unwrap().text().await.unwrap();
        for line in text.lines().filter(|line| line.starts_with("pulse_queue_depth")) {
            if !line.ends_with(" 0") {
                return Err(line.to_owned());
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let port_base = free_ports();
    let shutdown = Shutdown::new();
    let sink = Sink::start(SinkSettings::default(), &shutdown).await.unwrap();
    let up = Up::start(folder.path(), port_base, &[], ENVIRONMENT).await;
    let api = Api::new(&up.url(0), &up.token.clone().unwrap());
    let tokens = fleet(&api, &sink).await;

    let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let posters: Vec<_> = tokens
        .iter()
        .map(|(device, token)| {
            (device.clone(), tokio::spawn(post(up.url(0), device.clone(), token.clone(), Arc::clone(&stop), Arc::clone(&total))))
        })
        .collect();
    eventually(PATIENCE, async || {
        let (readings, delivered) = (total.load(Ordering::Relaxed), sink.stats().delivered);
        if readings > 2_000 && delivered > 20 { Ok(()) } else { Err(format!("{readings} readings, {delivered} delivered")) }
    })
    .await;
    up.kill();
    let mut acknowledged = BTreeMap::new();
    for (device, poster) in posters {
        acknowledged.insert(device, poster.await.unwrap());
    }

    let up = Up::start(folder.path(), port_base, &[], ENVIRONMENT).await;
    assert_eq!(up.token, None, "it is no first start");
    let api = Api::new(&up.url(0), api.token());
    every_acknowledged_reading_is_there(&api, &acknowledged).await;
    eventually(PATIENCE, async || queues_are_empty(&up).await).await;
    // The depth is sampled; what was between two queues at the sample shows in the account.
    eventually(PATIENCE, async || account(&api, &sink).await).await;
    up.terminate();
    sink.stop().await;
}

/// Events = jobs = delivered, each message seen, and one alert per fingerprint at the most.
async fn account(api: &Api, sink: &Sink) -> Result<(), String> {
    let alerts = api.all("/api/v1/tenants/acme/alerts").await;
    let mut open = BTreeSet::new();
    let mut events = 0;
    for alert in &alerts {
        let (is_open, fingerprint) = (alert["status"] != "CLOSED", alert["fingerprint"].as_str().unwrap());
        assert!(!is_open || open.insert(fingerprint.to_owned()), "{fingerprint} is open twice");
        events += if is_open { 1 } else { 2 };
    }
    let jobs = api.all("/api/v1/tenants/acme/jobs").await;
    let undelivered: Vec<&Value> = jobs.iter().filter(|job| job["state"] != "DELIVERED").collect();
    let (made, seen) = (jobs.len(), usize::try_from(sink.stats().delivered).unwrap());
    if made == events && undelivered.is_empty() && seen == made {
        return Ok(());
    }
    Err(format!("{events} events, {made} jobs, {seen} messages seen, undelivered {undelivered:?}"))
}
