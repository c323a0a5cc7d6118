//! The store's side of the delivery worker and of the dispatcher, with deliveries and decisions that cost nothing.

use std::time::Duration;

use pulse_domain::Timestamp;
use pulse_domain::alert::AlertEvent;
use pulse_domain::ids::{JobId, LeaseId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, NewJob, Verdict};
use pulse_domain::message;
use pulse_domain::route::Route;
use pulse_store::postgres::PostgresStore;
use pulse_store::{AttemptRecord, Claim, ClaimedJob, DeliveryStore as _, DispatchStore as _};

/// Longer than a turn.
pub(crate) const LEASE: Duration = Duration::from_mins(5);
/// What a receiver that takes everything answers.
const TAKEN: u16 = 200;

/// Delivers until nothing is left to claim; how many jobs.
pub(super) async fn deliver(store: PostgresStore, claim: u32) -> anyhow::Result<usize> {
    let mut done = 0;
    loop {
        let now = chrono::Utc::now();
        let batch = store.claim_jobs(Queue::Integration, Claim { now, limit: claim, lease: LEASE }, &[]).await?;
        if batch.jobs.is_empty() {
            return Ok(done);
        }
        done += batch.jobs.len();
        record(&store, batch.lease, batch.jobs, now).await?;
    }
}

/// Records that all were delivered.
pub(crate) async fn record(store: &PostgresStore, lease: LeaseId, jobs: Vec<ClaimedJob>, started_at: Timestamp) -> anyhow::Result<()> {
    let finished_at = chrono::Utc::now();
    let delivered = |claimed: ClaimedJob| AttemptRecord {
        tenant_id: claimed.job.tenant_id,
        lease,
        attempt: Attempt {
            job_id: claimed.job.job_id,
            attempt: claimed.job.attempts,
            started_at,
            finished_at,
            error: None,
            http_status: Some(TAKEN),
            detail: None,
        },
        verdict: Verdict::Delivered,
        trace: None,
    };
    let records: Vec<AttemptRecord> = jobs.into_iter().map(delivered).collect();
    let summary = store.record_attempts(&records, finished_at).await?;
    anyhow::ensure!(summary.lost.is_empty(), "{} jobs were lost to nobody", summary.lost.len());
    Ok(())
}

/// Dispatches until no event is left; how many jobs it made.
pub(super) async fn dispatch(store: PostgresStore, limit: u32) -> anyhow::Result<usize> {
    let mut made = 0;
    loop {
        let now = chrono::Utc::now();
        let batch = store.claim_events(Claim { now, limit, lease: LEASE }).await?;
        if batch.events.is_empty() {
            return Ok(made);
        }
        let events: Vec<_> = batch.events.iter().map(|event| (event.alert.tenant_id.clone(), event.event_id)).collect();
        let jobs: Vec<NewJob> = batch.events.iter().flat_map(|event| jobs_of(event, &batch.routes, now)).collect();
        let summary = store.commit_dispatch(batch.lease, &events, &jobs, now).await?;
        let lost = events.len() - summary.dispatched.len();
        anyhow::ensure!(lost == 0, "{lost} events were lost to nobody");
        made += usize::try_from(summary.jobs)?;
    }
}

/// One on each route of the event's tenant, whatever the route wants.
fn jobs_of(event: &AlertEvent, routes: &[(Route, Queue)], now: Timestamp) -> impl Iterator<Item = NewJob> {
    let own = routes.iter().filter(|(route, _)| route.tenant_id == event.alert.tenant_id);
    own.map(move |(route, queue)| NewJob {
        tenant_id: route.tenant_id.clone(),
        job_id: JobId::generate(),
        event_id: event.event_id,
        route_id: route.route_id,
        integration_id: route.spec.integration_id,
        queue: *queue,
        payload: message::of(event),
        run_at: now,
        origin_at: event.origin_at,
        trace: event.trace.clone(),
    })
}
