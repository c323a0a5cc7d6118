//! The same trace without a collector: the services share nothing but the database, and each one's spans are read where they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::credential::{ApiToken, Role, SecretToken};
use pulse_domain::ids::TokenId;
use pulse_runtime::{Clock, Deps, Error, Listeners, Shutdown};
use pulse_simulator::sink::behaviour::{Behaviour, Mode};
use pulse_simulator::sink::{Sink, SinkSettings};
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_telemetry::{Telemetry, TelemetryBuilder};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::chain::{TRACE_ID, breach, chain};
use crate::stack::{Span, eventually};

const PATIENCE: Duration = Duration::from_secs(30);

/// Four services on one database.
struct Services {
    telemetries: Vec<Telemetry>,
    ui_api: SocketAddr,
    operator: SecretToken,
    shutdown: Shutdown,
    running: JoinSet<Result<(), Error>>,
    _folder: tempfile::TempDir,
}

impl Services {
    async fn start(telemetry: impl Fn(TelemetryBuilder) -> TelemetryBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
        let (shutdown, mut running, mut parts) = (Shutdown::new(), JoinSet::new(), Vec::new());
        for service in ["ui_api", "evaluator", "dispatcher", "delivery_worker"] {
            let telemetry = telemetry(Telemetry::builder(service).env(|_| None)).init().unwrap();
            let store = Arc::new(database.pool(PoolSettings::default()).await.unwrap());
            let listeners = Listeners { public: TcpListener::bind("127.0.0.1:0").await.unwrap(), admin: None };
            parts.push((Deps::new(store, telemetry, Clock::system()), listeners));
        }
        let telemetries = parts.iter().map(|(deps, _)| deps.telemetry.clone()).collect();
        let ui_api = parts[0].1.public.local_addr().unwrap();
        let operator = SecretToken::generate("pulse_test");
        let (token_id, created_at) = (TokenId::generate(), Clock::system().now());
        let token = ApiToken { token_id, tenant_id: None, role: Role::Operator, name: "test".to_owned(), created_at };
        parts[0].0.store.insert_token(&token, &operator.hash()).await.unwrap();
        let delivery = pulse_delivery_worker::Settings {
            allow_http: true,
            allowed_ranges: vec!["127.0.0.0/8".parse().unwrap()],
            retry_base: Duration::from_millis(200),
            ..Default::default()
        };
        let mut next = parts.into_iter();
        let mut part = || next.next().unwrap();
        let ((deps, listeners), stop) = (part(), shutdown.clone());
        running.spawn(pulse_ui_api::run(deps, pulse_ui_api::Settings::default(), listeners, stop));
        let ((deps, listeners), stop) = (part(), shutdown.clone());
        running.spawn(pulse_evaluator::run(deps, pulse_evaluator::Settings::default(), listeners, stop));
        let ((deps, listeners), stop) = (part(), shutdown.clone());
        running.spawn(pulse_dispatcher::run(deps, pulse_dispatcher::Settings::default(), listeners, stop));
        let ((deps, listeners), stop) = (part(), shutdown.clone());
        running.spawn(pulse_delivery_worker::run(deps, delivery, listeners, stop));
        Self { telemetries, ui_api, operator, shutdown, running, _folder: folder }
    }

    /// As the collector's backend would keep them.
    fn spans(&self) -> Vec<Span> {
        let of = |telemetry: &Telemetry| {
            let service = telemetry.service().to_owned();
            telemetry.spans().into_iter().map(move |span| Span {
                service: service.clone(),
                name: span.name,
                trace_id: span.trace_id,
                span_id: span.span_id,
                parent_id: span.parent_id.unwrap_or_default(),
                links: span.links.into_iter().map(|link| (link.trace_id, link.span_id)).collect(),
                attributes: span.attributes,
            })
        };
        self.telemetries.iter().flat_map(of).collect()
    }

    async fn stop(mut self) {
        self.shutdown.trigger();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// A reading that breaches, a receiver that fails once, and the `traceparent` of each request that it saw.
async fn delivered(services: &Services) -> Vec<String> {
    let sink = Sink::start(SinkSettings::default(), &services.shutdown).await.unwrap();
    sink.behave(&Behaviour { times: Some(1), ..Behaviour::new(Mode::Fail) }).unwrap();
    breach(&format!("http://{}", services.ui_api), services.operator.reveal(), &sink).await;
    eventually(PATIENCE, async || if sink.stats().delivered == 1 { Ok(()) } else { Err(format!("{:?}", sink.stats())) }).await;
    sink.messages().into_iter().map(|message| message.headers["traceparent"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_services_make_one_trace_over_the_store() {
    let services = Services::start(TelemetryBuilder::keep_spans).await;
    let seen = delivered(&services).await;
    let requests = eventually(PATIENCE, async || chain(&services.spans())).await;
    assert_eq!(seen, requests.iter().map(|span| format!("00-{TRACE_ID}-{span}-01")).collect::<Vec<_>>());
    let spans = services.spans();
    let named = |name: &str| spans.iter().any(|span| span.name == name && span.links.iter().any(|(trace, _)| trace == TRACE_ID));
    for batch in ["ingest_write", "receive devices_to_evaluate", "receive pending_alerts", "receive pending_jobs", "record_attempts"] {
        assert!(named(batch), "{batch} does not name the trace");
    }
    let page = include_str!("../../../../docs/tracing.md");
    let of_server = |name: &str| name.contains('/');
    for span in &spans {
        let (name, mut attributes) = (&span.name, span.attributes.keys());
        assert!(of_server(name) || page.contains(&format!("`{name}`")), "docs/tracing.md does not name {name}");
        assert!(attributes.all(|attribute| page.contains(&format!("`{attribute}`"))), "docs/tracing.md leaves out some of {span:?}");
    }
    services.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_services_that_record_nothing() {
    let services = Services::start(|telemetry| telemetry).await;
    let seen = delivered(&services).await;
    assert!(seen.len() == 2 && seen.iter().all(|trace| trace[3..35] == *TRACE_ID && trace.ends_with("-01")), "{seen:?}");
    assert_ne!(seen[0], seen[1], "each request is a span of its own");
    services.stop().await;
}
