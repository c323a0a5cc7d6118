//! The wake-or-poll cycle: one path for the periodic and the signalled case. A wake-up is a hint, the poll is the truth.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use pulse_store::Wake;
use pulse_telemetry::{Activity, Operation};

use crate::{Backoff, Chain, Deps, Outage, Shutdown};

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
    /// The loop's name in logs and in /ready.
    pub name: &'static str,
    /// The longest wait for a wake-up.
    pub poll: Duration,
    /// The shortest wait after a step that found nothing more: under a stream of wake-ups batches form meanwhile, and the database is others'.
    /// The first wake-up after a quiet time is followed at once. Zero: none.
    pub pause: Duration,
    /// A step that takes longer is cancelled and counts as an error. /ready complains when no step has ended for the poll and two deadlines.
    pub deadline: Duration,
    /// The longest wait after errors, as [`Backoff`] has it.
    pub backoff_max: Duration,
}

/// How long a step under way may go on after shutdown: less than its process has to end, so that a silent database does not have the process cut.
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
    let backoff = Backoff::up_to(plan.backoff_max);
    Cycle { plan, operation, wake, shutdown, activity, step, backoff, outage: Outage::default() }.run().await;
}

struct Cycle<S> {
    plan: CyclePlan,
    operation: Operation,
    wake: Option<Wake>,
    shutdown: Shutdown,
    activity: Activity,
    step: S,
    backoff: Backoff,
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
        let result = tokio::select! {
            ended = tokio::time::timeout(self.plan.deadline, step) => match ended {
                Ok(Ok(result)) => result.map_err(StepError::Failed),
                Ok(Err(panic)) => Err(StepError::Panicked(panic_text(&*panic))),
                Err(_elapsed) => Err(StepError::Deadline(self.plan.deadline)),
            },
            () = self.shutdown.overdue(STEP_DRAIN) => Err(StepError::Stopped),
        };
        if result.is_ok() {
            timer.success();
            self.backoff.reset();
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
        let Self { plan, wake, shutdown, .. } = self;
        let woken = async {
            tokio::time::sleep(plan.pause).await;
            match wake {
                Some(wake) => wake.signalled().await,
                None => std::future::pending().await,
            }
        };
        // Either way the next step looks.
        shutdown.unless_triggered(tokio::time::timeout(plan.poll, woken)).await;
    }

    async fn back_off(&mut self, error: &StepError<E>) {
        let wait = self.backoff.failed();
        if self.outage.failed().is_some() {
            tracing::error!(cycle = self.plan.name, error = %Chain(error), failures = self.backoff.failures(), retry_in = ?wait, "cycle failed");
        }
        self.pause(wait).await;
    }

    async fn pause(&self, wait: Duration) {
        self.shutdown.unless_triggered(tokio::time::sleep(wait)).await;
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
