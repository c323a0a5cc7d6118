//! The doors for devices. A 202 means durable.
//!
//! A message passes the [`message_check`] (who sent it, how often, what it says), joins the [`queue`], and is answered by the
//! [`group_commit`] once the store has it. Nothing on the way asks the database by itself: [`credentials`] are cached and loaded in batches.

mod batch;
mod credentials;
mod doors;
mod gap;
mod group_commit;
mod message_check;
mod parse;
mod progress;
mod queue;
mod rate_limits;
mod single;

use std::sync::Arc;

use pulse_runtime::{Deps, Outage, Shutdown, Tasks};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Metrics;
use crate::settings::Settings;
use credentials::{Credentials, Loader};
use gap::Gap;
use group_commit::{BEAT_DEADLINE, WriteLoop, Writer};
use queue::Queue;
use rate_limits::RateLimits;

pub(crate) use doors::Ingest;

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
        outage: Outage::default(),
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

/// The routes of both doors.
pub(crate) fn router() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(single::telemetry)).routes(routes!(single::heartbeat)).routes(routes!(batch::batch))
}
