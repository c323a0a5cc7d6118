//! The text of `/metrics`, to the letter.

use pulse_telemetry::{Definition, PoolProbe};

use crate::series::shown;
use crate::telemetry;

static JOBS_FAILED: Definition =
    Definition::counter("pulse_delivery_jobs_failed_total", "{job}", "Jobs that were given up, with a \\ and\na line.", &["tenant_id"]);
static WAIT: Definition = Definition::histogram("pulse_wait_seconds", "s", "Waiting.", &[], &[0.5, 2.0]);
static DEPTH: Definition = Definition::gauge("pulse_ingest_queue_depth", "{item}", "Items.", &[]);
static DROPPED: Definition = Definition::counter("pulse_ingest_records_dropped_total", "{record}", "Dropped.", &[]);

#[test]
fn the_pools_gauges_are_to_the_letter() {
    let telemetry = telemetry("ui_api");
    telemetry.observe_pool(PoolProbe::new(|| 10, || 8, || 12));
    let text = telemetry.render().unwrap();
    for line in [
        r#"pulse_db_pool_size{service="ui_api"} 10"#,
        r#"pulse_db_pool_free{service="ui_api"} 8"#,
        r#"pulse_db_pool_max{service="ui_api"} 12"#,
        "# TYPE pulse_db_pool_size gauge",
    ] {
        assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line} is not once in\n{text}");
    }
}

/// Names do not double up, nothing is added: no unit, no second `_total`, no scope, no target_info.
#[test]
fn a_whole_scrape_is_as_it_should_be() {
    let telemetry = telemetry("worker");
    telemetry.counter(&JOBS_FAILED).add(3, &[("tenant_id", "a\"b\\c\nd")]);
    telemetry.histogram(&WAIT).record(1.0, &[]);
    let text = telemetry.render().unwrap();
    let wanted = [
        "# HELP pulse_build_info Always 1; the label version says which version runs.",
        "# TYPE pulse_build_info gauge",
        r#"pulse_build_info{service="worker",version="1.2.3"} 1"#,
        r"# HELP pulse_delivery_jobs_failed_total Jobs that were given up, with a \\ and\na line.",
        "# TYPE pulse_delivery_jobs_failed_total counter",
        r#"pulse_delivery_jobs_failed_total{tenant_id="a\"b\\c\nd"} 3"#,
        "# HELP pulse_wait_seconds Waiting.",
        "# TYPE pulse_wait_seconds histogram",
        r#"pulse_wait_seconds_bucket{le="0.5"} 0"#,
        r#"pulse_wait_seconds_bucket{le="2"} 1"#,
        r#"pulse_wait_seconds_bucket{le="+Inf"} 1"#,
        "pulse_wait_seconds_sum 1",
        "pulse_wait_seconds_count 1",
    ];
    // What the kit says of itself and of the process is not the point here.
    let shown = text.lines().filter(|line| !["pulse_telemetry_", "pulse_process_", "pulse_runtime_"].iter().any(|kit| line.contains(kit)));
    assert_eq!(shown.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_scrape_says_what_the_previous_one_cost() {
    let telemetry = telemetry("worker");
    let cost = || {
        let shown = shown(&telemetry.render().unwrap());
        ["pulse_telemetry_scrape_duration_seconds", "pulse_telemetry_scrape_size_bytes"]
            .map(|name| shown[&format!("{name}{{service=\"worker\"}}")])
    };
    assert_eq!(cost(), [0.0, 0.0], "there was none before the first");
    let text = telemetry.render().unwrap();
    let [seconds, bytes] = cost();
    assert!(seconds > 0.0 && seconds < 5.0, "{seconds}");
    assert_eq!(bytes, text.len() as f64);
}

#[test]
fn the_eleven_bounds_are_exact() {
    let telemetry = telemetry("evaluator");
    telemetry.operation("evaluation_cycle");
    let text = telemetry.render().unwrap();
    let prefix = r#"pulse_processing_duration_seconds_bucket{operation="evaluation_cycle",service="evaluator",le=""#;
    let bounds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(prefix)?.strip_suffix("\"} 0")).collect();
    assert_eq!(bounds, ["0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"]);
}

#[test]
fn known_series_show_zero_from_the_first_scrape() {
    let telemetry = telemetry("ui_api");
    telemetry.gauge(&DEPTH);
    telemetry.counter(&DROPPED);
    let _bound = telemetry.counter(&JOBS_FAILED).bind(&[("tenant_id", "acme")]);
    telemetry.operation("ingest_write");
    let shown = shown(&telemetry.render().unwrap());
    for series in [
        "pulse_ingest_queue_depth",
        "pulse_ingest_records_dropped_total",
        r#"pulse_delivery_jobs_failed_total{tenant_id="acme"}"#,
        r#"pulse_processing_duration_seconds_count{operation="ingest_write",service="ui_api"}"#,
        r#"pulse_processing_duration_seconds_sum{operation="ingest_write",service="ui_api"}"#,
        r#"pulse_processing_total{operation="ingest_write",outcome="success",service="ui_api"}"#,
        r#"pulse_processing_total{operation="ingest_write",outcome="error",service="ui_api"}"#,
        r#"pulse_processing_total{operation="ingest_write",outcome="cancelled",service="ui_api"}"#,
        r#"pulse_processing_last_success_timestamp_seconds{operation="ingest_write",service="ui_api"}"#,
        r#"pulse_telemetry_callback_panics_total{service="ui_api"}"#,
    ] {
        assert_eq!(shown.get(series), Some(&0.0), "{series} in {shown:#?}");
    }
}

/// Five services in one process: each shows its own and nothing of the others.
#[test]
fn services_in_one_process_are_apart() {
    let (ui_api, worker) = (telemetry("ui_api"), telemetry("worker"));
    ui_api.counter(&DROPPED).add(5, &[]);
    worker.operation("delivery_attempt");
    let (ui_api, worker) = (ui_api.render().unwrap(), worker.render().unwrap());
    assert!(ui_api.contains("pulse_ingest_records_dropped_total 5") && !ui_api.contains("delivery_attempt"), "{ui_api}");
    assert!(worker.contains("delivery_attempt") && !worker.contains("dropped"), "{worker}");
}

/// What `promtool check metrics` wants of every family.
#[test]
fn every_family_has_help_and_type_once() {
    let telemetry = telemetry("worker");
    telemetry.operation("a");
    telemetry.operation("b");
    telemetry.observe_pool(PoolProbe::new(|| 1, || 1, || 1));
    let text = telemetry.render().unwrap();
    let families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut unique = families.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(families, unique, "each once, and sorted");
    for family in families {
        assert_eq!(text.lines().filter(|line| line.starts_with(&format!("# HELP {family} "))).count(), 1, "{family}");
    }
}
