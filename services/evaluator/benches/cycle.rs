//! How long cycles take on SQLite: 10,000 due devices, 5 rules, 3 readings each, by the size of a batch. Plain figures rather than statistics:
//! each run is a second of real work on a real file.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_domain::credential::SecretToken;
use pulse_domain::device::{Lifecycle, Tenant};
use pulse_domain::ids::{DeviceId, DeviceKey, RuleId, SiteId, TenantId};
use pulse_domain::reading::{NewReading, ReadingKind};
use pulse_domain::rule::Rule;
use pulse_evaluator::Settings;
use pulse_runtime::{Clock, Deps, Listeners, Shutdown};
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_store::{DeviceSpec, SharedStore};
use pulse_telemetry::Telemetry;
use serde_json::json;
use tokio::net::TcpListener;

const DEVICES: usize = 10_000;
const READINGS_PER_DEVICE: usize = 3;
const CYCLE: &[(&str, &str)] = &[("operation", "evaluation_cycle")];

struct Fleet {
    store: SharedStore,
    tenant_id: TenantId,
    _folder: tempfile::TempDir,
}

impl Fleet {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
        let store: SharedStore = Arc::new(database.pool(PoolSettings::default()).await.unwrap());
        let (tenant_id, now) = (TenantId::parse("bench").unwrap(), Clock::system().now());
        store.insert_tenant(&Tenant { tenant_id: tenant_id.clone(), name: "bench".to_owned(), created_at: now }).await.unwrap();
        let token = SecretToken::from_text("secret").hash();
        let devices: Vec<_> = (0..DEVICES).map(|n| (device(n), token)).collect();
        for part in devices.chunks(1_000) {
            store.insert_devices(&tenant_id, part, now).await.unwrap();
        }
        for (metric, operator, threshold) in
            [("temp", "GT", 80), ("temp", "LT", -20), ("humidity", "GTE", 90), ("battery", "LTE", 5), ("battery", "GT", 101)]
        {
            let body = json!({"name": metric, "severity": 3, "metric_name": metric, "operator": operator, "threshold": threshold});
            let (rule_id, spec) = (RuleId::generate(), serde_json::from_value(body).unwrap());
            let rule = Rule { tenant_id: tenant_id.clone(), rule_id, spec, created_at: now, updated_at: now, error: None };
            store.insert_rule(&rule).await.unwrap();
        }
        Self { store, tenant_id, _folder: folder }
    }

    /// Each device sends its readings; `temp` decides whether alerts open.
    async fn send(&self, temp: f64) {
        for _ in 0..READINGS_PER_DEVICE {
            let now = Clock::system().now();
            let reading = |n: usize| NewReading {
                key: DeviceKey { tenant_id: self.tenant_id.clone(), device_id: device(n).device_id },
                kind: ReadingKind::Telemetry,
                ts: now,
                received_at: now,
                site_id: SiteId::parse("s1").unwrap(),
                seq: None,
                metrics: serde_json::from_value(json!({"temp": temp, "humidity": 40, "battery": 77})).unwrap(),
                trace: None,
            };
            let readings: Vec<NewReading> = (0..DEVICES).map(reading).collect();
            for part in readings.chunks(1_000) {
                self.store.append_readings(part).await.unwrap();
            }
        }
    }

    /// Runs an evaluator until nothing is due: the time in cycles, how many there were, and the time by the wall.
    async fn evaluate(&self, batch_size: u32) -> (f64, f64, Duration) {
        let telemetry = Telemetry::builder("evaluator").namespace("pulse").env(|_| None).init().unwrap();
        let deps = Deps::new(SharedStore::clone(&self.store), telemetry.clone(), Clock::system());
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = Shutdown::new();
        let settings = Settings { batch_size, ..Settings::default() };
        let start = Instant::now();
        let task = tokio::spawn(pulse_evaluator::run(deps, settings, Listeners { public, admin: None }, shutdown.clone()));
        while self.store.evaluation_backlog(Clock::system().now()).await.unwrap().depth > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let wall = start.elapsed();
        shutdown.trigger();
        task.await.unwrap().unwrap();
        let value = |name| telemetry.value(name, CYCLE).unwrap_or_default();
        (value("pulse_processing_duration_seconds_sum"), value("pulse_processing_duration_seconds_count"), wall)
    }
}

fn device(n: usize) -> DeviceSpec {
    DeviceSpec {
        device_id: DeviceId::parse(&format!("device-{n:05}")).unwrap(),
        site_id: SiteId::parse("s1").unwrap(),
        device_type: "freezer".to_owned(),
        group_ids: vec![],
        lifecycle: Lifecycle::Active,
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("{DEVICES} due devices, 5 rules, {READINGS_PER_DEVICE} readings each");
    for batch_size in [500, 1_000, 2_000, 5_000, 10_000] {
        let fleet = Fleet::new().await;
        for (what, temp) in [("quiet", 20.0), ("quiet", 20.0), ("alerts open", 90.0), ("alerts are updated", 91.0), ("alerts close", 20.0)]
        {
            fleet.send(temp).await;
            let (seconds, cycles, wall) = fleet.evaluate(batch_size).await;
            println!("batch {batch_size:>6}  {what:<18} {seconds:.3} s in {cycles} cycles, {wall:.0?} by the wall");
        }
    }
}
