//! The numbers are there from the start, errors are counted by name, and no error ends a loop.

use pulse_ops_worker::{Settings, WatchTarget};
use pulse_runtime::Error;

use crate::fixture::{World, eventually, quick};

const SUB_WORKERS: [&str; 4] = ["health_monitor", "escalation", "jobs_expiry", "retention"];

fn unreachable() -> WatchTarget {
    WatchTarget::new("ui_api", "http://127.0.0.1:1/health").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_from_the_first_scrape_on() {
    let world = World::new().await;
    let worker = world.worker_with(Settings { watch: vec![unreachable()], ..quick() }).await;
    for name in SUB_WORKERS {
        worker.looked(name).await;
    }
    let scrape = worker.get("/metrics").await;
    let mut expected: Vec<String> = [
        "pulse_ops_service_up{target=\"ui_api\"} 0",
        "pulse_ops_health_checks_total{outcome=\"ok\",target=\"ui_api\"} 0",
        "pulse_ops_health_checks_total{outcome=\"connect\",target=\"ui_api\"} ",
        "pulse_ops_system_alerts_total{change=\"closed\"} 0",
        "pulse_ops_alerts_escalated_total 0",
        "pulse_ops_job_leases_expired_total 0",
        "pulse_ops_rows_purged_total{kind=\"finished\"} 0",
        "pulse_ops_rows_purged_total{kind=\"readings\"} 0",
        "pulse_db_pool_size{service=\"ops_worker\"}",
    ]
    .map(str::to_owned)
    .to_vec();
    expected
        .extend(SUB_WORKERS.map(|name| format!("pulse_processing_duration_seconds_count{{operation=\"{name}\",service=\"ops_worker\"}}")));
    for series in expected {
        assert!(scrape.lines().any(|line| line.starts_with(&series)), "{series} is not in\n{scrape}");
    }
    for path in ["/health", "/ready"] {
        let answer = worker.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
    }
    let definitions = pulse_ops_worker::metrics::DEFINITIONS.iter();
    let mut defined: Vec<&str> = definitions.filter_map(|definition| definition.name.strip_prefix("pulse_ops_")).collect();
    let mut shown: Vec<&str> = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE pulse_ops_")?.split(' ').next()).collect();
    defined.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, defined, "what is defined is what is shown");
    assert_eq!(worker.telemetry.complaints(), Vec::<String>::new());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_is_an_error_of_each_sub_worker_and_outlived() {
    let world = World::new().await;
    let worker = world.worker_with(Settings { watch: vec![unreachable()], ..quick() }).await;
    for name in SUB_WORKERS {
        worker.looked(name).await;
    }
    world.store.close().await;
    for name in SUB_WORKERS {
        eventually("errors are counted, again and again", async || worker.steps(name, "error") >= 2.0).await;
    }
    assert!(worker.is_running());
    worker.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_start_nothing() {
    let world = World::new().await;
    let settings = Settings { watch: vec![unreachable(), unreachable()], ..quick() };
    let error = world.worker_with(settings).await.ended().await.unwrap_err();
    assert!(matches!(error, Error::Settings(_)), "{error:?}");
}
