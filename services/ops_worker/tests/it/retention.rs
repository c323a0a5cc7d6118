//! Old readings go, but none that was not evaluated.

use std::time::Duration;

use pulse_domain::credential::TokenHash;
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{DeviceMemory, DeviceOutcome};
use pulse_domain::ids::{DeviceId, DeviceKey, SiteId, TenantId};
use pulse_domain::reading::{Metrics, NewReading, ReadingKind};
use pulse_ops_worker::Settings;
use pulse_store::{Claim, DeviceSpec, PageRequest};

use crate::fixture::{World, eventually, quick};

const NAME: &str = "retention";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn device(world: &World, tenant_id: &TenantId, name: &str) -> DeviceKey {
    let device_id = DeviceId::parse(name).unwrap();
    let spec = DeviceSpec {
        device_id: device_id.clone(),
        site_id: SiteId::parse("s1").unwrap(),
        device_type: "sensor".to_owned(),
        group_ids: Vec::new(),
        lifecycle: Lifecycle::Active,
    };
    world.store.insert_devices(tenant_id, &[(spec, TokenHash::of("secret"))], world.now()).await.unwrap();
    DeviceKey { tenant_id: tenant_id.clone(), device_id }
}

/// Readings received now.
async fn readings(world: &World, key: &DeviceKey, count: usize) {
    let reading = NewReading {
        key: key.clone(),
        kind: ReadingKind::Telemetry,
        ts: world.now(),
        received_at: world.now(),
        site_id: SiteId::parse("s1").unwrap(),
        seq: None,
        metrics: Metrics::default(),
        trace: None,
    };
    world.store.append_readings(&vec![reading; count]).await.unwrap();
}

/// Judges every reading of these devices; others that are due stay as they are.
async fn evaluate(world: &World, keys: &[&DeviceKey]) {
    let claim = Claim { now: world.now(), limit: 100, lease: Duration::from_secs(30) };
    let batch = world.store.claim_due_devices(claim, 1_000).await.unwrap();
    let judged = batch.devices.iter().filter(|due| keys.contains(&&due.key));
    let outcomes: Vec<DeviceOutcome> = judged
        .map(|due| DeviceOutcome {
            key: due.key.clone(),
            evaluated_through: due.readings.last().map(|reading| reading.reading_id),
            status: DeviceStatus::Online,
            memory: DeviceMemory::default(),
            next_check_at: None,
            changes: Vec::new(),
        })
        .collect();
    assert_eq!(outcomes.len(), keys.len());
    assert_eq!(world.store.commit_evaluation(batch.lease, &outcomes, world.now()).await.unwrap().lost, []);
}

async fn count(world: &World, key: &DeviceKey) -> usize {
    world.store.readings(key, None, None, &PageRequest { limit: 500, after: None }).await.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_old_readings_that_were_evaluated_go() {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let (judged, waiting) = (device(&world, &tenant, "judged").await, device(&world, &tenant, "waiting").await);
    readings(&world, &judged, 100).await;
    readings(&world, &waiting, 40).await;
    evaluate(&world, &[&judged]).await;
    world.hand.advance(DAY * 2);
    readings(&world, &judged, 5).await;
    evaluate(&world, &[&judged]).await;

    let settings = Settings { keep_readings: DAY * 3, step_rows: 30, ..quick() };
    let worker = world.worker_with(settings).await;
    worker.looked(NAME).await;
    assert_eq!((count(&world, &judged).await, count(&world, &waiting).await), (105, 40), "nothing is old enough");
    world.hand.advance(DAY * 2);
    eventually("the old ones are gone, in several steps", async || count(&world, &judged).await == 5).await;
    worker.looked(NAME).await;
    assert_eq!((count(&world, &judged).await, count(&world, &waiting).await), (5, 40));
    assert_eq!(worker.value("pulse_ops_rows_purged_total", &[("kind", "readings")]), 100.0);
    worker.stop().await;
}
