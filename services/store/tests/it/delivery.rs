//! Jobs to deliver.

use std::time::Duration;

use chrono::TimeDelta;
use pulse_domain::Timestamp;
use pulse_domain::ids::{JobId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, ErrorKind, JobState, NewJob, Verdict};
use pulse_domain::route::Route;
use pulse_domain::trace::TraceParent;
use pulse_store::{AttemptRecord, Backlog, Claim, ClaimedJob, Cursor, Error, JobBatch, JobFilter, PageRequest, RecordSummary, Topic};

use crate::contract;
use crate::fixture::*;

/// Makes these jobs by way of the events of alerts.
async fn with_jobs(db: &Db, jobs: &mut [NewJob]) {
    let t = jobs[0].tenant_id.clone();
    let names: Vec<String> = jobs.iter().map(|job| format!("d-{}", job.job_id)).collect();
    let devices: Vec<_> = names.iter().map(|name| (spec(name), token(name))).collect();
    db.insert_devices(&t, &devices, at(0)).await.unwrap();
    let changes: Vec<_> = names.iter().map(|name| open(&alert(&t, name, at(0)))).collect();
    db.apply_alert_changes(&t, &changes, at(0)).await.unwrap();
    let batch = db.claim_events(claim(at(0))).await.unwrap();
    for (job, event) in jobs.iter_mut().zip(&batch.events) {
        job.event_id = event.event_id;
    }
    let events: Vec<_> = batch.events.iter().map(|event| (t.clone(), event.event_id)).collect();
    let made = db.commit_dispatch(batch.lease, &events, jobs, at(0)).await.unwrap();
    assert_eq!(made.jobs, u64::try_from(jobs.len()).unwrap());
}

/// A tenant with a route and one job that runs at second 1.
async fn with_one_job(db: &Db) -> (TenantId, Route, JobId) {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let route = db.with_route(&t).await;
    let mut jobs = [job(&route, at(1))];
    with_jobs(db, &mut jobs).await;
    (t, route, jobs[0].job_id)
}

async fn claim_all(db: &Db, now: Timestamp) -> JobBatch {
    db.claim_jobs(Queue::Integration, claim(now), &[]).await.unwrap()
}

fn ids(batch: &JobBatch) -> Vec<JobId> {
    batch.jobs.iter().map(|claimed| claimed.job.job_id).collect()
}

fn record(batch: &JobBatch, ClaimedJob { job, .. }: &ClaimedJob, verdict: Verdict) -> AttemptRecord {
    let failed = verdict != Verdict::Delivered;
    let attempt = Attempt {
        job_id: job.job_id,
        attempt: job.attempts,
        started_at: at(i64::from(job.attempts)),
        finished_at: at(i64::from(job.attempts)) + TimeDelta::milliseconds(20),
        error: failed.then_some(ErrorKind::Server),
        http_status: Some(if failed { 503 } else { 204 }),
        detail: failed.then(|| "service unavailable".to_owned()),
    };
    AttemptRecord { tenant_id: job.tenant_id.clone(), lease: batch.lease, attempt, verdict, trace: None }
}

contract!(jobs_are_claimed_by_run_at_with_where_they_go, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let route = db.with_route(&t).await;
    let mut jobs = [job(&route, at(3)), job(&route, at(1)), job(&route, at(2)), job(&route, at(90))];
    with_jobs(&db, &mut jobs).await;
    assert_eq!(db.job_backlog(Queue::Integration, at(10)).await.unwrap(), Backlog { depth: 3, oldest_at: Some(at(1)) });
    assert_eq!(db.job_backlog(Queue::Notification, at(10)).await.unwrap(), Backlog::default());
    assert_eq!(db.claim_jobs(Queue::Notification, claim(at(10)), &[]).await.unwrap().jobs, []);

    let first = db.claim_jobs(Queue::Integration, Claim { limit: 2, ..claim(at(10)) }, &[]).await.unwrap();
    assert_eq!(ids(&first), [jobs[1].job_id, jobs[2].job_id]);
    let claimed = &first.jobs[0];
    assert_eq!((claimed.job.state, claimed.job.attempts), (JobState::Leased, 1));
    assert_eq!(claimed.integration.as_deref(), db.integration(&t, route.spec.integration_id).await.unwrap().as_ref());
    assert!(claimed.integration.is_some());
    assert_eq!(ids(&claim_all(&db, at(10)).await), [jobs[0].job_id]);
    assert_eq!(db.job_backlog(Queue::Integration, at(10)).await.unwrap(), Backlog { depth: 3, oldest_at: Some(at(1)) });
});

