//! The wake-or-poll cycle: one path for the periodic and the signalled case. A wake-up is a hint, the poll is the truth.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use pulse_store::Wake;
use pulse_telemetry::{Activity, Operation};

use crate::{Chain, Deps, Outage, Shutdown};

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing more to do: wait for a wake-up or the next poll.
    Idle,
    /// A full batch: go on at once.
    More,
    /// More to do, but not before this pause, in which the database is others'.
    MoreAfter(Duration),
}

/// How a loop runs.
#[derive(Debug, Clone)]
pub struct CyclePlan {
    /// In logs and in /ready.
    pub name: &'static str,
    /// The longest wait for a wake-up.
    pub poll: Duration,
    /// The shortest wait after a step that found nothing more: under a stream of wake-ups batches form meanwhile, and the database is others'.
    /// The first wake-up after a quiet time is followed at once. Zero: none.
    pub pause: Duration,
    /// A step that takes longer is cancelled and counts as an error. /ready complains when no step has ended for the poll and two deadlines.
    pub deadline: Duration,
    /// Errors wait from 100 ms doubling to this, with jitter.
    pub backoff_max: Duration,
}

/// The wait after a first error.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// How long a step under way may go on after shutdown: less than its process has to end, so that a database that is silent cuts nobody.
const STEP_DRAIN: Duration = Duration::from_secs(5);

/// Why a step counts as an error.
#[derive(Debug, thiserror::Error)]
enum StepError<E> {
    #[error("the step failed")]
    Failed(#[source] E),
    #[error("the step took longer than its deadline of {0:?} and was cancelled")]
    Deadline(Duration),
    #[error("the step panicked: {0}")]
    Panicked(String),
    #[error("the step was still under way {STEP_DRAIN:?} after the wish to stop and was cancelled")]
    Stopped,
}

/// Runs `step` until shutdown; a step under way is finished, not cut, unless it takes longer than its deadline or 5 s from then on.
///
/// Each step is timed by `operation`; waiting is not. A step that fails, panics or overruns is tried again after a backoff,
/// and so it must be idempotent. What goes on failing is logged once a minute.
pub async fn run_cycle<S, Fut, E>(plan: CyclePlan, deps: &Deps, operation: Operation, wake: Option<Wake>, shutdown: Shutdown, step: S)
where
    S: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<Progress, E>> + Send,
    E: std::error::Error + Send + Sync + 'static,
{
    let activity = deps.telemetry.readiness().activity(plan.name, plan.poll + plan.backoff_max + plan.deadline * 2);
    Cycle { plan, operation, wake, shutdown, activity, step, failures: 0, outage: Outage::default() }.run().await;
}

struct Cycle<S> {
    plan: CyclePlan,
    operation: Operation,
    wake: Option<Wake>,
    shutdown: Shutdown,
    activity: Activity,
    step: S,
    /// Errors in a row.
    failures: u32,
    outage: Outage,
}

impl<S, Fut, E> Cycle<S>
where
    S: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<Progress, E>> + Send,
    E: std::error::Error + Send + Sync + 'static,
{
    async fn run(mut self) {
        while !self.shutdown.is_triggered() {
            if let Some(wake) = &mut self.wake {
                wake.arm();
            }
            let progress = self.step().await;
            match progress {
                Ok(Progress::More) => tokio::task::yield_now().await,
                Ok(Progress::MoreAfter(pause)) => self.pause(pause).await,
                Ok(Progress::Idle) => self.idle().await,
                Err(error) => self.back_off(&error).await,
            }
        }
        self.activity.finish();
    }

    async fn step(&mut self) -> Result<Progress, StepError<E>> {
        let timer = self.operation.start();
        let step = AssertUnwindSafe((self.step)()).catch_unwind();
        let stopped = async {
            self.shutdown.triggered().await;
            tokio::time::sleep(STEP_DRAIN).await;
        };
        let result = tokio::select! {
            ended = tokio::time::timeout(self.plan.deadline, step) => match ended {
                Ok(Ok(result)) => result.map_err(StepError::Failed),
                Ok(Err(panic)) => Err(StepError::Panicked(panic_text(&*panic))),
                Err(_elapsed) => Err(StepError::Deadline(self.plan.deadline)),
            },
            () = stopped => Err(StepError::Stopped),
        };
        if result.is_ok() {
            timer.success();
            self.failures = 0;
            if let Some(lasted) = self.outage.ended() {
                tracing::info!(cycle = self.plan.name, ?lasted, "cycle succeeds again");
            }
            self.activity.beat();
        } else {
            timer.error();
        }
        result
    }

    async fn idle(&mut self) {
        let woken = async {
            match &mut self.wake {
                Some(wake) => wake.signalled().await,
                None => std::future::pending().await,
            }
        };
        let woken = async {
            tokio::time::sleep(self.plan.pause).await;
            woken.await;
        };
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(self.plan.poll) => {}
            () = self.shutdown.triggered() => {}
        }
    }

    async fn back_off(&mut self, error: &StepError<E>) {
        let wait = backoff(self.failures, self.plan.backoff_max);
        self.failures = self.failures.saturating_add(1);
        if self.outage.failed().is_some() {
            tracing::error!(cycle = self.plan.name, error = %Chain(error), failures = self.failures, retry_in = ?wait, "cycle failed");
        }
        self.pause(wait).await;
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.shutdown.triggered() => {}
        }
    }
}

/// From [`BACKOFF_MIN`] doubling to `max`, of which the upper half is random so that replicas do not march in step.
fn backoff(failures: u32, max: Duration) -> Duration {
    let full = BACKOFF_MIN.saturating_mul(2u32.saturating_pow(failures)).min(max);
    full.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_its_bound() {
        for (failures, full) in [(0, 100), (1, 200), (3, 800), (10, 5_000), (u32::MAX, 5_000)] {
            let wait = backoff(failures, Duration::from_secs(5)).as_millis();
            assert!((full / 2..=full).contains(&wait), "{failures}: {wait}");
        }
    }
}
