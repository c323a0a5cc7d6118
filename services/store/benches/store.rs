//! What the embedded store can do on this machine: `cargo bench -p pulse-store`.
//!
//! Every figure is of the durable kind (`synchronous = FULL`), with 10,000 registered devices. The database lies in the target folder,
//! on a disk, since a temporary folder in memory would flatter it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertEvent, AlertStatus, AlertType, Cause, Fingerprint};
use pulse_domain::credential::TokenHash;
use pulse_domain::device::{DeviceStatus, Lifecycle, Tenant};
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::{AlertId, DeviceId, DeviceKey, IntegrationId, JobId, RouteId, SiteId, TenantId};
use pulse_domain::integration::{Destination, Integration, Queue};
use pulse_domain::job::{Attempt, NewJob, Verdict};
use pulse_domain::reading::{Metrics, NewReading, ReadingKind};
use pulse_domain::route::Route;
use pulse_domain::rule::Severity;
use pulse_domain::trace::TraceParent;
use pulse_store::PoolSettings;
use pulse_store::sqlite::{Sqlite, SqliteStore};
use pulse_store::{
    AlertStore as _, AttemptRecord, Claim, DeliveryStore as _, DeviceSpec, DispatchStore as _, EvaluationStore as _, IngestStore as _,
    RegistryStore as _,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const DEVICES: usize = 10_000;
const TENANTS: usize = 4;

struct Bench {
    runtime: Runtime,
    store: SqliteStore,
    keys: Vec<DeviceKey>,
    now: Timestamp,
    next: usize,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let now = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let (store, keys) = runtime.block_on(async {
            let sqlite = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
            let store = sqlite.pool(PoolSettings::default()).await.unwrap();
            let mut keys = Vec::new();
            for tenant in 0..TENANTS {
                let tenant_id = TenantId::parse(&format!("tenant-{tenant}")).unwrap();
                store.insert_tenant(&Tenant { tenant_id: tenant_id.clone(), name: "T".into(), created_at: now }).await.unwrap();
                let specs: Vec<_> = (0..DEVICES / TENANTS).map(|n| (device(n), TokenHash([7; 32]))).collect();
                store.insert_devices(&tenant_id, &specs, now).await.unwrap();
                keys.extend(specs.into_iter().map(|(spec, _)| DeviceKey { tenant_id: tenant_id.clone(), device_id: spec.device_id }));
            }
            (store, keys)
        });
        Self { runtime, store, keys, now, next: 0, _folder: folder }
    }

    /// Readings of devices all over the fleet, a millisecond later than those before.
    fn readings(&mut self, count: usize) -> Vec<NewReading> {
        self.now += Duration::from_millis(1);
        (0..count)
            .map(|_| {
                // A step that shares no factor with the fleet's size visits every device before any twice, in no order of keys.
                self.next = (self.next + 7_919) % DEVICES;
                reading(&self.keys[self.next], self.now)
            })
            .collect()
    }

    /// Judges everything that is due, as an evaluator without rules would.
    async fn drain(&self) -> usize {
        let mut judged = 0;
        loop {
            let claim = Claim { now: self.now, limit: 10_000, lease: Duration::from_secs(30) };
            let batch = self.store.claim_due_devices(claim, 1_000).await.unwrap();
            if batch.devices.is_empty() {
                return judged;
            }
            let outcomes: Vec<DeviceOutcome> = batch
                .devices
                .into_iter()
                .map(|due| DeviceOutcome {
                    key: due.key,
                    evaluated_through: due.readings.last().map(|reading| reading.reading_id),
                    status: DeviceStatus::Online,
                    memory: due.memory,
                    next_check_at: Some(self.now + Duration::from_secs(30)),
                    changes: Vec::new(),
                })
                .collect();
            let summary = self.store.commit_evaluation(batch.lease, &outcomes, self.now).await.unwrap();
            assert_eq!(summary.lost, []);
            judged += outcomes.len();
        }
    }
}

fn device(n: usize) -> DeviceSpec {
    DeviceSpec {
        device_id: DeviceId::parse(&format!("sensor-{n:05}")).unwrap(),
        site_id: SiteId::parse(&format!("site-{}", n % 50)).unwrap(),
        device_type: "thermometer".into(),
        group_ids: Vec::new(),
        lifecycle: Lifecycle::Active,
    }
}

fn reading(key: &DeviceKey, received_at: Timestamp) -> NewReading {
    let metrics: Metrics =
        serde_json::from_str(r#"{"temperature": 21.53, "humidity": 44.2, "battery": 3.71, "door_open": false}"#).unwrap();
    NewReading {
        key: key.clone(),
        kind: ReadingKind::Telemetry,
        ts: received_at,
        received_at,
        site_id: SiteId::parse("site-1").unwrap(),
        seq: Some(12_345),
        metrics,
        trace: Some(TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()),
    }
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append_readings");
    for batch in [1, 64, 100, 1_000] {
        let mut bench = Bench::new();
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(batch.to_string(), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let readings = bench.readings(batch);
                    let started = Instant::now();
                    bench.runtime.block_on(bench.store.append_readings(black_box(&readings))).unwrap();
                    spent += started.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

fn evaluate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("claim_and_commit");
    let mut bench = Bench::new();
    group.throughput(Throughput::Elements(DEVICES as u64)).sample_size(10);
    group.bench_function("10000 due devices with 3 readings each", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                for _ in 0..30 {
                    let readings = bench.readings(DEVICES / 10);
                    bench.runtime.block_on(bench.store.append_readings(&readings)).unwrap();
                }
                let started = Instant::now();
                assert_eq!(bench.runtime.block_on(bench.drain()), DEVICES);
                spent += started.elapsed();
            }
            spent
        });
    });
    group.finish();
}

