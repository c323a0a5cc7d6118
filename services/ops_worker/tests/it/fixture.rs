//! A store, a clock and an ops worker on them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertEvent, AlertStatus, AlertType, Cause, Fingerprint};
use pulse_domain::device::Tenant;
use pulse_domain::ids::{AlertId, DeviceId, SiteId, TenantId};
use pulse_domain::rule::Severity;
use pulse_ops_worker::Settings;
use pulse_runtime::{Clock, Deps, Error, Listeners, ManualClock, Shutdown};
use pulse_store::PoolSettings;
use pulse_store::SharedStore;
use pulse_store::sqlite::Sqlite;
use pulse_telemetry::Telemetry;
use pulse_telemetry::testing::KeptSpan;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest a condition may take: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    pub(crate) hand: ManualClock,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
        let store = database.pool(PoolSettings::default()).await.unwrap();
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let (clock, hand) = Clock::manual(start);
        Self { store: Arc::new(store), clock, hand, _folder: folder }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantId {
        let tenant_id = TenantId::parse(name).unwrap();
        let tenant = Tenant { tenant_id: tenant_id.clone(), name: name.to_owned(), created_at: self.now() };
        self.store.insert_tenant(&tenant).await.unwrap();
        tenant_id
    }

    /// Opens an alert; its kind does not matter here.
    pub(crate) async fn open(&self, tenant_id: &TenantId, device: &str, severity: u8) -> AlertId {
        let (device_id, now) = (DeviceId::parse(device).unwrap(), self.now());
        let alert = Alert {
            tenant_id: tenant_id.clone(),
            alert_id: AlertId::generate(),
            fingerprint: Fingerprint::system_health(device),
            device_id,
            site_id: SiteId::parse("s1").unwrap(),
            alert_type: AlertType::SystemHealth,
            rule_id: None,
            severity: Severity::new(severity).unwrap(),
            confidence: 0.9,
            summary: format!("{device} is not well"),
            details: serde_json::json!({}),
            status: AlertStatus::Open,
            created_at: now,
            updated_at: now,
            acknowledged_at: None,
            acknowledged_by: None,
            closed_at: None,
            escalation_level: 0,
            silenced_until: None,
        };
        let alert_id = alert.alert_id;
        let change = AlertChange::Open { alert: Box::new(alert), cause: Cause::default() };
        assert_eq!(self.store.apply_alert_changes(tenant_id, &[change], now).await.unwrap().opened, [alert_id]);
        alert_id
    }

    pub(crate) async fn alert(&self, tenant_id: &TenantId, alert_id: AlertId) -> Alert {
        self.store.alert(tenant_id, alert_id).await.unwrap().unwrap()
    }

    pub(crate) async fn events(&self, tenant_id: &TenantId, alert_id: AlertId) -> Vec<AlertEvent> {
        self.store.alert_events(tenant_id, alert_id).await.unwrap()
    }

    pub(crate) async fn worker(&self) -> Running {
        self.worker_with(quick()).await
    }

    pub(crate) async fn worker_with(&self, settings: Settings) -> Running {
        self.start_as(settings, Telemetry::builder("ops_worker").namespace("pulse").env(|_| None).init().unwrap()).await
    }

    /// One whose spans are kept.
    pub(crate) async fn traced(&self, settings: Settings) -> Running {
        self.start_as(settings, Telemetry::builder("ops_worker").env(|_| None).keep_spans().init().unwrap()).await
    }

    async fn start_as(&self, settings: Settings, telemetry: Telemetry) -> Running {
        let deps = Deps::new(Arc::clone(&self.store), telemetry.clone(), self.clock.clone());
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = public.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(pulse_ops_worker::run(deps, settings, Listeners { public, admin: None }, shutdown.clone()));
        Running { telemetry, address, shutdown, task }
    }
}

/// The defaults at a test's pace.
pub(crate) fn quick() -> Settings {
    let quick = Duration::from_millis(20);
    Settings {
        health_interval: quick,
        escalation_interval: quick,
        expiry_interval: quick,
        retention_interval: quick,
        step_pause: Duration::from_millis(1),
        backoff_max: quick,
        ..Settings::default()
    }
}

/// An ops worker at work.
pub(crate) struct Running {
    pub(crate) telemetry: Telemetry,
    address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.telemetry.value(name, labels).unwrap_or_default()
    }

    /// The spans of this name, once there are so many.
    pub(crate) async fn spans(&self, name: &str, count: usize) -> Vec<KeptSpan> {
        let of_name = || self.telemetry.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
        eventually(name, async || of_name().len() >= count).await;
        of_name()
    }

    /// Steps of a sub-worker that ended so.
    pub(crate) fn steps(&self, operation: &str, outcome: &str) -> f64 {
        self.value("pulse_processing_total", &[("operation", operation), ("outcome", outcome)])
    }

    /// Two whole steps from now: what was so before has been seen.
    pub(crate) async fn looked(&self, operation: &str) {
        let before = self.steps(operation, "success");
        eventually("it looked twice", async || self.steps(operation, "success") >= before + 2.0).await;
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
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

    pub(crate) async fn ended(self) -> Result<(), Error> {
        self.task.await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.ended().await.unwrap();
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
