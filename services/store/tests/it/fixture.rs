//! A fresh database for each test, and the things that tests put into it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertStatus, AlertType, Cause, Fingerprint};
use pulse_domain::credential::TokenHash;
use pulse_domain::device::{DeviceStatus, Lifecycle, Tenant};
use pulse_domain::evaluation::{DeviceMemory, DeviceOutcome, DueDevice};
use pulse_domain::ids::{AlertId, DeviceId, DeviceKey, IntegrationId, JobId, RouteId, RuleId, SiteId, TenantId};
use pulse_domain::integration::{Destination, Integration, Queue};
use pulse_domain::job::NewJob;
use pulse_domain::payload::Payload;
use pulse_domain::reading::{Metrics, NewReading, ReadingKind};
use pulse_domain::route::{Route, RouteSpec};
use pulse_domain::rule::{Rule, RuleSpec, Severity};
use pulse_domain::trace::TraceParent;
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_store::{Claim, DeviceSpec, DueBatch, PageRequest, SharedStore};
use tempfile::TempDir;

use crate::postgres::Server;

/// A store over a database of its own, which goes with it.
pub(crate) struct Db {
    store: SharedStore,
    place: Place,
}

/// Where a database is.
enum Place {
    File { sqlite: Sqlite, _folder: TempDir },
    Server(Server),
}

impl Db {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
        let store = Arc::new(sqlite.pool(PoolSettings::default()).await.unwrap());
        Self { store, place: Place::File { sqlite, _folder: folder } }
    }

    /// On PostgreSQL, as the services' role.
    pub(crate) async fn postgres() -> Self {
        let server = Server::new().await;
        let store = server.store_of("pulse_worker").await;
        Self { store, place: Place::Server(server) }
    }

    /// The same behind a PgBouncer, which hands out connections by the transaction.
    pub(crate) async fn pooled() -> Self {
        let server = Server::new().await;
        let store = server.pooled_store_of("pulse_worker").await;
        Self { store, place: Place::Server(server) }
    }

    /// The file of one on SQLite.
    pub(crate) fn file(&self) -> &Sqlite {
        match &self.place {
            Place::File { sqlite, .. } => sqlite,
            Place::Server(_) => panic!("this database is on a server"),
        }
    }

    /// The database on PostgreSQL.
    pub(crate) fn server(&self) -> &Server {
        match &self.place {
            Place::Server(server) => server,
            Place::File { .. } => panic!("this database is a file"),
        }
    }

    pub(crate) fn shared(&self) -> SharedStore {
        Arc::clone(&self.store)
    }

    /// A tenant with these active devices at site `s1`.
    pub(crate) async fn with_devices(&self, tenant_id: &TenantId, devices: &[&str]) {
        self.with_tenant(tenant_id).await;
        let devices: Vec<_> = devices.iter().map(|device| (spec(device), token(device))).collect();
        self.insert_devices(tenant_id, &devices, at(0)).await.unwrap();
    }

    pub(crate) async fn with_tenant(&self, tenant_id: &TenantId) {
        let tenant = Tenant { tenant_id: tenant_id.clone(), name: format!("Tenant {tenant_id}"), created_at: at(0) };
        self.insert_tenant(&tenant).await.unwrap();
    }

    /// A webhook with a route to it that takes everything.
    pub(crate) async fn with_route(&self, tenant_id: &TenantId) -> Route {
        let integration = webhook(tenant_id);
        self.insert_integration(&integration).await.unwrap();
        let route = route(tenant_id, integration.integration_id);
        self.insert_route(&route).await.unwrap();
        route
    }

    /// Claims all devices that are due.
    pub(crate) async fn claim(&self, now: Timestamp) -> DueBatch {
        self.claim_due_devices(claim(now), 100).await.unwrap()
    }

    /// Claims the devices that are due and commits these changes for the one of this name.
    pub(crate) async fn judge(&self, now: Timestamp, device: &str, changes: Vec<AlertChange>) -> pulse_store::CommitSummary {
        let batch = self.claim(now).await;
        let outcomes: Vec<DeviceOutcome> = batch
            .devices
            .iter()
            .map(|due| {
                let changes = if due.key.device_id.as_str() == device { changes.clone() } else { Vec::new() };
                DeviceOutcome { changes, ..outcome(due) }
            })
            .collect();
        assert!(outcomes.iter().any(|outcome| outcome.key.device_id.as_str() == device), "{device} was not due");
        self.commit_evaluation(batch.lease, &outcomes, now).await.unwrap()
    }

    /// Opens an alert for a device by way of a reading.
    pub(crate) async fn with_alert(&self, alert: &Alert) {
        let key = key(&alert.tenant_id, alert.device_id.as_str());
        self.append_readings(&[reading(&key, alert.created_at)]).await.unwrap();
        let summary = self.judge(alert.created_at, alert.device_id.as_str(), vec![open(alert)]).await;
        assert_eq!(summary.opened, [alert.alert_id], "{summary:?}");
    }
}

impl Deref for Db {
    type Target = SharedStore;
    fn deref(&self) -> &SharedStore {
        &self.store
    }
}

/// Seconds into the test's time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

/// How long leases last in tests.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) fn claim(now: Timestamp) -> Claim {
    Claim { now, limit: 1_000, lease: LEASE }
}

