//! Crashes and company: nothing is lost, nothing opens twice.

use std::time::Duration;

use pulse_domain::alert::AlertStatus;
use pulse_store::Claim;
use serde_json::json;

use crate::fixture::{World, eventually, quick};

const LEASE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_claimed_is_judged_once_its_lease_has_passed() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 3).await;
    world.rule(&tenant, json!({})).await;
    for n in 0..3 {
        world.temps(&tenant, n, &[20.0, 90.0]).await;
    }
    let claim = Claim { now: world.clock.now(), limit: 10, lease: LEASE };
    let claimed = world.store.claim_due_devices(claim, 10).await.unwrap();
    assert_eq!(claimed.devices.len(), 3, "claimed, and then its evaluator was gone");
    let evaluator = world.evaluator().await;
    world.hand.advance(LEASE - Duration::from_millis(1));
    let before = evaluator.cycles("success");
    eventually("cycles went by", async || evaluator.cycles("success") >= before + 3.0).await;
    assert_eq!((world.alerts(&tenant).await.len(), world.depth().await), (0, 3));
    world.hand.advance(Duration::from_millis(1));
    eventually("all are judged", async || world.alerts(&tenant).await.len() == 3).await;

    // The evaluator that was thought gone comes back: its lease is not held any more.
    let outcomes: Vec<_> = claimed.devices.iter().map(outcome).collect();
    let late = world.store.commit_evaluation(claimed.lease, &outcomes, world.clock.now()).await.unwrap();
    assert_eq!((late.opened.len(), late.lost.len()), (0, 3));
    assert_eq!(world.alerts(&tenant).await.len(), 3);
    evaluator.stop().await;
}

fn outcome(device: &pulse_domain::evaluation::DueDevice) -> pulse_domain::evaluation::DeviceOutcome {
    pulse_domain::evaluation::DeviceOutcome {
        key: device.key.clone(),
        evaluated_through: device.readings.last().map(|reading| reading.reading_id),
        status: device.status,
        memory: device.memory.clone(),
        next_check_at: None,
        changes: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluators_that_crash_at_any_moment_lose_nothing_and_open_nothing_twice() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 40).await;
    world.rule(&tenant, json!({})).await;
    for round in 0..6 {
        let temps = if round % 2 == 0 { [20.0, 90.0] } else { [90.0, 20.0] };
        for n in 0..40 {
            world.temps(&tenant, n, &temps).await;
        }
        let evaluator = world.start(pulse_evaluator::Settings { batch_size: 7, ..quick() }).await;
        let half_way = async || world.depth().await <= 40 - 7 * (round % 5 + 1);
        eventually("it is in the midst of its work", half_way).await;
        evaluator.crash().await;
        world.hand.advance(LEASE);
    }
    let evaluator = world.evaluator().await;
    world.evaluated().await;
    // Each device went 20 90 | 90 20 | 20 90 …: three alerts, opened and closed in turn.
    let alerts = world.alerts(&tenant).await;
    assert_eq!(alerts.len(), 40 * 3);
    assert!(alerts.iter().all(|alert| alert.status == AlertStatus::Closed));
    assert_eq!(world.events(&tenant).await.len(), 40 * 3 * 2);
    evaluator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_evaluators_share_the_work_and_open_nothing_twice() {
    let world = World::new().await;
    let tenant = world.tenant("t1", 200).await;
    world.rule(&tenant, json!({})).await;
    let settings = || pulse_evaluator::Settings { batch_size: 5, readings_max: 2, ..quick() };
    let (one, two) = (world.evaluator_with(settings()).await, world.evaluator_with(settings()).await);
    for temps in [[20.0, 90.0, 90.0], [91.0, 20.0, 20.0], [90.0, 20.0, 90.0]] {
        let readings: Vec<_> = temps.iter().flat_map(|temp| (0..200).map(|n| world.reading(&tenant, n, json!({"temp": *temp})))).collect();
        world.store.append_readings(&readings).await.unwrap();
    }
    world.evaluated().await;
    let alerts = world.alerts(&tenant).await;
    assert_eq!(alerts.len(), 600);
    assert_eq!(alerts.iter().filter(|alert| alert.status == AlertStatus::Open).count(), 200);
    let counted = |name| one.of(&tenant, name) + two.of(&tenant, name);
    eventually("all are counted", async || counted("rules_evaluated") >= 1_800.0).await;
    assert_eq!((counted("rules_evaluated"), counted("alerts_created")), (1_800.0, 600.0));
    for evaluator in [&one, &two] {
        assert!(evaluator.of(&tenant, "rules_evaluated") > 0.0, "both worked");
        assert_eq!(evaluator.value("pulse_evaluator_leases_lost_total", &[]), 0.0);
    }
    one.stop().await;
    two.stop().await;
}
