//! Services that go down and come back, seen from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use pulse_domain::alert::{Alert, AlertStatus, AlertType, Cause, EventKind};
use pulse_domain::ids::TenantId;
use pulse_ops_worker::{SYSTEM_TENANT, Settings, WatchTarget};
use pulse_store::{AlertFilter, PageRequest};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::fixture::{Running, World, eventually, quick};

const NAME: &str = "health_monitor";

/// A service that answers as it is told.
pub(crate) struct Service {
    status: Arc<AtomicU16>,
    pub(crate) target: WatchTarget,
    task: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start(name: &str) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let told = Arc::clone(&status);
        let answer = move || {
            let told = Arc::clone(&told);
            async move {
                match told.load(Ordering::SeqCst) {
                    0 => std::future::pending().await,
                    status => StatusCode::from_u16(status).unwrap(),
                }
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/health", axum::routing::get(answer));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { status, target: WatchTarget::new(name, &url).unwrap(), task }
    }

    /// 0 hangs.
    pub(crate) fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn system() -> TenantId {
    TenantId::parse(SYSTEM_TENANT).unwrap()
}

pub(crate) fn watching(services: &[&Service]) -> Settings {
    Settings { watch: services.iter().map(|service| service.target.clone()).collect(), ..quick() }
}

/// Newest first.
async fn alerts(world: &World) -> Vec<Alert> {
    let page = PageRequest { limit: 100, after: None };
    world.store.alerts(&system(), &AlertFilter::default(), &page).await.unwrap().items
}

pub(crate) async fn open(world: &World) -> Vec<Alert> {
    alerts(world).await.into_iter().filter(|alert| alert.status != AlertStatus::Closed).collect()
}

fn up(worker: &Running, target: &str) -> f64 {
    worker.value("pulse_ops_service_up", &[("target", target)])
}

fn checks(worker: &Running, target: &str, outcome: &str) -> f64 {
    worker.value("pulse_ops_health_checks_total", &[("target", target), ("outcome", outcome)])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_opens_once_and_closes_once() {
    let world = World::new().await;
    let (sick, well) = (Service::start("ui_api").await, Service::start("evaluator").await);
    let worker = world.worker_with(watching(&[&sick, &well])).await;
    eventually("both are up", async || up(&worker, "ui_api") == 1.0 && up(&worker, "evaluator") == 1.0).await;

    let since = world.now();
    sick.answers(503);
    eventually("an alert is open", async || open(&world).await.len() == 1).await;
    world.hand.advance(Duration::from_secs(30));
    worker.looked(NAME).await;
    let found = open(&world).await;
    assert_eq!(found.len(), 1, "it opens once");
    let alert = &found[0];
    assert_eq!((alert.alert_type, alert.device_id.as_str(), alert.site_id.as_str()), (AlertType::SystemHealth, "ui_api", "pulse"));
    assert_eq!((alert.severity.get(), alert.confidence, alert.fingerprint.as_str()), (5, 1.0, "SYSTEM_HEALTH:ui_api"));
    let expected = serde_json::json!({
        "service": "ui_api", "url": sick.target.url().as_str(), "error": "answered with status 503", "since": since,
    });
    assert_eq!(alert.details, expected);
    assert_eq!((up(&worker, "ui_api"), up(&worker, "evaluator")), (0.0, 1.0));

    sick.answers(200);
    eventually("it is closed", async || open(&world).await.is_empty()).await;
    worker.looked(NAME).await;
    let kinds: Vec<_> = world.events(&system(), alert.alert_id).await.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Open, EventKind::Closed]);
    assert_eq!(alerts(&world).await.len(), 1);
    let counted = |change| worker.value("pulse_ops_system_alerts_total", &[("change", change)]);
    assert_eq!((counted("opened"), counted("closed"), up(&worker, "ui_api")), (1.0, 1.0, 1.0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_failures_than_asked_for_open_nothing() {
    let world = World::new().await;
    let service = Service::start("ui_api").await;
    let settings = Settings { health_failures: 100, ..watching(&[&service]) };
    let worker = world.worker_with(settings).await;
    service.answers(500);
    eventually("some checks failed", async || checks(&worker, "ui_api", "status") >= 3.0).await;
    service.answers(200);
    eventually("it is up", async || up(&worker, "ui_api") == 1.0).await;
    worker.looked(NAME).await;
    assert!(alerts(&world).await.is_empty());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_alert_survives_a_restart_and_follows_what_is_wrong() {
    let world = World::new().await;
    let service = Service::start("ui_api").await;
    service.answers(503);
    let first = world.worker_with(watching(&[&service])).await;
    eventually("an alert is open", async || open(&world).await.len() == 1).await;
    let before = open(&world).await.remove(0);
    first.stop().await;

    world.hand.advance(Duration::from_secs(600));
    service.answers(0);
    let impatient = Settings { health_timeout: Duration::from_millis(250), ..watching(&[&service]) };
    let second = world.worker_with(impatient).await;
    eventually("it says what is wrong now", async || open(&world).await[0].details["error"] == "no answer within 250ms").await;
    let after = open(&world).await.remove(0);
    assert_eq!(after.alert_id, before.alert_id);
    assert_eq!(after.details["since"], before.details["since"], "it has been down since before the restart");
    assert!(after.summary.contains("no answer within 250ms"), "{}", after.summary);
    assert!(checks(&second, "ui_api", "timeout") >= 2.0);
    second.stop().await;

    service.answers(204);
    let third = world.worker_with(watching(&[&service])).await;
    eventually("it is closed by one that never saw it down", async || open(&world).await.is_empty()).await;
    assert_eq!(alerts(&world).await.len(), 1);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_is_down_and_a_closed_alert_opens_again_unless_silenced() {
    let world = World::new().await;
    let service = Service::start("ui_api").await;
    service.task.abort();
    let worker = world.worker_with(watching(&[&service])).await;
    eventually("an alert is open", async || open(&world).await.len() == 1).await;
    assert_eq!(open(&world).await[0].details["error"], "no connection");
    assert!(checks(&worker, "ui_api", "connect") >= 2.0);

    let (id, now) = (open(&world).await[0].alert_id, world.now());
    world.store.close_alert(&system(), id, now, &Cause::default()).await.unwrap();
    eventually("it opened again", async || open(&world).await.first().is_some_and(|alert| alert.alert_id != id)).await;

    let id = open(&world).await[0].alert_id;
    world.store.silence_alert(&system(), id, now + Duration::from_secs(60)).await.unwrap();
    world.store.close_alert(&system(), id, now, &Cause::default()).await.unwrap();
    worker.looked(NAME).await;
    assert!(open(&world).await.is_empty(), "silenced");
    world.hand.advance(Duration::from_secs(61));
    eventually("the silence is over", async || open(&world).await.len() == 1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_monitors_open_one_alert() {
    let world = World::new().await;
    let service = Service::start("ui_api").await;
    service.answers(500);
    let (one, two) = (world.worker_with(watching(&[&service])).await, world.worker_with(watching(&[&service])).await);
    eventually("an alert is open", async || open(&world).await.len() == 1).await;
    one.looked(NAME).await;
    two.looked(NAME).await;
    assert_eq!(alerts(&world).await.len(), 1);
    one.stop().await;
    two.stop().await;
}
