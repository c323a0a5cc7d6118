//! Readings on their way in, and as history.

use std::time::Duration;

use chrono::TimeDelta;
use pulse_domain::device::Lifecycle;
use pulse_domain::evaluation::IngestProgress;
use pulse_domain::reading::{NewReading, Reading, ReadingKind};
use pulse_store::{DeviceCredential, PageRequest, Topic};

use crate::contract;
use crate::fixture::*;

/// A kept reading without its place.
fn content(reading: &Reading) -> NewReading {
    NewReading {
        key: key(&tenant("t1"), "d1"),
        kind: reading.kind,
        ts: reading.ts,
        received_at: reading.received_at,
        site_id: reading.site_id.clone(),
        seq: reading.seq,
        metrics: reading.metrics.clone(),
        trace: reading.trace.clone(),
    }
}

contract!(credentials_come_in_the_order_asked, |db| {
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    db.with_devices(&t1, &["a", "b"]).await;
    db.with_devices(&t2, &["a"]).await;
    let mut revoked = spec("b");
    revoked.lifecycle = Lifecycle::Revoked;
    assert!(db.update_device(&t1, &revoked, at(1), &Default::default()).await.unwrap());
    assert!(db.set_device_token(&key(&t2, "a"), &token("other")).await.unwrap());

    let keys = [key(&t1, "b"), key(&t1, "none"), key(&t2, "a"), key(&t1, "a"), key(&t2, "b"), key(&t1, "b")];
    let found = db.device_credentials(&keys).await.unwrap();
    let of = |lifecycle, secret| Some(DeviceCredential { site_id: site("s1"), lifecycle, token: token(secret) });
    let b = of(Lifecycle::Revoked, "b");
    assert_eq!(found, [b.clone(), None, of(Lifecycle::Active, "other"), of(Lifecycle::Active, "a"), None, b]);
    assert_eq!(db.device_credentials(&[]).await.unwrap(), []);
});

contract!(readings_come_back_as_they_went_in, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let d1 = key(&t, "d1");
    let odd = r#"{"größe \"x\"\\n": 0.1, "max": 1.7976931348623157e308, "min": 5e-324, "zero": -0.0, "big": 9007199254740993.0,
        "third": 0.3333333333333333, "on": true, "off": false, "𝄞": -12.5, "'; DROP TABLE readings": 1}"#;
    let sent = [
        NewReading { metrics: metrics(odd), seq: Some(i64::MAX), ..reading(&d1, at(1)) },
        NewReading { metrics: metrics("{}"), seq: None, trace: None, kind: ReadingKind::Heartbeat, ..reading(&d1, at(2)) },
        NewReading { seq: Some(i64::MIN), ts: at(-1_000_000), site_id: site("s2"), ..reading(&d1, at(3) + TimeDelta::microseconds(1)) },
    ];
    db.append_readings(&sent).await.unwrap();
    let page = db.readings(&d1, None, None, &all()).await.unwrap();
    let kept: Vec<NewReading> = page.items.iter().rev().map(content).collect();
    assert_eq!(kept, sent);
    let claimed: Vec<NewReading> = db.claim(at(9)).await.devices[0].readings.iter().map(content).collect();
    assert_eq!(claimed, sent);
});

contract!(the_order_of_the_slice_is_the_order_of_the_device, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let (d1, d2) = (key(&t, "d1"), key(&t, "d2"));
    let nth = |key, seq, received_at| NewReading { seq: Some(seq), ..reading(key, received_at) };
    // Clocks that stand still or go back change nothing about the order.
    db.append_readings(&[nth(&d1, 1, at(10)), nth(&d2, 1, at(10)), nth(&d1, 2, at(10)), nth(&d1, 3, at(9))]).await.unwrap();
    db.append_readings(&[nth(&d2, 2, at(5)), nth(&d1, 4, at(4))]).await.unwrap();
    db.append_readings(&[nth(&d1, 5, at(20))]).await.unwrap();
    for (device, expected) in [(&d1, vec![5, 4, 3, 2, 1]), (&d2, vec![2, 1])] {
        let page = db.readings(device, None, None, &all()).await.unwrap();
        assert_eq!(page.items.iter().filter_map(|reading| reading.seq).collect::<Vec<_>>(), expected);
        assert!(page.items.is_sorted_by(|later, earlier| later.reading_id > earlier.reading_id));
    }
});

contract!(readings_of_unknown_devices_are_skipped, |db| {
    let (t1, t2) = (tenant("t1"), tenant("t2"));
    db.with_devices(&t1, &["d1"]).await;
    let known = key(&t1, "d1");
    let strangers = [key(&t1, "d2"), key(&t2, "d1")];
    db.append_readings(&[reading(&strangers[0], at(1)), reading(&known, at(1)), reading(&strangers[1], at(1))]).await.unwrap();
    db.append_readings(&[]).await.unwrap();
    assert_eq!(db.readings(&known, None, None, &all()).await.unwrap().items.len(), 1);
    for stranger in &strangers {
        assert_eq!(db.readings(stranger, None, None, &all()).await.unwrap().items, []);
    }
    assert_eq!(db.evaluation_backlog(at(9)).await.unwrap().depth, 1);
});

