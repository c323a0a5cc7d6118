//! What /ready says of the database: since when it fails and how, in a closed set of kinds that operators find in docs/operations.md. What
//! the database itself says stays in the log: /ready may be asked by anybody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::SecondsFormat;
use pulse_domain::Timestamp;
use pulse_store::SharedStore;
use pulse_telemetry::Telemetry;

use crate::Clock;

/// The name of the check.
const DATABASE: &str = "database";
/// How long the database may take to answer; within what /ready itself allows a check.
const PING_MAX: Duration = Duration::from_millis(1_500);

/// A reason as /ready writes it.
fn reason(kind: &str, since: Timestamp, text: &str) -> String {
    format!("{kind} since {}: {text}", since.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Has /ready ask the database. "Since" is the first time that /ready found it failing.
pub(crate) fn watch_database(telemetry: &Telemetry, store: &SharedStore, clock: &Clock) {
    let (store, clock, failing) = (Arc::clone(store), clock.clone(), Arc::new(Mutex::new(None)));
    telemetry.readiness().check(DATABASE, move || {
        let (store, clock, failing) = (Arc::clone(&store), clock.clone(), Arc::clone(&failing));
        async move {
            let (kind, text) = match tokio::time::timeout(PING_MAX, store.ping()).await {
                Ok(Ok(())) => {
                    *failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return Ok(());
                }
                Ok(Err(error)) => (error.kind(), error.to_string()),
                Err(_) => ("no_answer", format!("the database does not answer within {PING_MAX:?}")),
            };
            let since = *failing.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| clock.now());
            Err(reason(kind, since, &text))
        }
    });
}

/// What a service waits for before it starts, as /ready tells it.
#[derive(Debug, Clone)]
pub struct AwaitedDatabase(Arc<Mutex<Awaited>>);

#[derive(Debug)]
struct Awaited {
    kind: &'static str,
    since: Timestamp,
    text: String,
}

impl AwaitedDatabase {
    /// The state before anybody has asked the database.
    pub fn new(clock: &Clock) -> Self {
        let text = "the database has not been asked yet".to_owned();
        Self(Arc::new(Mutex::new(Awaited { kind: "starting", since: clock.now(), text })))
    }

    /// Has /ready tell what is awaited, in place of the database's own check.
    pub fn show(&self, telemetry: &Telemetry) {
        let awaited = Arc::clone(&self.0);
        telemetry.readiness().check(DATABASE, move || {
            let awaited = awaited.lock().unwrap_or_else(PoisonError::into_inner);
            std::future::ready(Err(reason(awaited.kind, awaited.since, &awaited.text)))
        });
    }

    /// Sets what is in the way now. Returns whether that is another kind of thing than before.
    pub fn set(&self, kind: &'static str, text: String, now: Timestamp) -> bool {
        let mut awaited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = awaited.kind != kind;
        let since = if changed { now } else { awaited.since };
        *awaited = Awaited { kind, since, text };
        changed
    }
}
