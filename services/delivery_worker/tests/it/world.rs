//! A store with a tenant, its integrations and jobs, and workers on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pulse_delivery_worker::Settings;
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertStatus, AlertType, Cause, Fingerprint};
use pulse_domain::device::Tenant;
use pulse_domain::ids::{AlertId, DeviceId, IntegrationId, JobId, RouteId, SiteId, TenantId};
use pulse_domain::integration::{Destination, Integration};
use pulse_domain::job::{Attempt, Job, NewJob};
use pulse_domain::message;
use pulse_domain::route::{Route, RouteSpec};
use pulse_domain::rule::Severity;
use pulse_domain::trace::TraceParent;
use pulse_runtime::{Clock, Deps, Error, Listeners, ManualClock, Shutdown};
use pulse_store::PoolSettings;
use pulse_store::postgres::Postgres;
use pulse_store::sqlite::Sqlite;
use pulse_store::{Claim, SharedStore};
use pulse_telemetry::Telemetry;
use pulse_telemetry::testing::KeptSpan;
use pulse_testbed::postgres::{Cluster, Database};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long a condition is waited for before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long before a job is made its reading was received.
pub(crate) const ORIGIN_AGE: Duration = Duration::from_secs(2);
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) struct World {
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    pub(crate) hand: ManualClock,
    pub(crate) tenant: TenantId,
    _folder: tempfile::TempDir,
    /// None: the database is a file in the folder.
    _server: Option<Database>,
}

