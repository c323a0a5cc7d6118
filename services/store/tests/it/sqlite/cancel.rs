//! A future that is dropped at any of its waits leaves the whole change or none, and nothing locked.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use pulse_domain::alert::Cause;
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::TenantId;
use pulse_domain::reading::NewReading;

use super::database::eventually;
use super::{assert_consistent, number, raw};
use crate::fixture::*;

/// Polls a future so often and no more; none when it had not ended by then.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// More waits than any method has.
const POLLS_MAX: usize = 40;

/// Nothing is left locked: the pool has all its connections back, and a write goes through.
async fn assert_free(db: &Db, t: &TenantId) {
    eventually("every connection is back", async || db.pool().idle == db.pool().size).await;
    let (device, secret) = (key(t, "d1"), token("new"));
    assert!(tokio::time::timeout(Duration::from_secs(10), db.set_device_token(&device, &secret)).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_whole_or_not_at_all() {
    let db = Db::sqlite().await;
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let mut acknowledged = Vec::new();
    for polls in 0..POLLS_MAX {
        let batch = i64::try_from(polls).unwrap();
        let nth = |name: &str| NewReading { seq: Some(batch), ..reading(&key(&t, name), at(1)) };
        if let Some(done) = dropped_after(polls, db.append_readings(&[nth("d1"), nth("d2"), nth("d1")])).await {
            done.unwrap();
            acknowledged.push(batch);
        }
    }
    assert!(!acknowledged.is_empty() && acknowledged.len() < POLLS_MAX, "{acknowledged:?}");
    assert_free(&db, &t).await;
    let seqs = async |name| -> Vec<i64> {
        let page = db.readings(&key(&t, name), None, None, &all()).await.unwrap();
        page.items.iter().rev().filter_map(|reading| reading.seq).collect()
    };
    let (of_d1, of_d2) = (seqs("d1").await, seqs("d2").await);
    assert_eq!(of_d1, of_d2.iter().flat_map(|seq| [*seq, *seq]).collect::<Vec<_>>());
    assert!(acknowledged.iter().all(|batch| of_d2.contains(batch)));
    assert_consistent(db.file().path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judgement_is_whole_or_not_at_all() {
    let db = Db::sqlite().await;
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let mut now = 0;
    for polls in 0..POLLS_MAX {
        now += 100;
        db.append_readings(&[reading(&key(&t, "d1"), at(now)), reading(&key(&t, "d2"), at(now))]).await.unwrap();
        // A claim that is dropped may have been made: its lease passes.
        drop(dropped_after(polls, db.claim_due_devices(claim(at(now)), 10)).await);
        now += 100;
        let batch = db.claim(at(now)).await;
        assert_eq!(batch.devices.len(), 2, "after {polls} polls");
        let outcomes: Vec<DeviceOutcome> = batch
            .devices
            .iter()
            .map(|due| {
                let mut changes: Vec<_> = due
                    .open_alerts
                    .iter()
                    .map(|open| pulse_domain::alert::AlertChange::Close { alert_id: open.alert_id, at: at(now), cause: Cause::default() })
                    .collect();
                changes.push(open(&alert(&t, due.key.device_id.as_str(), at(now))));
                DeviceOutcome { changes, ..outcome(due) }
            })
            .collect();
        drop(dropped_after(polls, db.commit_evaluation(batch.lease, &outcomes, at(now))).await);
    }
    assert_free(&db, &t).await;
    assert_consistent(db.file().path()).await;
    // The two devices are judged together: either both have an alert from a commit or neither.
    let mut connection = raw(db.file().path()).await;
    let uneven = "SELECT count(*) FROM (SELECT 1 FROM alerts GROUP BY created_at HAVING count(*) <> 2)";
    assert_eq!(number(&mut connection, uneven).await, 0);
    assert!(number(&mut connection, "SELECT count(*) FROM alerts").await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_dispatchers_may_be_cut_off_too() {
    let db = Db::sqlite().await;
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let route = db.with_route(&t).await;
    for polls in 0..POLLS_MAX {
        let now = 1_000 * i64::try_from(polls).unwrap();
        let opened = alert(&t, "d1", at(now));
        db.apply_alert_changes(&t, &[open(&opened)], at(now)).await.unwrap();
        drop(dropped_after(polls, db.acknowledge_alert(&t, opened.alert_id, "ann", at(now), &Cause::default())).await);
        drop(dropped_after(polls, db.close_alert(&t, opened.alert_id, at(now), &Cause::default())).await);
        drop(dropped_after(polls, db.claim_events(claim(at(now)))).await);
        let batch = db.claim_events(claim(at(now + 100))).await.unwrap();
        let events: Vec<_> = batch.events.iter().map(|event| (t.clone(), event.event_id)).collect();
        let jobs: Vec<_> =
            batch.events.iter().map(|event| pulse_domain::job::NewJob { event_id: event.event_id, ..job(&route, at(now)) }).collect();
        drop(dropped_after(polls, db.commit_dispatch(batch.lease, &events, &jobs, at(now + 100))).await);
        drop(dropped_after(polls, db.purge_readings(at(now), 10)).await);
        db.close_alert(&t, opened.alert_id, at(now), &Cause::default()).await.unwrap();
    }
    assert_free(&db, &t).await;
    assert_consistent(db.file().path()).await;
    // Every event that is off the queue has its job.
    let mut connection = raw(db.file().path()).await;
    let jobless = "SELECT count(*) FROM alert_events e WHERE dispatched_at IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = e.tenant_id AND j.event_id = e.event_id)";
    assert_eq!(number(&mut connection, jobless).await, 0);
    assert!(number(&mut connection, "SELECT count(*) FROM jobs").await > 0);
}
