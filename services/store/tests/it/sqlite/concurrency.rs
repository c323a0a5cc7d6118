//! Many at once: every reading is judged once and in order, whoever else is at work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::ids::{DeviceKey, ReadingId};
use pulse_domain::reading::NewReading;
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_store::{Claim, SharedStore};

use super::assert_consistent;
use crate::fixture::*;

const DEVICES: usize = 12;
const WRITERS: i64 = 6;
const BATCHES: i64 = 25;

/// Judges until everything that will be written is judged; says which readings were judged, in the order of the commits.
async fn judge_all(store: SharedStore, total: usize) -> Vec<(DeviceKey, ReadingId, Option<i64>)> {
    let mut judged = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while judged.len() < total {
        assert!(tokio::time::Instant::now() < deadline, "{} of {total} judged", judged.len());
        let batch = store.claim_due_devices(Claim { limit: 5, ..claim(at(1_000)) }, 7).await.unwrap();
        let outcomes: Vec<_> = batch.devices.iter().map(outcome).collect();
        let summary = store.commit_evaluation(batch.lease, &outcomes, at(1_000)).await.unwrap();
        assert_eq!(summary.lost, [], "no lease passes while the clock stands");
        for due in &batch.devices {
            judged.extend(due.readings.iter().map(|reading| (due.key.clone(), reading.reading_id, reading.seq)));
        }
        if batch.devices.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    judged
}

async fn append_all(store: SharedStore, writer: i64, keys: Arc<Vec<DeviceKey>>) {
    for batch in 0..BATCHES {
        let seq = Some(writer * BATCHES + batch);
        let readings: Vec<_> = keys.iter().map(|key| NewReading { seq, ..reading(key, at(batch)) }).collect();
        store.append_readings(&readings).await.unwrap();
    }
}

async fn run(writer_store: SharedStore, judge_store: SharedStore, keys: Vec<DeviceKey>) {
    let keys = Arc::new(keys);
    let total = keys.len() * usize::try_from(WRITERS * BATCHES).unwrap();
    let judge = tokio::spawn(judge_all(judge_store, total));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(append_all(Arc::clone(&writer_store), writer, Arc::clone(&keys)))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut by_device: BTreeMap<DeviceKey, Vec<(ReadingId, Option<i64>)>> = BTreeMap::new();
    for (key, id, seq) in judge.await.unwrap() {
        by_device.entry(key).or_default().push((id, seq));
    }
    assert_eq!(by_device.len(), keys.len());
    for judged in by_device.values() {
        assert!(judged.is_sorted_by(|(earlier, _), (later, _)| earlier < later), "in order, each once");
        let mut seqs: Vec<_> = judged.iter().filter_map(|(_, seq)| *seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (0..WRITERS * BATCHES).collect::<Vec<_>>());
    }
}

async fn fleet(db: &Db) -> Vec<DeviceKey> {
    let names: Vec<String> = (0..DEVICES).map(|n| format!("d{n}")).collect();
    db.with_devices(&tenant("t1"), &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    names.iter().map(|name| key(&tenant("t1"), name)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reading_is_judged_once_and_in_order_while_others_write() {
    let db = Db::sqlite().await;
    let keys = fleet(&db).await;
    let judge = Arc::new(db.file().pool(PoolSettings::default()).await.unwrap());
    run(db.shared(), judge, keys).await;
    assert_consistent(db.file().path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_a_file_as_services_share_a_process() {
    let db = Db::sqlite().await;
    let keys = fleet(&db).await;
    // A handle of its own has a gate of its own, as another process would: SQLite's lock is what is left between them.
    let elsewhere = Sqlite::open(db.file().path()).await.unwrap();
    let judge = Arc::new(elsewhere.pool(PoolSettings::default()).await.unwrap());
    run(db.shared(), judge, keys).await;
    assert_consistent(db.file().path()).await;
}