contract!(busy_integrations_are_passed_over, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let (slow, quick) = (db.with_route(&t).await, db.with_route(&t).await);
    let mut jobs = [job(&slow, at(1)), job(&slow, at(2)), job(&quick, at(3))];
    with_jobs(&db, &mut jobs).await;
    let busy = [slow.spec.integration_id];
    let batch = db.claim_jobs(Queue::Integration, claim(at(9)), &busy).await.unwrap();
    assert_eq!(ids(&batch), [jobs[2].job_id]);
    assert_eq!(claim_all(&db, at(9)).await.jobs.len(), 2);
});

contract!(a_job_of_a_disabled_integration_says_so, |db| {
    let (t, route, _) = with_one_job(&db).await;
    let mut integration = db.integration(&t, route.spec.integration_id).await.unwrap().unwrap();
    integration.enabled = false;
    db.update_integration(&integration).await.unwrap();
    assert_eq!(claim_all(&db, at(9)).await.jobs[0].integration, None);
});

contract!(a_delivered_job_is_finished, |db| {
    let (t, _, job_id) = with_one_job(&db).await;
    let batch = claim_all(&db, at(2)).await;
    let record = record(&batch, &batch.jobs[0], Verdict::Delivered);
    assert_eq!(db.record_attempts(std::slice::from_ref(&record), at(3)).await.unwrap(), RecordSummary::default());
    let job = db.job(&t, job_id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts, job.finished_at, job.last_error), (JobState::Delivered, 1, Some(at(3)), None));
    assert_eq!(db.attempts(&t, job_id).await.unwrap(), [record.attempt]);
    assert_eq!(db.job_backlog(Queue::Integration, at(99)).await.unwrap(), Backlog::default());
    assert_eq!(claim_all(&db, at(99)).await.jobs, []);
    assert_eq!(db.record_attempts(&[], at(3)).await.unwrap(), RecordSummary::default());
});

contract!(a_failed_job_is_tried_again_when_its_time_has_come, |db| {
    let (t, _, job_id) = with_one_job(&db).await;
    let batch = claim_all(&db, at(2)).await;
    let retry = record(&batch, &batch.jobs[0], Verdict::Retry { run_at: at(40) });
    db.record_attempts(&[retry], at(3)).await.unwrap();
    let job = db.job(&t, job_id).await.unwrap().unwrap();
    assert_eq!((job.state, job.run_at, job.finished_at), (JobState::Pending, at(40), None));
    assert_eq!(job.last_error.as_deref(), Some("service unavailable"));
    assert_eq!(db.job_backlog(Queue::Integration, at(39)).await.unwrap(), Backlog::default());
    assert_eq!(claim_all(&db, at(39)).await.jobs, []);
    let again = claim_all(&db, at(40)).await;
    assert_eq!(again.jobs[0].job.attempts, 2);
    db.record_attempts(&[record(&again, &again.jobs[0], Verdict::Dead)], at(41)).await.unwrap();
    let job = db.job(&t, job_id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts, job.finished_at), (JobState::Dead, 2, Some(at(41))));
    assert_eq!(db.attempts(&t, job_id).await.unwrap().iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [1, 2]);
});

