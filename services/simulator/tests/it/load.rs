//! The load against doors of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pulse_runtime::Shutdown;
use pulse_simulator::load::{LoadPlan, load};

use crate::server::{Doors, access, eventually, serve};

fn plan(url: String) -> LoadPlan {
    LoadPlan { url, connections: 4, batch: None, warmup: Duration::ZERO, duration: Duration::from_millis(500), seed: 1 }
}

/// How many devices the doors took readings of.
fn devices_of(doors: &Doors) -> usize {
    doors.taken.lock().unwrap().iter().map(|(device, _)| device.as_str()).collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn what_the_doors_took_is_what_the_load_reports() {
    for batch in [None, Some(1), Some(25)] {
        let doors = Arc::new(Doors::default());
        doors.refusals.lock().unwrap().push_back((429, None));
        let (address, _server) = serve(Arc::clone(&doors), None).await;
        let plan = LoadPlan { batch, duration: Duration::from_secs(3_600), ..plan(format!("http://{address}")) };
        let (access, shutdown) = (access(50), Shutdown::new());
        // Ended by what was taken, not by the time: a busy machine may take its own.
        let enough = async {
            eventually("readings of the whole fleet", || doors.taken.lock().unwrap().len() > 200 && devices_of(&doors) == 50).await;
            shutdown.trigger();
        };
        let (report, ()) = tokio::join!(load(&plan, &access, &shutdown), enough);
        let report = report.unwrap();
        let taken = doors.taken.lock().unwrap().len() as u64;
        let in_flight_at_the_end = 4 * batch.unwrap_or(1) as u64;
        assert!(report.accepted > 100 && taken - report.accepted <= in_flight_at_the_end, "{taken} taken, {report:?}");
        assert_eq!((report.errors, report.rejected), (0, batch.unwrap_or(1) as u64));
        assert_eq!(report.statuses.keys().copied().collect::<Vec<_>>(), [202, 429]);
        assert_eq!(report.latency.count, report.statuses.values().sum::<u64>());
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_a_request() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = load(&plan(format!("http://{address}")), &access(1), &Shutdown::new()).await.unwrap();
    assert!(report.errors >= 4 && report.accepted == 0, "{report:?}");
}

#[tokio::test]
async fn shutdown_ends_it_early() {
    let (address, _server) = serve(Arc::new(Doors::default()), None).await;
    let shutdown = Shutdown::new();
    shutdown.trigger();
    let plan = LoadPlan { duration: Duration::from_secs(3_600), ..plan(format!("http://{address}")) };
    let report = tokio::time::timeout(Duration::from_secs(5), load(&plan, &access(1), &shutdown)).await.unwrap().unwrap();
    assert_eq!(report.accepted, 0);
}
