//! The driver against doors that take, refuse, vanish and return.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_runtime::Shutdown;
use pulse_simulator::drive::tally::{DriveStats, DriveTally};
use pulse_simulator::drive::{DrivePlan, drive};
use pulse_simulator::error::Error;
use pulse_simulator::fleet::FleetPlan;
use pulse_simulator::sent_readings::SentReadings;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::server::{Doors, access, eventually, serve};

fn plan(url: String, devices: u32, rate: f64) -> DrivePlan {
    DrivePlan { url, fleet: FleetPlan::at_rate(1, devices, rate), batch_share: 0.0, batch_max: 100, connections: 8, duration: None }
}

/// A run under way.
struct Run {
    tally: Arc<DriveTally>,
    stop: Shutdown,
    joined: JoinHandle<Result<DriveStats, Error>>,
}

fn start(plan: DrivePlan) -> Run {
    let access = access(plan.fleet.devices);
    let sent_readings = Arc::new(SentReadings::new(&access));
    let tally = Arc::new(DriveTally::new().unwrap());
    let stop = Shutdown::new();
    let (own, shutdown) = (Arc::clone(&tally), stop.clone());
    let joined = tokio::spawn(async move { drive(&plan, access, sent_readings, own, shutdown).await });
    Run { tally, stop, joined }
}

#[tokio::test]
async fn a_fleet_reports_through_both_doors_for_as_long_as_it_is_told() {
    let doors = Arc::new(Doors::default());
    let (address, _server) = serve(Arc::clone(&doors), None).await;
    let plan = DrivePlan { batch_share: 0.5, duration: Some(Duration::from_secs(2)), ..plan(format!("http://{address}"), 96, 480.0) };
    let stats = start(plan).joined.await.unwrap().unwrap();
    let taken = doors.taken.lock().unwrap();
    assert_eq!(taken.len() as u64, stats.accepted);
    assert_eq!(stats.accepted, 960, "96 devices, 5 readings a second, 2 seconds: {stats:?}");
    assert_eq!((stats.sent, stats.rejected, stats.given_up, stats.skipped), (stats.accepted, 0, 0, 0));
    assert_eq!(*doors.batched.lock().unwrap(), 480, "half of the four sites have gateways");
    assert!(stats.request_latency.count == stats.requests && stats.request_latency.p99_ms > 0.0);
    let mut last_seq: BTreeMap<&str, i64> = BTreeMap::new();
    for (device, body) in taken.iter() {
        let seq = body["seq"].as_i64().unwrap();
        assert_eq!(seq, last_seq.get(device.as_str()).unwrap_or(&0) + 1, "{device} in order, each once");
        last_seq.insert(device, seq);
        assert!(body["site_id"].as_str().unwrap().starts_with("site-") && body["ts"].is_string() && body["metrics"].is_object());
    }
}

#[tokio::test]
async fn a_door_that_says_later_is_asked_again_later() {
    let doors = Arc::new(Doors::default());
    doors.refusals.lock().unwrap().extend([(503, Some(1)), (429, None), (500, None)]);
    let (address, _server) = serve(Arc::clone(&doors), None).await;
    let begun = Instant::now();
    let run = start(plan(format!("http://{address}"), 1, 1.0));
    eventually("the first reading", || run.tally.stats().accepted >= 1).await;
    let stats = run.tally.stats();
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After is obeyed");
    assert_eq!((stats.retried, stats.rejected, stats.given_up), (3, 0, 0));
    assert_eq!(doors.taken.lock().unwrap()[0].1["seq"], 1, "no reading was left out");
    run.stop.trigger();
    run.joined.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_restarts_loses_no_reading() {
    let doors = Arc::new(Doors::default());
    let (address, server) = serve(Arc::clone(&doors), None).await;
    let run = start(plan(format!("http://{address}"), 10, 50.0));
    eventually("readings before", || run.tally.stats().accepted >= 10).await;
    server.abort();
    drop(server.await);
    eventually("an outage", || run.tally.stats().connection_errors >= 5).await;
    let before = run.tally.stats().accepted;
    let (_address, _server) = serve(Arc::clone(&doors), Some(address)).await;
    eventually("readings after", || run.tally.stats().accepted >= before + 50).await;
    run.stop.trigger();
    let stats = run.joined.await.unwrap().unwrap();
    assert!(stats.retried >= 5 && stats.skipped == 0, "{stats:?}");
    assert_eq!(stats.sent, stats.accepted + stats.given_up);
    let mut seqs: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (device, body) in doors.taken.lock().unwrap().iter() {
        seqs.entry(device.clone()).or_default().push(body["seq"].as_i64().unwrap());
    }
    for (device, seqs) in seqs {
        // A request cut off after it was taken is sent again: twice is right, never is not.
        assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1 || pair[1] == pair[0]), "{device}: {seqs:?}");
    }
}

