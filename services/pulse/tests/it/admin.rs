//! Each service's admin routes: its own series, no other's, from the first scrape on.

use crate::api::client;
use crate::process::{SERVICES, Up, free_ports};

/// The required series of each service with their labels, those that must stand there at the first scrape.
const REQUIRED: &[(&str, &[&str])] = &[
    (
        "ui_api",
        &[
            "\npulse_ingest_queue_depth 0\n",
            "\npulse_ingest_records_dropped_total 0\n",
            r#"pulse_processing_total{operation="ingest_write",outcome="success",service="ui_api"} 0"#,
            r#"pulse_auth_failures_total{"#,
            r#"pulse_fleet_active_alerts{"#,
            r#"pulse_fleet_devices_by_status{"#,
        ],
    ),
    (
        "evaluator",
        &[
            r#"pulse_queue_depth{queue_name="devices_to_evaluate",service="evaluator"} 0"#,
            r#"pulse_processing_duration_seconds_bucket{operation="evaluation_cycle",service="evaluator",le="0.01"}"#,
        ],
    ),
    (
        "dispatcher",
        &[
            r#"pulse_queue_depth{queue_name="pending_alerts",service="dispatcher"} 0"#,
            r#"pulse_processing_duration_seconds_bucket{operation="dispatch_cycle",service="dispatcher",le="60"}"#,
        ],
    ),
    (
        "delivery_worker",
        &[
            r#"pulse_queue_depth{queue_name="pending_jobs",service="delivery_worker"} 0"#,
            r#"pulse_queue_depth{queue_name="pending_notification_jobs",service="delivery_worker"} 0"#,
            r#"pulse_processing_total{operation="delivery_attempt",outcome="error",service="delivery_worker"} 0"#,
        ],
    ),
    (
        "ops_worker",
        &[r#"operation="health_monitor""#, r#"operation="escalation""#, r#"operation="jobs_expiry""#, r#"operation="retention""#],
    ),
];

/// Names that only one service may show, by prefix.
const OWNED: &[(&str, &str)] = &[
    ("pulse_ingest_", "ui_api"),
    ("pulse_http_", "ui_api"),
    ("pulse_fleet_", "ui_api"),
    ("pulse_auth_", "ui_api"),
    ("pulse_evaluator_", "evaluator"),
    ("pulse_dispatcher_", "dispatcher"),
    ("pulse_delivery_", "delivery_worker"),
    ("pulse_ops_", "ops_worker"),
];

#[tokio::test]
async fn every_service_shows_its_own_series_and_no_others_from_the_first_scrape_on() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), free_ports(), &[], &[]).await;
    for (index, (service, required)) in (0u16..).zip(REQUIRED) {
        assert_eq!(*service, SERVICES[usize::from(index)]);
        let answer = client().get(format!("{}/metrics", up.url(index))).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        for series in *required {
            assert!(text.contains(series), "{service} lacks {series}:\n{text}");
        }
        for pool in ["pulse_db_pool_size", "pulse_db_pool_free"] {
            assert!(text.contains(&format!("{pool}{{service=\"{service}\"}} ")), "{service} lacks {pool}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(
                line.contains(&format!("service=\"{service}\"")) || !line.contains("service=\""),
                "{service} shows another's series: {line}"
            );
            let stranger = OWNED.iter().find(|(prefix, owner)| line.starts_with(prefix) && owner != service);
            assert!(stranger.is_none(), "{service} shows {line}");
        }
        for path in ["/health", "/ready"] {
            assert_eq!(client().get(format!("{}{path}", up.url(index))).send().await.unwrap().status(), 200, "{service}{path}");
        }
    }
    up.terminate();
}

#[tokio::test]
async fn the_conventions_metrics_and_the_budget_of_tenants_are_settings() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("PULSE_OTEL_CONVENTIONS", "true"), ("PULSE_TENANT_SERIES_MAX", "0")];
    let up = Up::start(folder.path(), free_ports(), &[], &environment).await;
    let ready = || async { client().get(format!("{}/metrics", up.url(0))).send().await.unwrap().text().await.unwrap() };
    let mut text = ready().await;
    // The fleet is counted on a task of its own, soon after the start.
    while !text.contains("pulse_fleet_active_alerts{") {
        text = ready().await;
    }
    for series in [
        r#"db_client_connection_max{db_client_connection_pool_name="ui_api"} "#,
        r#"http_server_request_duration_count{http_request_method="POST",http_response_status_code="202",http_route="/ingest/v1/batch",url_scheme="http"} 0"#,
        r#"pulse_fleet_active_alerts{tenant_id="_other"} 0"#,
        r#"pulse_db_pool_waiting{service="ui_api"} 0"#,
    ] {
        assert!(text.contains(series), "no {series} in\n{text}");
    }
    assert!(!text.contains("tenant_id=\"default\""), "{text}");
    up.terminate();
}

#[tokio::test]
async fn the_bounds_of_the_duration_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), free_ports(), &[], &[]).await;
    let text = client().get(format!("{}/metrics", up.url(1))).send().await.unwrap().text().await.unwrap();
    let bounds: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("pulse_processing_duration_seconds_bucket") && line.contains("evaluation_cycle"))
        .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next())
        .collect();
    assert_eq!(bounds, ["0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"]);
    up.terminate();
}

#[tokio::test]
#[ignore = "needs promtool: run tools/test"]
async fn promtool_finds_nothing_to_say() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), free_ports(), &["--demo", "--devices", "20"], &[]).await;
    for (index, service) in (0u16..).zip(SERVICES) {
        let text = client().get(format!("{}/metrics", up.url(index))).send().await.unwrap().text().await.unwrap();
        let mut promtool = std::process::Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("promtool is on the PATH: tools/setup builds it");
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.is_empty(), "{service}: {said}");
    }
    up.terminate();
}

#[tokio::test]
async fn metrics_are_served_besides_where_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    let besides = free_ports();
    let environment = [("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"), ("OTEL_EXPORTER_PROMETHEUS_PORT", &besides.to_string())];
    let up = Up::start(folder.path(), free_ports(), &[], &environment).await;
    for (port, service) in (besides..).zip(SERVICES) {
        let text = client().get(format!("http://127.0.0.1:{port}/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(text.contains(&format!("pulse_db_pool_size{{service=\"{service}\"}}")), "{service}: {text}");
    }
    assert_eq!(up.terminate().0, Some(0));
}