/// Pending jobs, claimed and recorded by 256.
fn deliver(criterion: &mut Criterion) {
    const JOBS: usize = 2_560;
    let mut group = criterion.benchmark_group("claim_and_record_jobs");
    group.throughput(Throughput::Elements(JOBS as u64)).sample_size(10);
    let mut bench = Bench::new();
    let route = bench.runtime.block_on(bench.with_route());
    group.bench_function("256 at once", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                bench.now += Duration::from_secs(1);
                bench.runtime.block_on(bench.with_jobs(&route, JOBS));
                let started = Instant::now();
                assert_eq!(bench.runtime.block_on(bench.deliver_all()), JOBS);
                spent += started.elapsed();
            }
            spent
        });
    });
    group.finish();
}

impl Bench {
    async fn with_route(&self) -> Route {
        let tenant_id = self.keys[0].tenant_id.clone();
        let integration = Integration {
            tenant_id: tenant_id.clone(),
            integration_id: IntegrationId::generate(),
            name: "hook".into(),
            enabled: true,
            destination: Destination::Webhook { url: "https://example.test".into(), headers: Default::default(), signing_secret: None },
            created_at: self.now,
        };
        self.store.insert_integration(&integration).await.unwrap();
        let spec = serde_json::from_value(serde_json::json!({"name": "all", "integration_id": integration.integration_id})).unwrap();
        let route = Route { tenant_id, route_id: RouteId::generate(), spec, created_at: self.now };
        self.store.insert_route(&route).await.unwrap();
        route
    }

    /// Makes jobs the way they come about: an alert opens and closes, the events are dispatched.
    async fn with_jobs(&self, route: &Route, count: usize) {
        let now = self.now;
        let keys = self.keys.iter().filter(|key| key.tenant_id == route.tenant_id).take(count / 2);
        let changes: Vec<AlertChange> = keys
            .flat_map(|key| {
                let alert = alert(key, now);
                let close = AlertChange::Close { alert_id: alert.alert_id, at: now, cause: Cause::default() };
                [AlertChange::Open { alert: Box::new(alert), cause: Cause::default() }, close]
            })
            .collect();
        // All opens, then all closes: two rounds.
        let (opens, closes): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| matches!(change, AlertChange::Open { .. }));
        self.store.apply_alert_changes(&route.tenant_id, &opens, now).await.unwrap();
        self.store.apply_alert_changes(&route.tenant_id, &closes, now).await.unwrap();
        loop {
            let claim = Claim { now, limit: 1_000, lease: Duration::from_secs(30) };
            let batch = self.store.claim_events(claim).await.unwrap();
            if batch.events.is_empty() {
                return;
            }
            let events: Vec<_> = batch.events.iter().map(|event| (route.tenant_id.clone(), event.event_id)).collect();
            let jobs: Vec<NewJob> = batch.events.iter().map(|event| job(route, event, now)).collect();
            self.store.commit_dispatch(batch.lease, &events, &jobs, now).await.unwrap();
        }
    }

    async fn deliver_all(&self) -> usize {
        let mut delivered = 0;
        loop {
            let claim = Claim { now: self.now, limit: 256, lease: Duration::from_secs(30) };
            let batch = self.store.claim_jobs(Queue::Integration, claim, &[]).await.unwrap();
            if batch.jobs.is_empty() {
                return delivered;
            }
            let records: Vec<AttemptRecord> = batch
                .jobs
                .iter()
                .map(|claimed| AttemptRecord {
                    tenant_id: claimed.job.tenant_id.clone(),
                    lease: batch.lease,
                    attempt: Attempt {
                        job_id: claimed.job.job_id,
                        attempt: claimed.job.attempts,
                        started_at: self.now,
                        finished_at: self.now,
                        error: None,
                        http_status: Some(200),
                        detail: None,
                    },
                    verdict: Verdict::Delivered,
                    trace: None,
                })
                .collect();
            assert_eq!(self.store.record_attempts(&records, self.now).await.unwrap().lost, [0; 0]);
            delivered += records.len();
        }
    }
}

fn alert(key: &DeviceKey, now: Timestamp) -> Alert {
    Alert {
        tenant_id: key.tenant_id.clone(),
        alert_id: AlertId::generate(),
        fingerprint: Fingerprint::no_heartbeat(&key.device_id),
        device_id: key.device_id.clone(),
        site_id: SiteId::parse("site-1").unwrap(),
        alert_type: AlertType::NoHeartbeat,
        rule_id: None,
        severity: Severity::MAX,
        confidence: 0.9,
        summary: format!("{} is silent", key.device_id),
        details: serde_json::json!({"stale_after_seconds": 30}),
        status: AlertStatus::Open,
        created_at: now,
        updated_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        closed_at: None,
        escalation_level: 0,
        silenced_until: None,
    }
}

fn job(route: &Route, event: &AlertEvent, now: Timestamp) -> NewJob {
    NewJob {
        tenant_id: route.tenant_id.clone(),
        job_id: JobId::generate(),
        event_id: event.event_id,
        route_id: route.route_id,
        integration_id: route.spec.integration_id,
        queue: Queue::Integration,
        payload: pulse_domain::message::of(event),
        run_at: now,
        origin_at: Some(now),
        trace: None,
    }
}

criterion_group!(benches, append, evaluate, deliver);
criterion_main!(benches);
