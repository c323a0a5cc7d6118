//! What is read of the process and of the tokio runtime at each collection.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pulse_telemetry::Telemetry;

use crate::telemetry;

fn value(telemetry: &Telemetry, name: &str) -> f64 {
    telemetry.value(name, &[]).unwrap_or_else(|| panic!("{name} is absent"))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Works until a counter has grown.
fn until_grown(telemetry: &Telemetry, name: &str) {
    let (before, began) = (value(telemetry, name), Instant::now());
    while value(telemetry, name) <= before {
        assert!(began.elapsed() < Duration::from_secs(20), "{name} stands still");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_as_linux_tells_it() {
    let telemetry = telemetry("worker");
    let memory = value(&telemetry, "pulse_process_resident_memory_bytes");
    assert!((1e6..1e11).contains(&memory), "{memory}");
    let started = value(&telemetry, "pulse_process_start_time_seconds");
    assert!((now() - 3_600.0..=now() + 1.0).contains(&started), "{started}");
    assert!(value(&telemetry, "pulse_process_threads") >= 2.0, "the test's thread and the main one");
    let (open, max) = (value(&telemetry, "pulse_process_open_fds"), value(&telemetry, "pulse_process_max_fds"));
    assert!(3.0 <= open && open < max, "{open} of {max}");
    until_grown(&telemetry, "pulse_process_cpu_seconds_total");
}

#[cfg(target_os = "linux")]
#[test]
fn open_files_are_counted() {
    let telemetry = telemetry("worker");
    let before = value(&telemetry, "pulse_process_open_fds");
    let files: Vec<_> = (0..200).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    assert!(value(&telemetry, "pulse_process_open_fds") > before + 100.0, "other tests may have closed some meanwhile");
    drop(files);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_runtime_is_the_one_that_telemetry_was_started_in() {
    let telemetry = telemetry("worker");
    assert_eq!(value(&telemetry, "pulse_runtime_workers"), 3.0);
    let waiting: Vec<_> = (0..5).map(|_| tokio::spawn(std::future::pending::<()>())).collect();
    assert!(value(&telemetry, "pulse_runtime_tasks") >= 5.0);
    assert_eq!(value(&telemetry, "pulse_runtime_queue_depth").fract(), 0.0);
    let began = Instant::now();
    for name in ["pulse_runtime_busy_seconds_total", "pulse_runtime_parks_total"] {
        let before = value(&telemetry, name);
        while value(&telemetry, name) <= before {
            // A worker has something to do, and then nothing.
            tokio::spawn(tokio::time::sleep(Duration::from_millis(1))).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(20), "{name} stands still");
        }
    }
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[test]
fn outside_a_runtime_there_is_none_to_show() {
    assert!(!telemetry("worker").render().unwrap().contains("pulse_runtime_"));
}
