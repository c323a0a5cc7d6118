//! A fleet in a store of its own, and an evaluator that runs on it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use pulse_domain::alert::{Alert, AlertEvent};
use pulse_domain::credential::SecretToken;
use pulse_domain::device::{Device, DeviceStatus, Lifecycle, Tenant};
use pulse_domain::evaluation::IngestProgress;
use pulse_domain::ids::{DeviceId, DeviceKey, RuleId, SiteId, TenantId};
use pulse_domain::reading::{NewReading, ReadingKind};
use pulse_domain::rule::Rule;
use pulse_domain::trace::TraceParent;
use pulse_evaluator::Settings;
use pulse_runtime::{Clock, Deps, Error, Listeners, ManualClock, Shutdown};
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_store::{AlertFilter, DeviceSpec, PageRequest, SharedStore};
use pulse_telemetry::Telemetry;
use pulse_telemetry::testing::KeptSpan;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest a condition may take: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) struct World {
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    pub(crate) hand: ManualClock,
    pub(crate) file: PathBuf,
    database: Sqlite,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pulse.db");
        let database = Sqlite::open(&file).await.unwrap();
        let store = database.pool(PoolSettings::default()).await.unwrap();
        let (clock, hand) = Clock::manual(DateTime::from_timestamp(1_700_000_000, 0).unwrap());
        Self { store: Arc::new(store), clock, hand, file, database, _folder: folder }
    }

    /// A tenant with devices `d0`, `d1` and so on.
    pub(crate) async fn tenant(&self, name: &str, devices: usize) -> TenantId {
        let tenant_id = TenantId::parse(name).unwrap();
        let tenant = Tenant { tenant_id: tenant_id.clone(), name: name.to_owned(), created_at: self.clock.now() };
        self.store.insert_tenant(&tenant).await.unwrap();
        let devices: Vec<_> = (0..devices).map(|n| (device(n, Lifecycle::Active), SecretToken::from_text("secret").hash())).collect();
        self.store.insert_devices(&tenant_id, &devices, self.clock.now()).await.unwrap();
        tenant_id
    }

    /// `temp > 80`, changed by the fields of `change`.
    pub(crate) async fn rule(&self, tenant_id: &TenantId, change: Value) -> Rule {
        let mut body = json!({"name": "Too warm", "severity": 3, "metric_name": "temp", "operator": "GT", "threshold": 80});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (spec, now) = (serde_json::from_value(body).unwrap(), self.clock.now());
        let rule = Rule { tenant_id: tenant_id.clone(), rule_id: RuleId::generate(), spec, created_at: now, updated_at: now, error: None };
        self.store.insert_rule(&rule).await.unwrap();
        rule
    }

    /// Readings of `temp` that device `d{n}` sends now, in order.
    pub(crate) async fn temps(&self, tenant_id: &TenantId, n: usize, temps: &[f64]) {
        let readings: Vec<NewReading> = temps.iter().map(|temp| self.reading(tenant_id, n, json!({"temp": temp}))).collect();
        self.store.append_readings(&readings).await.unwrap();
    }

    pub(crate) fn reading(&self, tenant_id: &TenantId, n: usize, metrics: Value) -> NewReading {
        let now = self.clock.now();
        NewReading {
            key: key(tenant_id, n),
            kind: ReadingKind::Telemetry,
            ts: now,
            received_at: now,
            site_id: SiteId::parse("s1").unwrap(),
            seq: None,
            metrics: serde_json::from_value(metrics).unwrap(),
            trace: Some(TraceParent::parse(TRACE).unwrap()),
        }
    }

    /// Ingest has listened for an hour, and everything received by now is in the store.
    pub(crate) async fn ingest_is_up(&self) {
        let now = self.clock.now();
        let progress = IngestProgress { up_since: now - Duration::from_secs(3_600), durable_through: now };
        self.store.report_ingest_progress("ingest-1", progress, now).await.unwrap();
    }

    /// Every alert of a tenant, oldest first.
    pub(crate) async fn alerts(&self, tenant_id: &TenantId) -> Vec<Alert> {
        let page = self.store.alerts(tenant_id, &AlertFilter::default(), &PageRequest { limit: 1_000, after: None }).await.unwrap();
        page.items.into_iter().rev().collect()
    }

    /// What happened to a tenant's alerts, in order: `OPEN CLOSED OPEN`.
    pub(crate) async fn history(&self, tenant_id: &TenantId) -> String {
        let kinds: Vec<&str> = self.events(tenant_id).await.iter().map(|event| event.kind.as_str()).collect();
        kinds.join(" ")
    }

    pub(crate) async fn events(&self, tenant_id: &TenantId) -> Vec<AlertEvent> {
        let mut events = Vec::new();
        for alert in self.alerts(tenant_id).await {
            events.extend(self.store.alert_events(tenant_id, alert.alert_id).await.unwrap());
        }
        events.sort_by_key(|event| event.event_id);
        events
    }

    pub(crate) async fn device(&self, tenant_id: &TenantId, n: usize) -> Device {
        self.store.device(&key(tenant_id, n)).await.unwrap().unwrap()
    }

    pub(crate) async fn status(&self, tenant_id: &TenantId, n: usize) -> DeviceStatus {
        self.device(tenant_id, n).await.status
    }

    pub(crate) async fn depth(&self) -> u64 {
        self.store.evaluation_backlog(self.clock.now()).await.unwrap().depth
    }

    /// Waits until nothing is due.
    pub(crate) async fn evaluated(&self) {
        eventually("nothing is due", async || self.depth().await == 0).await;
    }

    pub(crate) async fn evaluator(&self) -> Running {
        self.evaluator_with(quick()).await
    }

    /// An evaluator with a pool of its own, as each service has.
    pub(crate) async fn evaluator_with(&self, settings: Settings) -> Running {
        let running = self.start(settings).await;
        eventually("it has begun or ended", async || running.task.is_finished() || running.cycles("success") >= 1.0).await;
        running
    }

    pub(crate) async fn start(&self, settings: Settings) -> Running {
        self.start_as(settings, Telemetry::builder("evaluator").namespace("pulse").env(|_| None).init().unwrap()).await
    }

    /// One whose spans are kept.
    pub(crate) async fn traced(&self) -> Running {
        self.start_as(quick(), Telemetry::builder("evaluator").env(|_| None).keep_spans().init().unwrap()).await
    }

    async fn start_as(&self, settings: Settings, telemetry: Telemetry) -> Running {
        let store: SharedStore = Arc::new(self.database.pool(PoolSettings::default()).await.unwrap());
        let deps = Deps::new(Arc::clone(&store), telemetry.clone(), self.clock.clone());
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = public.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(pulse_evaluator::run(deps, settings, Listeners { public, admin: None }, shutdown.clone()));
        Running { telemetry, store, address, shutdown, task }
    }
}