pub(crate) fn all() -> PageRequest {
    PageRequest { limit: 1_000, after: None }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn site(name: &str) -> SiteId {
    SiteId::parse(name).unwrap()
}

pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

pub(crate) fn key(tenant_id: &TenantId, name: &str) -> DeviceKey {
    DeviceKey { tenant_id: tenant_id.clone(), device_id: device(name) }
}

pub(crate) fn token(secret: &str) -> TokenHash {
    TokenHash::of(secret)
}

pub(crate) fn spec(name: &str) -> DeviceSpec {
    DeviceSpec {
        device_id: device(name),
        site_id: site("s1"),
        device_type: "thermometer".into(),
        group_ids: Vec::new(),
        lifecycle: Lifecycle::Active,
    }
}

pub(crate) fn metrics(json: &str) -> Metrics {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn trace() -> TraceParent {
    TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()
}

pub(crate) fn reading(key: &DeviceKey, received_at: Timestamp) -> NewReading {
    NewReading {
        key: key.clone(),
        kind: ReadingKind::Telemetry,
        ts: received_at - TimeDelta::milliseconds(1500),
        received_at,
        site_id: site("s1"),
        seq: Some(7),
        metrics: metrics(r#"{"temperature": 21.5, "door": true}"#),
        trace: Some(trace()),
    }
}

/// A judgement that finds nothing: everything read, online.
pub(crate) fn outcome(due: &DueDevice) -> DeviceOutcome {
    DeviceOutcome {
        key: due.key.clone(),
        evaluated_through: due.readings.last().map(|reading| reading.reading_id),
        status: DeviceStatus::Online,
        memory: DeviceMemory::default(),
        next_check_at: None,
        changes: Vec::new(),
    }
}

/// An alert for a silent device.
pub(crate) fn alert(tenant_id: &TenantId, name: &str, created_at: Timestamp) -> Alert {
    Alert {
        tenant_id: tenant_id.clone(),
        alert_id: AlertId::generate(),
        fingerprint: Fingerprint::no_heartbeat(&device(name)),
        device_id: device(name),
        site_id: site("s1"),
        alert_type: AlertType::NoHeartbeat,
        rule_id: None,
        severity: Severity::new(3).unwrap(),
        confidence: 0.9,
        summary: format!("{name} is silent: \"no\" message – for 30 s"),
        details: serde_json::json!({"last_seen": null, "stale_after_seconds": 30, "threshold": 0.1}),
        status: AlertStatus::Open,
        created_at,
        updated_at: created_at,
        acknowledged_at: None,
        acknowledged_by: None,
        closed_at: None,
        escalation_level: 0,
        silenced_until: None,
    }
}

/// An alert of a rule.
pub(crate) fn rule_alert(rule: &Rule, name: &str, created_at: Timestamp) -> Alert {
    Alert {
        fingerprint: Fingerprint::rule(rule.rule_id, &device(name)),
        alert_type: AlertType::Threshold,
        rule_id: Some(rule.rule_id),
        confidence: 1.0,
        ..alert(&rule.tenant_id, name, created_at)
    }
}

pub(crate) fn cause(origin_at: Timestamp) -> Cause {
    Cause { origin_at: Some(origin_at), trace: Some(trace()) }
}

pub(crate) fn open(alert: &Alert) -> AlertChange {
    AlertChange::Open { alert: Box::new(alert.clone()), cause: cause(alert.created_at) }
}

pub(crate) fn close(alert: &Alert, at: Timestamp) -> AlertChange {
    AlertChange::Close { alert_id: alert.alert_id, at, cause: cause(at) }
}

pub(crate) fn rule(tenant_id: &TenantId) -> Rule {
    let spec: RuleSpec = serde_json::from_value(serde_json::json!({
        "name": "hot", "severity": 4, "metric_name": "temperature", "operator": "GT", "threshold": 30.25
    }))
    .unwrap();
    Rule { tenant_id: tenant_id.clone(), rule_id: RuleId::generate(), spec, created_at: at(0), updated_at: at(0), error: None }
}

pub(crate) fn webhook(tenant_id: &TenantId) -> Integration {
    Integration {
        tenant_id: tenant_id.clone(),
        integration_id: IntegrationId::generate(),
        name: "hook".into(),
        enabled: true,
        destination: Destination::Webhook {
            url: "https://example.test/hook".into(),
            headers: [("x-team".to_owned(), "ops".to_owned())].into(),
            signing_secret: Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()),
        },
        created_at: at(0),
    }
}

pub(crate) fn route(tenant_id: &TenantId, integration_id: IntegrationId) -> Route {
    let spec: RouteSpec = serde_json::from_value(serde_json::json!({"name": "all", "integration_id": integration_id})).unwrap();
    Route { tenant_id: tenant_id.clone(), route_id: RouteId::generate(), spec, created_at: at(0) }
}

/// A job for an event of its own, so that any number may be made.
pub(crate) fn job(route: &Route, run_at: Timestamp) -> NewJob {
    NewJob {
        tenant_id: route.tenant_id.clone(),
        job_id: JobId::generate(),
        event_id: pulse_domain::ids::EventId::generate(),
        route_id: route.route_id,
        integration_id: route.spec.integration_id,
        queue: Queue::Integration,
        payload: Payload::of(&serde_json::json!({"summary": "x", "n": 0.1})),
        run_at,
        origin_at: Some(run_at - TimeDelta::seconds(2)),
        trace: Some(trace()),
    }
}

/// How many alerts a commit opened, updated and closed, and how many devices it left alone.
pub(crate) fn counts(summary: &pulse_store::CommitSummary) -> [usize; 4] {
    [summary.opened.len(), summary.updated.len(), summary.closed.len(), summary.lost.len()]
}
