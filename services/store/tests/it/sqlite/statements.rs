//! A cycle's statements do not grow with the devices.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::TenantId;
use pulse_store::Claim;
use tracing::field::{Field, Visit};
use tracing::{Event, Instrument as _, Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::fixture::*;

/// Counts what sqlx logs of statements by the span in which they were asked for.
struct StatementCounter;

/// The beginning of a logged statement.
#[derive(Default)]
struct Statement(String);

impl Visit for Statement {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "summary" {
            self.0 = format!("{value:?}").trim_matches('"').to_owned();
        }
    }
}

static COUNTS: OnceLock<Mutex<HashMap<u64, u64>>> = OnceLock::new();

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StatementCounter {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        // Settings are made where the pool happens to open a connection.
        if event.metadata().target() == "sqlx::query"
            && !statement.0.starts_with("PRAGMA")
            && let Some(span) = context.event_scope(event).and_then(|mut scope| scope.find(|span| span.name() == "counted"))
        {
            *COUNTS.get_or_init(Mutex::default).lock().unwrap().entry(span.id().into_u64()).or_default() += 1;
        }
    }
}

/// A span whose statements are counted.
fn counted() -> Span {
    static SUBSCRIBED: OnceLock<()> = OnceLock::new();
    SUBSCRIBED.get_or_init(|| tracing::subscriber::set_global_default(tracing_subscriber::registry().with(StatementCounter)).unwrap());
    tracing::info_span!("counted")
}

/// How many statements were asked for in a span; to be read once the pool is closed, as a connection's thread logs a statement a moment
/// after its rows have arrived.
fn statements(span: &Span) -> u64 {
    let id = span.id().unwrap().into_u64();
    COUNTS.get_or_init(Mutex::default).lock().unwrap().remove(&id).unwrap_or(0)
}

/// One cycle over so many due devices of several tenants: each with readings, an alert that closes and one that opens.
async fn cycle(devices: usize) -> u64 {
    let db = Db::sqlite().await;
    let tenants: Vec<TenantId> = (0..3).map(|n| tenant(&format!("t{n}"))).collect();
    let names: Vec<String> = (0..devices).map(|n| format!("d{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut old = HashMap::new();
    for t in &tenants {
        db.with_devices(t, &names).await;
        for _ in 0..5 {
            db.insert_rule(&rule(t)).await.unwrap();
        }
        for name in &names {
            old.insert(key(t, name), alert(t, name, at(1)));
        }
        let changes: Vec<_> = names.iter().map(|name| open(&old[&key(t, name)])).collect();
        db.apply_alert_changes(t, &changes, at(1)).await.unwrap();
        let readings: Vec<_> = names.iter().flat_map(|name| [reading(&key(t, name), at(2)), reading(&key(t, name), at(3))]).collect();
        db.append_readings(&readings).await.unwrap();
    }
    let all = tenants.len() * devices;
    let claim = Claim { limit: 100_000, ..claim(at(5)) };
    let (claiming, committing) = (counted(), counted());
    let batch = db.claim_due_devices(claim, 100).instrument(claiming.clone()).await.unwrap();
    assert_eq!(batch.devices.len(), all);
    let outcomes: Vec<DeviceOutcome> = batch
        .devices
        .iter()
        .map(|due| {
            let key = &due.key;
            let changes = vec![close(&old[key], at(5)), open(&alert(&key.tenant_id, key.device_id.as_str(), at(5)))];
            DeviceOutcome { changes, ..outcome(due) }
        })
        .collect();
    let summary = db.commit_evaluation(batch.lease, &outcomes, at(5)).instrument(committing.clone()).await;
    assert_eq!(counts(&summary.unwrap()), [all, 0, all, 0]);
    db.close().await;
    let (claiming, committing) = (statements(&claiming), statements(&committing));
    assert!(claiming > 0 && committing > 0);
    claiming + committing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cycles_statements_do_not_grow_with_the_devices() {
    let few = cycle(3).await;
    let many = cycle(300).await;
    assert_eq!(few, many);
    assert!(many <= 8, "{many} statements");
}