/// An integration and the route to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) integration: Integration,
    pub(crate) route_id: RouteId,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(folder.path().join("pulse.db")).await.unwrap().pool(PoolSettings::default()).await.unwrap();
        Self::on(Arc::new(store), folder, None).await
    }

    /// On PostgreSQL.
    pub(crate) async fn postgres() -> Self {
        let database = Cluster::shared().await.database().await;
        let postgres = Postgres::new(&database.url()).unwrap();
        postgres.migrate().await.unwrap();
        Self::on(Arc::new(postgres.pool("test", PoolSettings::default())), tempfile::tempdir().unwrap(), Some(database)).await
    }

    async fn on(store: SharedStore, folder: tempfile::TempDir, server: Option<Database>) -> Self {
        let (clock, hand) = Clock::manual(Clock::system().now());
        let tenant = TenantId::parse("acme").unwrap();
        let world = Self { store, clock, hand, tenant, _folder: folder, _server: server };
        let tenant = Tenant { tenant_id: world.tenant.clone(), name: "Acme".to_owned(), created_at: world.now() };
        world.store.insert_tenant(&tenant).await.unwrap();
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A webhook that is neither signed nor given headers.
    pub(crate) async fn webhook(&self, url: &str) -> Target {
        self.target(Destination::Webhook { url: url.to_owned(), headers: [].into(), signing_secret: None }).await
    }

    pub(crate) async fn target(&self, destination: Destination) -> Target {
        let (tenant_id, created_at, integration_id) = (self.tenant.clone(), self.now(), IntegrationId::generate());
        let integration = Integration { tenant_id, integration_id, name: "a receiver".to_owned(), enabled: true, destination, created_at };
        self.store.insert_integration(&integration).await.unwrap();
        let spec: RouteSpec =
            serde_json::from_value(serde_json::json!({"name": "everything", "integration_id": integration.integration_id})).unwrap();
        let route = Route { tenant_id: self.tenant.clone(), route_id: RouteId::generate(), spec, created_at };
        self.store.insert_route(&route).await.unwrap();
        Target { integration, route_id: route.route_id }
    }

    /// Opens alerts and makes the job of each, as the evaluator and the dispatcher would.
    pub(crate) async fn jobs(&self, target: &Target, count: usize) -> Vec<JobId> {
        let now = self.now();
        let cause = Cause { origin_at: Some(now - ORIGIN_AGE), trace: Some(TraceParent::parse(TRACE).unwrap()) };
        let changes: Vec<AlertChange> =
            (0..count).map(|_| AlertChange::Open { alert: Box::new(self.alert()), cause: cause.clone() }).collect();
        self.store.apply_alert_changes(&self.tenant, &changes, now).await.unwrap();
        let limit = u32::try_from(count).unwrap();
        let batch = self.store.claim_events(Claim { now, limit, lease: Duration::from_secs(60) }).await.unwrap();
        assert_eq!(batch.events.len(), count);
        let new_job = |event: &pulse_domain::alert::AlertEvent| NewJob {
            tenant_id: self.tenant.clone(),
            job_id: JobId::generate(),
            event_id: event.event_id,
            route_id: target.route_id,
            integration_id: target.integration.integration_id,
            queue: target.integration.destination.queue(),
            payload: message::of(event),
            run_at: now,
            origin_at: event.origin_at,
            trace: event.trace.clone(),
        };
        let jobs: Vec<NewJob> = batch.events.iter().map(new_job).collect();
        let events: Vec<_> = batch.events.iter().map(|event| (self.tenant.clone(), event.event_id)).collect();
        let summary = self.store.commit_dispatch(batch.lease, &events, &jobs, now).await.unwrap();
        assert_eq!(usize::try_from(summary.jobs).unwrap(), count);
        jobs.iter().map(|job| job.job_id).collect()
    }

    pub(crate) async fn job(&self, target: &Target) -> JobId {
        self.jobs(target, 1).await[0]
    }

    fn alert(&self) -> Alert {
        let (alert_id, now) = (AlertId::generate(), self.now());
        Alert {
            tenant_id: self.tenant.clone(),
            alert_id,
            fingerprint: Fingerprint::system_health(&alert_id.to_string()),
            device_id: DeviceId::parse("pump-7").unwrap(),
            site_id: SiteId::parse("north").unwrap(),
            alert_type: AlertType::SystemHealth,
            rule_id: None,
            severity: Severity::new(4).unwrap(),
            confidence: 1.0,
            summary: "temperature 93.1 > 90".to_owned(),
            details: serde_json::json!({"metric_name": "temperature"}),
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

    /// Settings for tests: local receivers are allowed and nothing is waited for long.
    pub(crate) fn settings() -> Settings {
        Settings {
            allow_http: true,
            allowed_ranges: vec!["127.0.0.0/8".parse().unwrap()],
            poll: Duration::from_millis(20),
            queue_probe: Duration::from_millis(20),
            ..Settings::default()
        }
    }

    /// A worker on this world's store.
    pub(crate) async fn start(&self, settings: Settings) -> Worker {
        self.start_as(settings, Telemetry::builder("delivery_worker").namespace("pulse").env(|_| None).init().unwrap()).await
    }

    /// One whose spans are kept.
    pub(crate) async fn traced(&self, settings: Settings) -> Worker {
        self.start_as(settings, Telemetry::builder("delivery_worker").env(|_| None).keep_spans().init().unwrap()).await
    }

    async fn start_as(&self, settings: Settings, telemetry: Telemetry) -> Worker {
        let deps = Deps::new(Arc::clone(&self.store), telemetry.clone(), self.clock.clone());
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = public.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let run = pulse_delivery_worker::run(deps, settings, Listeners { public, admin: None }, shutdown.clone());
        Worker { telemetry, address, shutdown, task: tokio::spawn(run) }
    }

    pub(crate) async fn stored(&self, job_id: JobId) -> Job {
        self.store.job(&self.tenant, job_id).await.unwrap().unwrap()
    }

    /// Waits until the job is as wanted.
    pub(crate) async fn until(&self, job_id: JobId, wanted: impl Fn(&Job) -> bool) -> Job {
        let waiting = async {
            loop {
                let job = self.stored(job_id).await;
                if wanted(&job) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(job) => job,
            Err(_) => panic!("the job never came to be as wanted: {:?}", self.stored(job_id).await),
        }
    }

    pub(crate) async fn attempts(&self, job_id: JobId) -> Vec<Attempt> {
        self.store.attempts(&self.tenant, job_id).await.unwrap()
    }

    /// What the ops worker does for jobs whose worker is gone.
    pub(crate) async fn expire_leases(&self) -> u64 {
        self.store.expire_job_leases(self.now(), 5, 1000).await.unwrap().rows
    }
}

pub(crate) struct Worker {
    pub(crate) telemetry: Telemetry,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: JoinHandle<Result<(), Error>>,
}

impl Worker {
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.telemetry.value(name, labels)
    }

    /// The spans of this name, once there are so many.
    pub(crate) async fn spans(&self, name: &str, count: usize) -> Vec<KeptSpan> {
        let of_name = || self.telemetry.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
        let waiting = async {
            while of_name().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never {count} spans {name}: {:#?}", self.telemetry.spans());
        of_name()
    }

    /// Waits until a series has this value.
    pub(crate) async fn until_value(&self, name: &str, labels: &[(&str, &str)], wanted: f64) {
        self.until_series(name, labels, |value| value == Some(wanted)).await;
    }

    /// Waits until a series is as wanted.
    pub(crate) async fn until_series(&self, name: &str, labels: &[(&str, &str)], wanted: impl Fn(Option<f64>) -> bool) {
        let waiting = async {
            while !wanted(self.value(name, labels)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(reached, "{name} {labels:?} never came to be as wanted, it is {:?}", self.value(name, labels));
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        assert_eq!(self.telemetry.complaints(), Vec::<String>::new(), "the kit has nothing to complain of");
    }

    /// As kill -9 would: nothing more of it runs.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
