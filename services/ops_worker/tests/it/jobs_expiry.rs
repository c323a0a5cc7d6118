//! Jobs whose worker died come back; what was finished long ago goes.

use std::time::Duration;

use pulse_domain::ids::{EventId, IntegrationId, JobId, RouteId, TenantId};
use pulse_domain::integration::{Destination, Integration, Queue};
use pulse_domain::job::{Attempt, Job, JobState, NewJob, Verdict};
use pulse_domain::route::{Route, RouteSpec};
use pulse_domain::rule::Severity;
use pulse_ops_worker::Settings;
use pulse_store::{AttemptRecord, Claim, JobBatch, JobFilter, PageRequest};

use crate::fixture::{World, eventually, quick};

const NAME: &str = "jobs_expiry";
pub(crate) const LEASE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// As many jobs, each of an alert of its own, as the dispatcher would make them.
pub(crate) async fn make_jobs(world: &World, tenant_id: &TenantId, count: usize) {
    let integration = Integration {
        tenant_id: tenant_id.clone(),
        integration_id: IntegrationId::generate(),
        name: "sink".to_owned(),
        enabled: true,
        destination: Destination::Webhook { url: "https://example.com/".to_owned(), headers: Default::default(), signing_secret: None },
        created_at: world.now(),
    };
    world.store.insert_integration(&integration).await.unwrap();
    let route = route(tenant_id, integration.integration_id, world);
    world.store.insert_route(&route).await.unwrap();
    for n in 0..count {
        world.open(tenant_id, &format!("d{n}"), 3).await;
    }
    let limit = u32::try_from(count).unwrap();
    let batch = world.store.claim_events(Claim { now: world.now(), limit, lease: LEASE }).await.unwrap();
    let events: Vec<(TenantId, EventId)> = batch.events.iter().map(|event| (tenant_id.clone(), event.event_id)).collect();
    let job = |(tenant_id, event_id): &(TenantId, EventId)| NewJob {
        tenant_id: tenant_id.clone(),
        job_id: JobId::generate(),
        event_id: *event_id,
        route_id: route.route_id,
        integration_id: integration.integration_id,
        queue: Queue::Integration,
        payload: pulse_domain::payload::Payload::of(&serde_json::json!({})),
        run_at: world.now(),
        origin_at: None,
        trace: None,
    };
    let jobs: Vec<NewJob> = events.iter().map(job).collect();
    let done = world.store.commit_dispatch(batch.lease, &events, &jobs, world.now()).await.unwrap();
    assert_eq!(done.jobs, count as u64);
}

fn route(tenant_id: &TenantId, integration_id: IntegrationId, world: &World) -> Route {
    let spec = RouteSpec {
        name: "all".to_owned(),
        integration_id,
        enabled: true,
        priority: 100,
        deliver_on: Vec::new(),
        min_severity: Severity::MIN,
        alert_types: Vec::new(),
        site_ids: Vec::new(),
        device_prefixes: Vec::new(),
        stop_after_match: false,
    };
    Route { tenant_id: tenant_id.clone(), route_id: RouteId::generate(), spec, created_at: world.now() }
}

pub(crate) async fn claim(world: &World) -> JobBatch {
    let claim = Claim { now: world.now(), limit: 1_000, lease: LEASE };
    world.store.claim_jobs(Queue::Integration, claim, &[]).await.unwrap()
}

async fn jobs(world: &World, tenant_id: &TenantId) -> Vec<Job> {
    world.store.jobs(tenant_id, &JobFilter::default(), &PageRequest { limit: 500, after: None }).await.unwrap().items
}

async fn all_are(world: &World, tenant_id: &TenantId, state: JobState) -> bool {
    jobs(world, tenant_id).await.iter().all(|job| job.state == state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_died_is_pending_again_and_dead_after_its_last_attempt() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    make_jobs(&world, &tenant, 3).await;
    let settings = Settings { attempts_max: 3, step_rows: 2, ..quick() };
    let worker = world.worker_with(settings).await;
    for attempt in 1..=3 {
        assert_eq!(claim(&world).await.jobs.len(), 3);
        worker.looked(NAME).await;
        assert!(all_are(&world, &tenant, JobState::Leased).await, "the lease still holds");
        world.hand.advance(LEASE + Duration::from_secs(1));
        let expected = if attempt < 3 { JobState::Pending } else { JobState::Dead };
        eventually("the jobs are given up by their worker", async || all_are(&world, &tenant, expected).await).await;
        assert!(jobs(&world, &tenant).await.iter().all(|job| job.attempts == attempt));
    }
    worker.looked(NAME).await;
    assert_eq!(worker.value("pulse_ops_job_leases_expired_total", &[]), 9.0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_jobs_are_kept_for_their_time_and_unfinished_ones_for_good() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    make_jobs(&world, &tenant, 30).await;
    let batch = claim(&world).await;
    let (delivered, rest) = batch.jobs.split_at(20);
    let record = |claimed: &pulse_store::ClaimedJob| AttemptRecord {
        tenant_id: tenant.clone(),
        lease: batch.lease,
        attempt: Attempt {
            job_id: claimed.job.job_id,
            attempt: 1,
            started_at: world.now(),
            finished_at: world.now(),
            error: None,
            http_status: Some(200),
            detail: None,
        },
        verdict: Verdict::Delivered,
        trace: None,
    };
    let records: Vec<AttemptRecord> = delivered.iter().map(record).collect();
    assert_eq!(world.store.record_attempts(&records, world.now()).await.unwrap().lost, [0; 0]);

    let settings = Settings { keep_finished: DAY, step_rows: 7, ..quick() };
    let worker = world.worker_with(settings).await;
    world.hand.advance(DAY - Duration::from_secs(60));
    worker.looked(NAME).await;
    assert_eq!(jobs(&world, &tenant).await.len(), 30);
    world.hand.advance(Duration::from_secs(120));
    eventually("the delivered ones are gone", async || jobs(&world, &tenant).await.len() == 10).await;
    worker.looked(NAME).await;
    let mut left: Vec<JobId> = jobs(&world, &tenant).await.iter().map(|job| job.job_id).collect();
    let mut expected: Vec<JobId> = rest.iter().map(|claimed| claimed.job.job_id).collect();
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
    assert!(worker.value("pulse_ops_rows_purged_total", &[("kind", "finished")]) >= 20.0);
    worker.stop().await;
}
