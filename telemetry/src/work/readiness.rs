//! What `/ready` answers from: checks that are run, and loops that must move.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long a check may take.
const CHECK_MAX: Duration = Duration::from_secs(2);
/// An activity's beat once it has finished.
const FINISHED: u64 = u64::MAX;

type Run = dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// The checks and activities of a service. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    checks: Vec<Check>,
    activities: Vec<Activity>,
}

#[derive(Clone)]
struct Check {
    name: &'static str,
    run: Arc<Run>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Readiness {
    /// Runs at each `/ready`, all checks at once, each for at most 2 s; the error's text is the reason shown. A check that panics has failed.
    /// A second check of the same name replaces the first.
    pub fn check<F, Fut>(&self, name: &'static str, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let run: Arc<Run> = Arc::new(move || check().boxed());
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.checks.retain(|check| check.name != name);
        state.checks.push(Check { name, run });
    }

    /// A loop that must move: not ready when `beat` was not called for `deadline`. Counts as beating now. A second activity of the same name
    /// replaces the first, as when a loop is started again.
    pub fn activity(&self, name: &'static str, deadline: Duration) -> Activity {
        let activity = Activity(Arc::new(Loop { name, deadline, started: Instant::now(), last_beat: AtomicU64::new(0) }));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.activities.retain(|activity| activity.0.name != name);
        state.activities.push(activity.clone());
        activity
    }

    pub(crate) async fn report(&self) -> Report {
        let (checks, activities) = {
            let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (state.checks.clone(), state.activities.clone())
        };
        let checks = join_all(checks.into_iter().map(Check::outcome)).await;
        let activities: Vec<_> = activities.iter().map(|activity| activity.0.outcome()).collect();
        let ready = checks.iter().chain(&activities).all(|outcome| outcome.reason.is_none());
        Report { ready, checks, activities }
    }
}

impl Check {
    async fn outcome(self) -> Outcome {
        // The closure too is called inside, so that its panic is caught with its future's.
        let run = AssertUnwindSafe(async { (self.run)().await }).catch_unwind();
        let reason = match tokio::time::timeout(CHECK_MAX, run).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(reason))) => Some(reason),
            Ok(Err(_)) => Some("the check panicked".to_owned()),
            Err(_) => Some(format!("no answer within {CHECK_MAX:?}")),
        };
        Outcome { name: self.name, reason }
    }
}

/// A loop's sign of life. Cheap to clone. If every clone is dropped without [`finish`](Self::finish), as after a panic, the loop counts as
/// stuck once its deadline has passed.
#[derive(Debug, Clone)]
pub struct Activity(Arc<Loop>);

#[derive(Debug)]
struct Loop {
    name: &'static str,
    deadline: Duration,
    started: Instant,
    /// Nanoseconds since `started`, or [`FINISHED`].
    last_beat: AtomicU64,
}

impl Activity {
    /// The loop has moved.
    pub fn beat(&self) {
        self.0.last_beat.store(self.0.age(), Ordering::Relaxed);
    }

    /// The loop has ended on purpose: nothing is expected of it until it beats again.
    pub fn finish(&self) {
        self.0.last_beat.store(FINISHED, Ordering::Relaxed);
    }
}

impl Loop {
    fn age(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(FINISHED - 1)
    }

    fn outcome(&self) -> Outcome {
        let last_beat = self.last_beat.load(Ordering::Relaxed);
        let silent = Duration::from_nanos(self.age().saturating_sub(last_beat));
        let stuck = last_beat != FINISHED && silent > self.deadline;
        let reason = stuck.then(|| format!("has not moved for {:.1} s, its deadline is {:?}", silent.as_secs_f64(), self.deadline));
        Outcome { name: self.name, reason }
    }
}

/// One answer of `/ready`.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    checks: Vec<Outcome>,
    activities: Vec<Outcome>,
}

#[derive(Debug)]
struct Outcome {
    name: &'static str,
    /// None: all is well.
    reason: Option<String>,
}

impl Report {
    pub(crate) fn json(&self, service: &str) -> Value {
        json!({
            "status": if self.ready { "ready" } else { "not ready" },
            "service": service,
            "checks": self.checks.iter().map(Outcome::json).collect::<Vec<_>>(),
            "activities": self.activities.iter().map(Outcome::json).collect::<Vec<_>>(),
        })
    }
}

impl Outcome {
    fn json(&self) -> Value {
        json!({ "name": self.name, "ok": self.reason.is_none(), "reason": self.reason })
    }
}
