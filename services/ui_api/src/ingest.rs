//! The doors for devices. A 202 means durable.
//!
//! A message passes [`admission`] (who sent it, how often, what it says), joins the [`queue`], and is answered by the [`writer`] once the
//! store has it. Nothing on the way asks the database by itself: [`credentials`] are cached and loaded in batches.

mod admission;
mod batch;
mod credentials;
mod limits;
mod parse;
mod progress;
mod queue;
mod single;
mod writer;

use std::sync::Arc;

use pulse_domain::ids::DeviceKey;
use pulse_domain::reading::RejectReason;
use pulse_runtime::{Deps, Shutdown, Tasks};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body::{BodyError, kib};
use crate::metrics::Metrics;
use crate::problem::Kind;
use crate::settings::Settings;
use admission::Refusal;
use credentials::{Credentials, Known, Loader};
use limits::RateLimits;
use progress::Gap;
use queue::Queue;
use writer::{BEAT_DEADLINE, WriteLoop, Writer};

const CREDENTIALS_UNAVAILABLE: &str = "the device cannot be looked up now: send the reading again";

/// What the doors share.
#[derive(Debug)]
pub(crate) struct Ingest {
    metrics: Arc<Metrics>,
    credentials: Arc<Credentials>,
    limits: RateLimits,
    writer: Writer,
    body_max_bytes: usize,
    batch_max: usize,
}

/// The tasks behind the doors, not yet running.
pub(crate) struct Background {
    loader: Loader,
    write_loop: WriteLoop,
    queue: Arc<Queue>,
    gap: Arc<Gap>,
    deps: Deps,
}

/// Ends what works behind the doors once no request is left: the writer still writes all that is queued.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    queue: Arc<Queue>,
    done: Shutdown,
}

impl Closing {
    pub(crate) fn close(&self) {
        self.queue.close();
        self.done.trigger();
    }
}

/// The doors and what works behind them.
pub(crate) fn new(deps: &Deps, settings: &Settings, metrics: &Arc<Metrics>) -> (Arc<Ingest>, Background) {
    let gap = Arc::<Gap>::default();
    let queue = Queue::new(settings.ingest_queue_max);
    let depth = Arc::clone(&queue);
    metrics.ingest.observe_depth(move || depth.depth() as f64);
    let (credentials, loader) = Credentials::new(settings, Arc::clone(&deps.store), Arc::clone(metrics), Arc::clone(&gap));
    let write_loop = WriteLoop {
        queue: Arc::clone(&queue),
        store: Arc::clone(&deps.store),
        spans: deps.spans.clone(),
        metrics: Arc::clone(metrics),
        gap: Arc::clone(&gap),
        activity: deps.telemetry.readiness().activity("ingest_writer", BEAT_DEADLINE),
        group_max: settings.ingest_group_max,
    };
    let ingest = Ingest {
        metrics: Arc::clone(metrics),
        credentials,
        limits: RateLimits::new(settings),
        writer: Writer::new(Arc::clone(&queue), deps.clock.clone(), Arc::clone(metrics), Arc::clone(&gap)),
        body_max_bytes: settings.ingest_body_max_bytes,
        batch_max: settings.ingest_batch_max,
    };
    (Arc::new(ingest), Background { loader, write_loop, queue, gap, deps: deps.clone() })
}

impl Background {
    /// Starts the tasks. They outlive the wish to stop, as requests under way need them: they end with [`Closing::close`].
    pub(crate) fn spawn(self, tasks: &mut Tasks) -> Closing {
        let closing = Closing { queue: Arc::clone(&self.queue), done: Shutdown::new() };
        let done = || closing.done.clone();
        let Deps { store, clock, .. } = self.deps;
        tasks.spawn_loop("the ingest writer", self.write_loop.run());
        tasks.spawn_loop("the loader of credentials", self.loader.run(done()));
        tasks.spawn_loop("the report of ingest's progress", progress::report(store, clock, self.queue, self.gap, done()));
        closing
    }
}

impl Ingest {
    /// A device has changed: its next message is judged by what it is now.
    pub(crate) fn forget(&self, key: &DeviceKey) {
        self.credentials.forget(key);
    }

    /// Gives back the memory of senders that are silent.
    pub(crate) fn sweep(&self) {
        self.limits.sweep();
    }

    async fn load(&self, keys: Vec<DeviceKey>) -> Result<Vec<Known>, Refusal> {
        let loaded = self.credentials.load(keys).await;
        loaded.map_err(|credentials::Unavailable| Refusal::new(RejectReason::Unavailable, CREDENTIALS_UNAVAILABLE))
    }
}

/// The routes of both doors.
pub(crate) fn router() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(single::telemetry)).routes(routes!(single::heartbeat)).routes(routes!(batch::batch))
}

/// What is said of a body that could not be read.
fn unread(error: BodyError, max_bytes: usize) -> Refusal {
    match error {
        BodyError::TooLarge => {
            Refusal::new(RejectReason::PayloadTooLarge, format!("the body is larger than {}, the most that is taken", kib(max_bytes)))
        }
        BodyError::TooSlow => Refusal::new(RejectReason::Invalid, "the body did not arrive in time").seen_as(Kind::Timeout),
        BodyError::Broken => Refusal::new(RejectReason::Invalid, "the body ended before it was whole"),
    }
}
