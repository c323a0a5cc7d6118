//! Claims and records, and keeps the time of each claim.

use std::time::{Duration, Instant};

use pulse_domain::integration::Queue;
use pulse_store::postgres::PostgresStore;
use pulse_store::{Claim, DeliveryStore as _};

use super::claims::Claims;
use super::flow::Flow;
use crate::jobs::through_store::{self, LEASE};

/// How long before it looks again when nothing was ready.
const PAUSE: Duration = Duration::from_millis(2);

/// Works until all jobs are recorded.
pub(super) async fn run(store: PostgresStore, flow: Flow) -> anyhow::Result<Claims> {
    let limit = flow.settings.claim;
    let mut claims = Claims::default();
    while !flow.is_over() {
        flow.next_claim().await;
        let (now, begun) = (chrono::Utc::now(), Instant::now());
        let batch = store.claim_jobs(Queue::Integration, Claim { now, limit, lease: LEASE }, &[]).await?;
        let took = begun.elapsed();
        let jobs = u64::try_from(batch.jobs.len())?;
        if jobs == 0 {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        // Others take less time because there is less to claim.
        if jobs == u64::from(limit) {
            claims.add(flow.so_far(), took);
        }
        through_store::record(&store, batch.lease, batch.jobs, now).await?;
        flow.record(jobs);
    }
    Ok(claims)
}