contract!(a_history_begins_at_from_and_ends_before_to, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let d1 = key(&t, "d1");
    let sent: Vec<NewReading> = (0..6).map(|n| NewReading { seq: Some(n), ..reading(&d1, at(n)) }).collect();
    db.append_readings(&sent[..2]).await.unwrap();
    db.append_readings(&sent[2..]).await.unwrap();
    for (from, to, expected) in [
        (None, None, vec![5, 4, 3, 2, 1, 0]),
        (Some(at(2)), None, vec![5, 4, 3, 2]),
        (None, Some(at(2)), vec![1, 0]),
        (Some(at(1)), Some(at(4)), vec![3, 2, 1]),
        (Some(at(4)), Some(at(4)), vec![]),
        (Some(at(100)), None, vec![]),
    ] {
        let page = db.readings(&d1, from, to, &all()).await.unwrap();
        assert_eq!(page.items.iter().filter_map(|reading| reading.seq).collect::<Vec<_>>(), expected, "{from:?} to {to:?}");
    }
});

contract!(pages_hold_still_while_readings_arrive, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let d1 = key(&t, "d1");
    let sent: Vec<NewReading> = (0..7).map(|n| NewReading { seq: Some(n), ..reading(&d1, at(n)) }).collect();
    db.append_readings(&sent).await.unwrap();
    let (mut seen, mut request) = (Vec::new(), PageRequest { limit: 3, after: None });
    loop {
        let page = db.readings(&d1, None, None, &request).await.unwrap();
        seen.extend(page.items.iter().filter_map(|reading| reading.seq));
        db.append_readings(&[NewReading { seq: Some(99), ..reading(&d1, at(50)) }]).await.unwrap();
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0]);
});

contract!(a_long_history_is_paged_windowed_and_purged, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1", "d2"]).await;
    let (d1, d2) = (key(&t, "d1"), key(&t, "d2"));
    let total = 700;
    let nth = |key, n| NewReading { seq: Some(n), ..reading(key, at(n)) };
    for start in (0..total).step_by(35) {
        let batch: Vec<_> = (start..start + 35).flat_map(|n| [nth(&d1, n), nth(&d2, n)]).collect();
        db.append_readings(&batch).await.unwrap();
    }
    let history = async |from: Option<i64>, to: Option<i64>, limit| {
        let (mut seqs, mut request) = (Vec::new(), PageRequest { limit, after: None });
        loop {
            let page = db.readings(&d1, from.map(at), to.map(at), &request).await.unwrap();
            seqs.extend(page.items.iter().filter_map(|reading| reading.seq));
            request.after = page.next;
            if request.after.is_none() {
                return seqs;
            }
        }
    };
    let newest_first = |range: std::ops::Range<i64>| range.rev().collect::<Vec<_>>();
    for limit in [1_000, 97] {
        assert_eq!(history(None, None, limit).await, newest_first(0..700));
        assert_eq!(history(Some(3), Some(5), limit).await, newest_first(3..5));
        assert_eq!(history(Some(130), Some(400), limit).await, newest_first(130..400));
        assert_eq!(history(None, Some(64), limit).await, newest_first(0..64));
        assert_eq!(history(Some(690), None, limit).await, newest_first(690..700));
    }
    let batch = db.claim(at(1_000)).await;
    let judged: Vec<_> = batch.devices.iter().map(outcome).collect();
    db.commit_evaluation(batch.lease, &judged, at(1_000)).await.unwrap();
    let through = judged.iter().find(|outcome| outcome.key == d1).unwrap().evaluated_through;
    while db.purge_readings(at(250), 64).await.unwrap().more {}
    let left = history(None, None, 97).await;
    // Only what was judged is gone.
    let first_unread =
        db.readings(&d1, None, None, &all()).await.unwrap().items.iter().filter(|kept| Some(kept.reading_id) > through).count();
    assert_eq!(first_unread, 600);
    assert_eq!(left, newest_first(100..700));
    assert_eq!(history(Some(50), Some(120), 7).await, newest_first(100..120));
});

contract!(readings_wake_the_evaluator, |db| {
    let t = tenant("t1");
    db.with_devices(&t, &["d1"]).await;
    let mut wake = db.wake(Topic::Readings);
    wake.arm();
    db.append_readings(&[reading(&key(&t, "d1"), at(1))]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), wake.signalled()).await.unwrap();
});

contract!(ingest_has_come_as_far_as_its_slowest_living_instance, |db| {
    let within = Duration::from_secs(10);
    assert_eq!(db.ingest_progress(at(100), within).await.unwrap(), None);
    let progress = |up_since, durable_through| IngestProgress { up_since: at(up_since), durable_through: at(durable_through) };
    db.report_ingest_progress("a", progress(10, 99), at(99)).await.unwrap();
    // Alive, as it reports, though what it takes in is not durable for a long time.
    db.report_ingest_progress("b", progress(50, 60), at(100)).await.unwrap();
    assert_eq!(db.ingest_progress(at(100), within).await.unwrap(), Some(progress(10, 60)));
    db.report_ingest_progress("a", progress(10, 108), at(108)).await.unwrap();
    assert_eq!(db.ingest_progress(at(110), within).await.unwrap(), Some(progress(10, 60)));
    assert_eq!(db.ingest_progress(at(111), within).await.unwrap(), Some(progress(10, 108)));
    assert_eq!(db.ingest_progress(at(119), within).await.unwrap(), None);
});