pub(crate) fn device(n: usize, lifecycle: Lifecycle) -> DeviceSpec {
    DeviceSpec {
        device_id: DeviceId::parse(&format!("d{n}")).unwrap(),
        site_id: SiteId::parse("s1").unwrap(),
        device_type: "freezer".to_owned(),
        group_ids: vec![],
        lifecycle,
    }
}

pub(crate) fn key(tenant_id: &TenantId, n: usize) -> DeviceKey {
    DeviceKey { tenant_id: tenant_id.clone(), device_id: DeviceId::parse(&format!("d{n}")).unwrap() }
}

/// The defaults at a test's pace.
pub(crate) fn quick() -> Settings {
    let quick = Duration::from_millis(20);
    Settings { poll: quick, min_interval: Duration::from_millis(5), probe_every: quick, backoff_max: quick, ..Settings::default() }
}

/// An evaluator at work.
pub(crate) struct Running {
    pub(crate) telemetry: Telemetry,
    pub(crate) store: SharedStore,
    address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.telemetry.value(name, labels).unwrap_or_else(|| panic!("{name} {labels:?} is not there"))
    }

    /// The spans of this name, once there are so many.
    pub(crate) async fn spans(&self, name: &str, count: usize) -> Vec<KeptSpan> {
        let of_name = || self.telemetry.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
        eventually(name, async || of_name().len() >= count).await;
        of_name()
    }

    /// A counter of one tenant.
    pub(crate) fn of(&self, tenant_id: &TenantId, counter: &str) -> f64 {
        self.value(&format!("pulse_evaluator_{counter}_total"), &[("tenant_id", tenant_id.as_str())])
    }

    pub(crate) fn cycles(&self, outcome: &str) -> f64 {
        self.telemetry.value("pulse_processing_total", &[("operation", "evaluation_cycle"), ("outcome", outcome)]).unwrap_or_default()
    }

    /// The answer to a GET, head and body.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: pulse\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    pub(crate) async fn ended(self) -> Result<(), Error> {
        self.task.await.unwrap()
    }

    pub(crate) async fn stop(self) {
        assert_eq!(self.telemetry.complaints(), Vec::<String>::new());
        self.shutdown.trigger();
        self.ended().await.unwrap();
    }

    /// Ends it as a crash would, wherever it is.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Waits until it is so.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("it was never so: {what}"));
}
