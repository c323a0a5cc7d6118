//! Gauges that are read at collection, with both readers at work: nothing lingers, and a panic stays where it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use pulse_telemetry::{Definition, PoolProbe, Snapshot, Telemetry};

use crate::receiver::Receiver;
use crate::series::{pushed, shown};
use crate::{telemetry, telemetry_with};

static DEVICES: Definition =
    Definition::gauge("pulse_fleet_devices_by_status", "{device}", "Devices by status.", &["tenant_id", "service", "status"]);
static TEMPERATURE: Definition = Definition::gauge("pulse_temperature", "Cel", "Temperature.", &["room"]);
static LATE: Definition = Definition::counter("pulse_late_total", "{x}", "Late.", &[]);

const WITHIN: Duration = Duration::from_secs(10);

fn replace(snapshot: &Snapshot, series: &[(&str, &str, f64)]) {
    let owned = |(tenant, status, value): &(&str, &str, f64)| (vec![(*tenant).to_owned(), (*status).to_owned()], *value);
    snapshot.replace(series.iter().map(owned).collect());
}

/// The snapshot's series as `tenant/status`, on `/metrics`.
fn on_metrics(telemetry: &Telemetry) -> Vec<(String, f64)> {
    let named =
        |(labels, value): (pulse_telemetry::testing::SeriesLabels, f64)| (format!("{}/{}", labels["tenant_id"], labels["status"]), value);
    telemetry.series("pulse_fleet_devices_by_status").into_iter().map(named).collect()
}

fn wanted(series: &[(&str, f64)]) -> Vec<(String, f64)> {
    series.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn a_snapshot_replaces_every_series() {
    let telemetry = telemetry("ui_api");
    let devices = telemetry.snapshot(&DEVICES);
    assert_eq!(on_metrics(&telemetry), []);
    replace(&devices, &[("a", "ONLINE", 3.0), ("b", "STALE", 1.0)]);
    assert_eq!(on_metrics(&telemetry), wanted(&[("a/ONLINE", 3.0), ("b/STALE", 1.0)]));
    replace(&telemetry.snapshot(&DEVICES), &[("b", "ONLINE", 0.0)]);
    assert_eq!(on_metrics(&telemetry), wanted(&[("b/ONLINE", 0.0)]), "clones share the series");
    replace(&devices, &[]);
    assert_eq!(on_metrics(&telemetry), []);
}

#[test]
fn a_series_that_is_not_right_is_left_out_and_said_once() {
    let telemetry = telemetry("ui_api");
    let devices = telemetry.snapshot(&DEVICES);
    devices.replace(vec![(vec!["a".to_owned()], 1.0), (vec!["a".to_owned(), "b".to_owned()], f64::NAN)]);
    replace(&devices, &[("a", "ONLINE", 3.0), ("a", "STALE", f64::INFINITY)]);
    assert_eq!(on_metrics(&telemetry), wanted(&[("a/ONLINE", 3.0)]));
    assert_eq!(telemetry.complaints().len(), 1);
}

/// Both readers take turns in every order; after each change neither shows what is gone, not even once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_lingers_in_either_exporter() {
    let receiver = Receiver::http().await;
    let telemetry = telemetry_with("ui_api", receiver.env());
    let devices = telemetry.snapshot(&DEVICES);
    for round in 0..30_u32 {
        let (tenant, value) = (format!("tenant-{round}"), f64::from(round));
        // Observed by one reader or the other (or both, or neither) before it is replaced.
        replace(&devices, &[("gone", &tenant, value)]);
        if round % 2 == 0 {
            telemetry.render().unwrap();
        }
        if round % 3 == 0 {
            telemetry.flush(WITHIN).await.unwrap();
        }
        replace(&devices, &[(&tenant, "ONLINE", value)]);
        let here = format!("pulse_fleet_devices_by_status{{service=\"ui_api\",status=\"ONLINE\",tenant_id=\"{tenant}\"}}");
        let push_first = round % 5 == 0;
        if push_first {
            telemetry.flush(WITHIN).await.unwrap();
        }
        let shown = shown(&telemetry.render().unwrap());
        if !push_first {
            telemetry.flush(WITHIN).await.unwrap();
        }
        let pushed = pushed(receiver.pushes().last().unwrap());
        for (exporter, series) in [("metrics", shown), ("otlp", pushed)] {
            let found: Vec<_> = series.iter().filter(|(name, _)| name.starts_with("pulse_fleet_devices_by_status")).collect();
            assert_eq!(found, [(&here, &value)], "{exporter}, round {round}");
        }
    }
}