contract!(a_stale_worker_cannot_finish_a_job_but_its_attempt_is_logged, |db| {
    let (t, _, job_id) = with_one_job(&db).await;
    let stale = claim_all(&db, at(2)).await;
    let end = at(2) + LEASE;
    let late = record(&stale, &stale.jobs[0], Verdict::Delivered);
    let lost = RecordSummary { lost: vec![0] };
    assert_eq!(db.record_attempts(std::slice::from_ref(&late), end).await.unwrap(), lost, "its time has passed");
    assert_eq!(db.job(&t, job_id).await.unwrap().unwrap().state, JobState::Leased);
    db.expire_job_leases(end, 5, 10).await.unwrap();
    assert_eq!(db.record_attempts(std::slice::from_ref(&late), end).await.unwrap(), lost, "nobody holds it");
    let fresh = claim_all(&db, end).await;
    assert_eq!(db.record_attempts(&[late], end).await.unwrap(), lost, "another holds it");
    let job = db.job(&t, job_id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts), (JobState::Leased, 2));
    let done = record(&fresh, &fresh.jobs[0], Verdict::Delivered);
    assert_eq!(db.record_attempts(&[done.clone(), done], end).await.unwrap(), RecordSummary { lost: vec![1] });
    assert_eq!(db.attempts(&t, job_id).await.unwrap().iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [1, 2]);
});

contract!(records_of_several_leases_go_together, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let route = db.with_route(&t).await;
    let mut jobs: Vec<_> = (0..6).map(|n| job(&route, at(n))).collect();
    with_jobs(&db, &mut jobs).await;
    let half = Claim { limit: 3, ..claim(at(9)) };
    let (one, two) =
        (db.claim_jobs(Queue::Integration, half, &[]).await.unwrap(), db.claim_jobs(Queue::Integration, half, &[]).await.unwrap());
    let mut records: Vec<_> = one.jobs.iter().map(|job| record(&one, job, Verdict::Delivered)).collect();
    records.extend(two.jobs.iter().map(|job| record(&two, job, Verdict::Dead)));
    // A job under a lease that is not its own.
    records[5].lease = one.lease;
    assert_eq!(db.record_attempts(&records, at(10)).await.unwrap(), RecordSummary { lost: vec![5] });
    let states: Vec<_> = db.jobs(&t, &JobFilter::default(), &all()).await.unwrap().items.iter().rev().map(|job| job.state).collect();
    let (d, x) = (JobState::Delivered, JobState::Dead);
    assert_eq!(states, [d, d, d, x, x, JobState::Leased]);
});

contract!(released_jobs_are_due_as_before, |db| {
    let (t, _, job_id) = with_one_job(&db).await;
    let batch = claim_all(&db, at(2)).await;
    let mut wake = db.wake(Topic::Jobs);
    wake.arm();
    assert_eq!(db.release_jobs(batch.lease, &[(t.clone(), job_id)]).await.unwrap(), 1);
    tokio::time::timeout(Duration::from_secs(5), wake.signalled()).await.unwrap();
    let job = db.job(&t, job_id).await.unwrap().unwrap();
    assert_eq!((job.state, job.attempts, job.run_at), (JobState::Pending, 0, at(1)));
    assert_eq!(db.release_jobs(batch.lease, &[(t.clone(), job_id)]).await.unwrap(), 0);
    let again = claim_all(&db, at(3)).await;
    assert_eq!(again.jobs[0].job.attempts, 1);
    assert_eq!(db.release_jobs(batch.lease, &[(t, job_id)]).await.unwrap(), 0, "another's lease");
    assert_eq!(db.record_attempts(&[record(&again, &again.jobs[0], Verdict::Delivered)], at(4)).await.unwrap().lost, [0; 0]);
});