#[tokio::test]
async fn a_batch_sends_again_only_what_was_not_taken() {
    let doors = Arc::new(Doors::default());
    let refusals = [("freezer-00000", vec!["RATE_LIMITED", "UNAVAILABLE"]), ("climate-00001", vec!["SITE_MISMATCH"])];
    doors.refused_devices.lock().unwrap().extend(refusals.map(|(device, reasons)| (device.to_owned(), VecDeque::from(reasons))));
    let (address, _server) = serve(Arc::clone(&doors), None).await;
    let plan = DrivePlan { batch_share: 1.0, duration: Some(Duration::from_secs(1)), ..plan(format!("http://{address}"), 4, 4.0) };
    let stats = start(plan).joined.await.unwrap().unwrap();
    assert_eq!((stats.sent, stats.accepted, stats.retried, stats.rejected), (4, 3, 2, 1));
    assert_eq!(stats.rejected_by_reason, BTreeMap::from([("SITE_MISMATCH".to_owned(), 1)]));
    let freezer = doors.taken.lock().unwrap().iter().filter(|(device, _)| device == "freezer-00000").count();
    assert_eq!(freezer, 1);
}

#[tokio::test]
async fn a_server_that_never_answers_is_waited_for_and_said_so_until_the_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let run = start(DrivePlan { connections: 2, ..plan(format!("http://{address}"), 20, 200.0) });
    eventually("lag", || run.tally.stats().lag_ms > 500).await;
    let begun = Instant::now();
    run.stop.trigger();
    let stats = run.joined.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((stats.sent, stats.accepted, stats.given_up), (2, 0, 2));
    silent.abort();
}

#[tokio::test]
async fn a_slow_server_is_fallen_behind_and_the_lag_says_so() {
    let doors = Arc::new(Doors::default());
    doors.refusals.lock().unwrap().extend([(503, Some(1)), (503, Some(1))]);
    let (address, _server) = serve(doors, None).await;
    let run = start(DrivePlan { connections: 1, ..plan(format!("http://{address}"), 10, 100.0) });
    eventually("lag", || run.tally.stats().lag_ms > 1_000).await;
    eventually("the pace again", || run.tally.stats().lag_ms < 50 && run.tally.stats().accepted > 200).await;
    run.stop.trigger();
    let stats = run.joined.await.unwrap().unwrap();
    assert_eq!((stats.skipped, stats.rejected), (0, 0));
}

#[tokio::test]
async fn plans_that_make_no_sense_are_refused() {
    let good = plan("http://127.0.0.1:9".into(), 2, 1.0);
    for (bad, says) in [
        (DrivePlan { url: "127.0.0.1".into(), ..good.clone() }, "127.0.0.1"),
        (DrivePlan { batch_share: 1.5, ..good.clone() }, "0 to 1, not 1.5"),
        (DrivePlan { connections: 0, ..good.clone() }, "at least 1"),
    ] {
        let error = start(bad).joined.await.unwrap().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
