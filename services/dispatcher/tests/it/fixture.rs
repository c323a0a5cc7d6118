//! A fleet's alerts in a store of their own, and a dispatcher that runs on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use pulse_dispatcher::Settings;
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertStatus, AlertType, Cause, Fingerprint};
use pulse_domain::device::Tenant;
use pulse_domain::ids::{AlertId, DeviceId, IntegrationId, RouteId, SiteId, TenantId};
use pulse_domain::integration::{Destination, Integration};
use pulse_domain::job::Job;
use pulse_domain::route::{Route, RouteSpec};
use pulse_domain::rule::Severity;
use pulse_runtime::{Clock, Deps, Error, Listeners, ManualClock, Shutdown};
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_store::{JobFilter, PageRequest, SharedStore};
use pulse_telemetry::Telemetry;
use pulse_telemetry::testing::KeptSpan;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest a condition may take: far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn start_of_time() -> Timestamp {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

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
        let (clock, hand) = Clock::manual(start_of_time());
        Self { store: Arc::new(store), clock, hand, _folder: folder }
    }

    pub(crate) async fn tenant(&self, name: &str) -> TenantId {
        let tenant_id = TenantId::parse(name).unwrap();
        let tenant = Tenant { tenant_id: tenant_id.clone(), name: name.to_owned(), created_at: self.clock.now() };
        self.store.insert_tenant(&tenant).await.unwrap();
        tenant_id
    }

    pub(crate) async fn integration(&self, tenant_id: &TenantId, destination: Destination) -> IntegrationId {
        let integration = Integration {
            tenant_id: tenant_id.clone(),
            integration_id: IntegrationId::generate(),
            name: "sink".to_owned(),
            enabled: true,
            destination,
            created_at: self.clock.now(),
        };
        self.store.insert_integration(&integration).await.unwrap();
        integration.integration_id
    }

    pub(crate) async fn webhook(&self, tenant_id: &TenantId) -> IntegrationId {
        let destination =
            Destination::Webhook { url: "https://example.com/hook".to_owned(), headers: Default::default(), signing_secret: None };
        self.integration(tenant_id, destination).await
    }

    /// A route for everything, as `change` leaves it.
    pub(crate) async fn route(&self, tenant_id: &TenantId, integration_id: IntegrationId, change: impl FnOnce(&mut RouteSpec)) -> RouteId {
        let mut spec = RouteSpec {
            name: "all".to_owned(),
            integration_id,
            enabled: true,
            priority: 100,
            deliver_on: Vec::new(),
            min_severity: Severity::MIN,
            alert_types: Vec::new(),
            site_ids: Vec::new(),
            device_prefixes: Vec::new(),
            stop_after_match: false,
        };
        change(&mut spec);
        let route = Route { tenant_id: tenant_id.clone(), route_id: RouteId::generate(), spec, created_at: self.clock.now() };
        self.store.insert_route(&route).await.unwrap();
        route.route_id
    }

    pub(crate) fn alert(&self, tenant_id: &TenantId, device: &str) -> Alert {
        let (device_id, now) = (DeviceId::parse(device).unwrap(), self.clock.now());
        Alert {
            tenant_id: tenant_id.clone(),
            alert_id: AlertId::generate(),
            fingerprint: Fingerprint::system_health(device),
            device_id,
            site_id: SiteId::parse("s1").unwrap(),
            alert_type: AlertType::SystemHealth,
            rule_id: None,
            severity: Severity::new(3).unwrap(),
            confidence: 1.0,
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
        }
    }

    pub(crate) async fn open(&self, alerts: Vec<Alert>) {
        self.open_by(alerts, Cause::default()).await;
    }

    pub(crate) async fn open_by(&self, alerts: Vec<Alert>, cause: Cause) {
        let tenant_id = alerts[0].tenant_id.clone();
        let count = alerts.len();
        let open = |alert| AlertChange::Open { alert: Box::new(alert), cause: cause.clone() };
        let changes: Vec<AlertChange> = alerts.into_iter().map(open).collect();
        let done = self.store.apply_alert_changes(&tenant_id, &changes, self.clock.now()).await.unwrap();
        assert_eq!(done.opened.len(), count);
    }

    /// One alert a device, `count` devices, so many events.
    pub(crate) async fn open_many(&self, tenant_id: &TenantId, count: usize) {
        let alerts: Vec<Alert> = (0..count).map(|n| self.alert(tenant_id, &format!("d{n}"))).collect();
        for part in alerts.chunks(1_000) {
            self.open(part.to_vec()).await;
        }
    }

    pub(crate) async fn jobs(&self, tenant_id: &TenantId) -> Vec<Job> {
        let (mut jobs, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.jobs(tenant_id, &JobFilter::default(), &PageRequest { limit: 500, after }).await.unwrap();
            jobs.extend(page.items);
            after = page.next;
            if after.is_none() {
                return jobs;
            }
        }
    }

    pub(crate) async fn depth(&self) -> u64 {
        self.store.dispatch_backlog(self.clock.now()).await.unwrap().depth
    }

    pub(crate) async fn drained(&self) {
        eventually("the queue of events is empty", async || self.depth().await == 0).await;
    }

    pub(crate) async fn dispatcher(&self) -> Running {
        self.dispatcher_with(quick()).await
    }

    pub(crate) async fn dispatcher_with(&self, settings: Settings) -> Running {
        self.start_as(settings, Telemetry::builder("dispatcher").namespace("pulse").env(|_| None).init().unwrap()).await
    }

    /// One whose spans are kept.
    pub(crate) async fn traced(&self) -> Running {
        self.start_as(quick(), Telemetry::builder("dispatcher").env(|_| None).keep_spans().init().unwrap()).await
    }

    async fn start_as(&self, settings: Settings, telemetry: Telemetry) -> Running {
        let deps = Deps::new(Arc::clone(&self.store), telemetry.clone(), self.clock.clone());
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = public.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let task = tokio::spawn(pulse_dispatcher::run(deps, settings, Listeners { public, admin: None }, shutdown.clone()));
        let running = Running { telemetry, address, shutdown, task };
        eventually("it has begun or ended", async || running.task.is_finished() || running.steps("success") >= 1.0).await;
        running
    }
}

/// The defaults at a test's pace.
pub(crate) fn quick() -> Settings {
    let quick = Duration::from_millis(20);
    Settings { poll: quick, probe_every: quick, backoff_max: quick, ..Settings::default() }
}

/// A dispatcher at work.
pub(crate) struct Running {
    pub(crate) telemetry: Telemetry,
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

    pub(crate) fn steps(&self, outcome: &str) -> f64 {
        self.telemetry.value("pulse_processing_total", &[("operation", "dispatch_cycle"), ("outcome", outcome)]).unwrap_or_default()
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

    pub(crate) fn is_running(&self) -> bool {
        !self.task.is_finished()
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