contract!(a_dead_job_is_replayed_and_no_other, |db| {
    let (t, _, job_id) = with_one_job(&db).await;
    let (job, was_dead) = db.replay_job(&t, job_id, at(2)).await.unwrap().unwrap();
    assert_eq!((job.state, was_dead), (JobState::Pending, false));
    let batch = claim_all(&db, at(3)).await;
    assert!(!db.replay_job(&t, job_id, at(3)).await.unwrap().unwrap().1);
    db.record_attempts(&[record(&batch, &batch.jobs[0], Verdict::Dead)], at(4)).await.unwrap();
    let mut wake = db.wake(Topic::Jobs);
    wake.arm();
    let (job, was_dead) = db.replay_job(&t, job_id, at(5)).await.unwrap().unwrap();
    assert!(was_dead);
    assert_eq!((job.state, job.attempts, job.run_at, job.finished_at), (JobState::Pending, 0, at(5), None));
    tokio::time::timeout(Duration::from_secs(5), wake.signalled()).await.unwrap();
    let again = claim_all(&db, at(5)).await;
    let mut second = record(&again, &again.jobs[0], Verdict::Delivered);
    (second.attempt.started_at, second.attempt.finished_at) = (at(5), at(6));
    db.record_attempts(&[second], at(6)).await.unwrap();
    // The log keeps the attempts from before, which have the same numbers.
    let log: Vec<_> = db.attempts(&t, job_id).await.unwrap().iter().map(|attempt| (attempt.attempt, attempt.error)).collect();
    assert_eq!(log, [(1, Some(ErrorKind::Server)), (1, None)]);
    assert!(!db.replay_job(&t, job_id, at(7)).await.unwrap().unwrap().1);
    assert_eq!(db.replay_job(&t, JobId::generate(), at(7)).await.unwrap(), None);
});

contract!(a_job_remembers_the_context_of_its_latest_attempt_past_retries_and_replays, |db| {
    let (t, _, job_id) = with_one_job(&db).await;
    let span = |n: u32| Some(TraceParent::parse(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{n:016x}-01")).unwrap());
    let first = claim_all(&db, at(2)).await;
    assert_eq!(first.jobs[0].job.attempt_trace, None);
    let retry = AttemptRecord { trace: span(1), ..record(&first, &first.jobs[0], Verdict::Retry { run_at: at(5) }) };
    db.record_attempts(&[retry], at(3)).await.unwrap();
    let second = claim_all(&db, at(5)).await;
    assert_eq!((&second.jobs[0].job.attempt_trace, &second.jobs[0].job.trace), (&span(1), &Some(trace())));
    let stale = AttemptRecord { lease: first.lease, trace: span(9), ..record(&second, &second.jobs[0], Verdict::Delivered) };
    assert_eq!(db.record_attempts(&[stale], at(6)).await.unwrap().lost, [0]);
    let dead = AttemptRecord { trace: span(2), ..record(&second, &second.jobs[0], Verdict::Dead) };
    db.record_attempts(&[dead], at(6)).await.unwrap();
    let (replayed, _) = db.replay_job(&t, job_id, at(7)).await.unwrap().unwrap();
    assert_eq!(replayed.attempt_trace, span(2));
    let third = claim_all(&db, at(8)).await;
    assert_eq!(third.jobs[0].job.attempt_trace, span(2));
    // One that was not traced leaves the latest that was.
    db.record_attempts(&[record(&third, &third.jobs[0], Verdict::Delivered)], at(9)).await.unwrap();
    assert_eq!(db.job(&t, job_id).await.unwrap().unwrap().attempt_trace, span(2));
});

contract!(jobs_are_listed_newest_first_by_what_is_asked, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let (one, two) = (db.with_route(&t).await, db.with_route(&t).await);
    let mut jobs = [job(&one, at(1)), job(&one, at(2)), job(&two, at(3)), job(&two, at(99))];
    with_jobs(&db, &mut jobs).await;
    let batch = claim_all(&db, at(9)).await;
    let verdicts = [(0, Verdict::Delivered), (1, Verdict::Dead)];
    let records: Vec<_> = verdicts.into_iter().map(|(n, verdict)| record(&batch, &batch.jobs[n], verdict)).collect();
    db.record_attempts(&records, at(10)).await.unwrap();
    let of = |state, integration_id| JobFilter { state, integration_id };
    let second = two.spec.integration_id;
    for (filter, expected) in [
        (of(None, None), vec![3, 2, 1, 0]),
        (of(Some(JobState::Pending), None), vec![3]),
        (of(Some(JobState::Leased), None), vec![2]),
        (of(Some(JobState::Delivered), None), vec![0]),
        (of(Some(JobState::Dead), None), vec![1]),
        (of(None, Some(second)), vec![3, 2]),
        (of(Some(JobState::Dead), Some(second)), vec![]),
    ] {
        let page = db.jobs(&t, &filter, &all()).await.unwrap();
        let found: Vec<_> = page.items.iter().map(|job| job.job_id).collect();
        assert_eq!(found, expected.iter().map(|place: &usize| jobs[*place].job_id).collect::<Vec<_>>(), "{filter:?}");
    }
    let first = db.jobs(&t, &of(None, None), &PageRequest { limit: 3, after: None }).await.unwrap();
    let rest = db.jobs(&t, &of(None, None), &PageRequest { limit: 3, after: first.next }).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (3, 1, None));
    let bad = PageRequest { limit: 3, after: Some(Cursor("61".into())) };
    assert!(matches!(db.jobs(&t, &of(None, None), &bad).await, Err(Error::Missing { what: "the cursor" })));
});

