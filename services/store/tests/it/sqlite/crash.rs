//! kill -9 in the middle of the work: what was acknowledged is there, nothing is half done, and the work goes on.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pulse_domain::Timestamp;
use pulse_domain::alert::AlertChange;
use pulse_domain::alert::Cause;
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::{EventId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::{Attempt, NewJob, Verdict};
use pulse_domain::reading::NewReading;
use pulse_domain::route::Route;
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_store::{AttemptRecord, Claim, SharedStore};

use super::assert_consistent;
use crate::fixture::*;

const DATABASE: &str = "PULSE_STORE_CRASH_DATABASE";
const WRITERS: i64 = 3;

fn t1() -> TenantId {
    tenant("t1")
}

/// Judges what is due: a device's open alert closes and another opens. Says how many devices it judged.
async fn judge(store: &SharedStore, now: Timestamp) -> usize {
    let batch = store.claim_due_devices(claim(now), 50).await.unwrap();
    let outcomes: Vec<DeviceOutcome> = batch
        .devices
        .iter()
        .map(|due| {
            let close = |open: &pulse_domain::evaluation::OpenAlert| AlertChange::Close {
                alert_id: open.alert_id,
                at: now,
                cause: Cause::default(),
            };
            let mut changes: Vec<AlertChange> = due.open_alerts.iter().map(close).collect();
            changes.push(open(&alert(&t1(), due.key.device_id.as_str(), now)));
            DeviceOutcome { changes, ..outcome(due) }
        })
        .collect();
    store.commit_evaluation(batch.lease, &outcomes, now).await.unwrap();
    outcomes.len()
}

/// Turns events into jobs. Says how many events it took.
async fn dispatch(store: &SharedStore, route: &Route, now: Timestamp) -> usize {
    let batch = store.claim_events(Claim { limit: 20, ..claim(now) }).await.unwrap();
    let events: Vec<(TenantId, EventId)> = batch.events.iter().map(|event| (t1(), event.event_id)).collect();
    let jobs: Vec<NewJob> = batch.events.iter().map(|event| NewJob { event_id: event.event_id, ..job(route, now) }).collect();
    store.commit_dispatch(batch.lease, &events, &jobs, now).await.unwrap();
    events.len()
}

/// Delivers jobs. Says how many.
async fn deliver(store: &SharedStore, now: Timestamp) -> usize {
    let batch = store.claim_jobs(Queue::Integration, Claim { limit: 20, ..claim(now) }, &[]).await.unwrap();
    let records: Vec<AttemptRecord> = batch
        .jobs
        .iter()
        .map(|claimed| {
            let (job_id, attempt) = (claimed.job.job_id, claimed.job.attempts);
            let attempt = Attempt { job_id, attempt, started_at: now, finished_at: now, error: None, http_status: Some(200), detail: None };
            AttemptRecord { tenant_id: t1(), lease: batch.lease, attempt, verdict: Verdict::Delivered, trace: None }
        })
        .collect();
    store.record_attempts(&records, now).await.unwrap();
    records.len()
}

async fn open_store(path: &Path) -> SharedStore {
    Arc::new(Sqlite::open(path).await.unwrap().pool(PoolSettings::default()).await.unwrap())
}

/// The child: does everything at once until it is killed, and says which batches of readings were acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the test below, which kills it"]
async fn child() {
    #[allow(clippy::disallowed_methods, reason = "how the parent of this test names the database")]
    let Ok(path) = std::env::var(DATABASE) else { return };
    let store = open_store(Path::new(&path)).await;
    let route = store.routes(&t1(), &all()).await.unwrap().items.remove(0);
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for batch in 0.. {
                let seq = batch * WRITERS + writer;
                let readings = ["d0", "d1", "d2"].map(|name| NewReading { seq: Some(seq), ..reading(&key(&t1(), name), at(1)) });
                store.append_readings(&readings).await.unwrap();
                writeln!(std::io::stdout(), "\nacknowledged {seq}").unwrap();
            }
        });
    }
    let (evaluator, dispatcher, worker) = (Arc::clone(&store), Arc::clone(&store), Arc::clone(&store));
    tasks.spawn(async move {
        loop {
            judge(&evaluator, at(10)).await;
        }
    });
    tasks.spawn(async move {
        loop {
            dispatch(&dispatcher, &route, at(10)).await;
        }
    });
    tasks.spawn(async move {
        loop {
            deliver(&worker, at(10)).await;
        }
    });
    tasks.join_next().await.unwrap().unwrap();
}

/// Runs the child until it has acknowledged so many batches, kills it, and says which it had acknowledged.
fn run_and_kill(path: &Path, batches: usize) -> BTreeSet<i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::crash::child", "--ignored", "--nocapture"])
        .env(DATABASE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut killed = false;
    // What it had said before it died is still in the pipe.
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(seq) = line.strip_prefix("acknowledged ").and_then(|seq| seq.parse().ok()) {
            acknowledged.insert(seq);
        }
        if acknowledged.len() >= batches && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(!child.wait().unwrap().success() && killed, "the child ended by itself after {} batches", acknowledged.len());
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_and_the_work_goes_on() {
    let db = Db::sqlite().await;
    let path = db.file().path().to_owned();
    db.with_devices(&t1(), &["d0", "d1", "d2"]).await;
    let route = db.with_route(&t1()).await;
    db.close().await;

    let mut acknowledged = BTreeSet::new();
    for round in 1..=3 {
        let from_path = path.clone();
        acknowledged = tokio::task::spawn_blocking(move || run_and_kill(&from_path, 40)).await.unwrap();
        assert_consistent(&path).await;
        let store = open_store(&path).await;
        for name in ["d0", "d1", "d2"] {
            let kept =
                store.readings(&key(&t1(), name), None, None, &pulse_store::PageRequest { limit: 100_000, after: None }).await.unwrap();
            let kept: BTreeSet<i64> = kept.items.iter().filter_map(|reading| reading.seq).collect();
            assert!(acknowledged.is_subset(&kept), "round {round}: {:?} lost", acknowledged.difference(&kept).collect::<Vec<_>>());
        }
        store.close().await;
    }
    assert!(!acknowledged.is_empty());

    // The leases of the dead pass, and everything that was begun is finished.
    let store = open_store(&path).await;
    let now = at(10) + 2 * LEASE;
    store.expire_job_leases(now, 5, 10_000).await.unwrap();
    while judge(&store, now).await + dispatch(&store, &route, now).await + deliver(&store, now).await > 0 {}
    assert_eq!(store.evaluation_backlog(now).await.unwrap().depth, 0);
    assert_eq!(store.dispatch_backlog(now).await.unwrap().depth, 0);
    assert_eq!(store.job_backlog(Queue::Integration, now).await.unwrap().depth, 0);
    assert_consistent(&path).await;
}