/// The same while both readers run as fast as they can: a scrape shows one generation, never two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_at_once_never_mix_generations() {
    let receiver = Receiver::http().await;
    let mut env = receiver.env();
    env.push(("OTEL_METRIC_EXPORT_INTERVAL", "1".to_owned()));
    let telemetry = telemetry_with("ui_api", env);
    let devices = telemetry.snapshot(&DEVICES);
    let stop = Arc::new(AtomicBool::new(false));
    let replacing = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut generation = 0.0;
            while !stop.load(Ordering::Relaxed) {
                generation += 1.0;
                let status = generation.to_string();
                replace(&devices, &[("a", &status, generation), ("b", &status, generation)]);
            }
        }
    });
    for _ in 0..300 {
        let found = on_metrics(&telemetry);
        assert!(found.is_empty() || found.len() == 2 && found[0].1 == found[1].1, "{found:?}");
    }
    stop.store(true, Ordering::Relaxed);
    replacing.join().unwrap();
    telemetry.flush(WITHIN).await.unwrap();
    for push in receiver.pushes() {
        let pushed = pushed(&push);
        let found: Vec<_> = pushed.iter().filter(|(name, _)| name.starts_with("pulse_fleet")).collect();
        assert!(found.is_empty() || found.len() == 2 && found[0].1 == found[1].1, "{found:?}");
    }
    assert!(receiver.pushes().len() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_callback_silences_only_itself() {
    let receiver = Receiver::http().await;
    let telemetry = telemetry_with("ui_api", receiver.env());
    let broken = Arc::new(AtomicBool::new(true));
    telemetry.observe(&TEMPERATURE, &[("room", "hall")], || 20.0);
    let probe = Arc::clone(&broken);
    telemetry.observe(&TEMPERATURE, &[("room", "attic")], move || if probe.load(Ordering::Relaxed) { panic!("no sensor") } else { 30.0 });
    telemetry.observe(&TEMPERATURE, &[("room", "cellar")], || 10.0);
    telemetry.observe_pool(PoolProbe::new(|| panic!("no pool"), || 8, || 10));
    for scrape in 1..=3_u32 {
        let shown = shown(&telemetry.render().unwrap());
        assert_eq!(
            (shown.get("pulse_temperature{room=\"hall\"}"), shown.get("pulse_temperature{room=\"cellar\"}")),
            (Some(&20.0), Some(&10.0))
        );
        assert_eq!(shown.get("pulse_temperature{room=\"attic\"}"), None);
        assert_eq!(shown.get("pulse_db_pool_size{service=\"ui_api\"}"), None);
        assert_eq!(shown.get("pulse_db_pool_free{service=\"ui_api\"}"), Some(&8.0));
        assert_eq!(shown.get("pulse_telemetry_callback_panics_total{service=\"ui_api\"}"), Some(&f64::from(2 * scrape)));
    }
    telemetry.flush(WITHIN).await.unwrap();
    let push = pushed(receiver.pushes().last().unwrap());
    assert_eq!((push.get("pulse_temperature{room=\"hall\"}"), push.get("pulse_temperature{room=\"attic\"}")), (Some(&20.0), None));
    broken.store(false, Ordering::Relaxed);
    assert_eq!(telemetry.value("pulse_temperature", &[("room", "attic")]), Some(30.0), "it shows again once it works");
    let complaints = telemetry.complaints();
    assert_eq!(complaints.len(), 2, "once each: {complaints:?}");
    assert!(complaints[0].contains("panicked"), "{complaints:?}");
}

/// The SDK would deadlock.
#[test]
fn an_instrument_asked_for_within_a_callback_is_refused() {
    let telemetry = telemetry("ui_api");
    let asks = Arc::new(std::sync::Mutex::new(Some(telemetry.clone())));
    let within = Arc::clone(&asks);
    telemetry.observe(&TEMPERATURE, &[("room", "hall")], move || {
        if let Some(telemetry) = within.lock().unwrap().as_ref() {
            telemetry.counter(&LATE).add(1, &[]);
            assert!(telemetry.render().is_err(), "nor can it collect");
        }
        20.0
    });
    assert_eq!(telemetry.value("pulse_temperature", &[("room", "hall")]), Some(20.0));
    assert_eq!(telemetry.value("pulse_late_total", &[]), None);
    assert!(telemetry.complaints()[0].contains("within a callback"), "{:?}", telemetry.complaints());
    asks.lock().unwrap().take();
    telemetry.counter(&LATE).add(1, &[]);
    assert_eq!(telemetry.value("pulse_late_total", &[]), Some(1.0), "and may be asked for afterwards");
}

/// Pool gauges are read at each collection, by both exporters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pool_gauges_are_never_stale_and_the_same_over_otlp() {
    let receiver = Receiver::grpc().await;
    let telemetry = telemetry_with("ui_api", receiver.env());
    let idle = Arc::new(AtomicU32::new(8));
    let read = Arc::clone(&idle);
    telemetry.observe_pool(PoolProbe::new(|| 10, move || read.load(Ordering::Relaxed), || 10));
    for now in [8, 0, 5] {
        idle.store(now, Ordering::Relaxed);
        telemetry.flush(WITHIN).await.unwrap();
        let (shown, pushed) = (shown(&telemetry.render().unwrap()), pushed(receiver.pushes().last().unwrap()));
        for series in [shown, pushed] {
            assert_eq!(series.get("pulse_db_pool_size{service=\"ui_api\"}"), Some(&10.0));
            assert_eq!(series.get("pulse_db_pool_free{service=\"ui_api\"}"), Some(&f64::from(now)));
            assert_eq!(series.get("pulse_db_pool_max{service=\"ui_api\"}"), Some(&10.0));
        }
    }
}