contract!(jobs_are_claimed_once_by_many_workers, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let route = db.with_route(&t).await;
    let mut jobs: Vec<_> = (0..60).map(|_| job(&route, at(1))).collect();
    with_jobs(&db, &mut jobs).await;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let store = db.shared();
            tokio::spawn(async move {
                let mut delivered = Vec::new();
                loop {
                    let batch = store.claim_jobs(Queue::Integration, Claim { limit: 5, ..claim(at(2)) }, &[]).await.unwrap();
                    if batch.jobs.is_empty() {
                        return delivered;
                    }
                    let records: Vec<_> = batch.jobs.iter().map(|job| record(&batch, job, Verdict::Delivered)).collect();
                    assert_eq!(store.record_attempts(&records, at(3)).await.unwrap().lost, [0; 0]);
                    delivered.extend(ids(&batch));
                }
            })
        })
        .collect();
    let mut delivered = Vec::new();
    for worker in workers {
        delivered.extend(worker.await.unwrap());
    }
    delivered.sort_unstable();
    let mut expected: Vec<_> = jobs.iter().map(|job| job.job_id).collect();
    expected.sort_unstable();
    assert_eq!(delivered, expected);
});

contract!(deleting_an_integration_ends_its_routes_and_its_pending_jobs, |db| {
    let t = tenant("t1");
    db.with_tenant(&t).await;
    let (going, staying) = (db.with_route(&t).await, db.with_route(&t).await);
    let mut jobs = [job(&going, at(1)), job(&going, at(50)), job(&staying, at(50))];
    with_jobs(&db, &mut jobs).await;
    let batch = claim_all(&db, at(2)).await;
    assert_eq!(ids(&batch), [jobs[0].job_id]);
    assert!(db.delete_integration(&t, going.spec.integration_id, at(3)).await.unwrap());
    assert!(!db.delete_integration(&t, going.spec.integration_id, at(3)).await.unwrap());
    assert_eq!(db.route(&t, going.route_id).await.unwrap(), None);
    assert_eq!(db.route(&t, staying.route_id).await.unwrap(), Some(staying));

    let dead = db.job(&t, jobs[1].job_id).await.unwrap().unwrap();
    assert_eq!((dead.state, dead.finished_at), (JobState::Dead, Some(at(3))));
    assert!(dead.last_error.unwrap().contains("deleted"));
    assert_eq!(db.job(&t, jobs[2].job_id).await.unwrap().unwrap().state, JobState::Pending);
    // One that is under way is finished by its worker.
    assert_eq!(db.record_attempts(&[record(&batch, &batch.jobs[0], Verdict::Delivered)], at(4)).await.unwrap().lost, [0; 0]);
});
