//! The semantic conventions' own metrics: with their names over OTLP, with underscores on `/metrics`, and only when asked for.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use pulse_telemetry::conventions::{DEFINITIONS, HTTP_SERVER_REQUEST_DURATION};
use pulse_telemetry::{PoolProbe, Telemetry};

use crate::receiver::Receiver;
use crate::series::{metrics, shown};

const WITHIN: Duration = Duration::from_secs(10);

fn telemetry(conventions: bool, variables: Vec<(&'static str, String)>) -> Telemetry {
    let env = move |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    Telemetry::builder("ui_api").env(env).conventions(conventions).init().unwrap()
}

fn exercise(telemetry: &Telemetry) {
    telemetry.observe_pool(PoolProbe::new(|| 10, || 8, || 12));
    let waits = telemetry.pool_waits();
    waits.begin();
    waits.begin();
    waits.end(Duration::from_secs(5), true);
    if telemetry.conventions() {
        let requests = telemetry.histogram(&HTTP_SERVER_REQUEST_DURATION);
        let labels = |status, route, error| {
            [
                ("http.request.method", "GET"),
                ("http.response.status_code", status),
                ("http.route", route),
                ("url.scheme", "http"),
                ("error.type", error),
            ]
        };
        requests.record(0.2, &labels("200", "/api/{id}", ""));
        requests.bind(&labels("503", "", "503")).record(0.2);
    }
    assert_eq!(telemetry.complaints(), [""; 0]);
}

#[test]
fn metrics_shows_them_with_underscores() {
    let telemetry = telemetry(true, Vec::new());
    exercise(&telemetry);
    let text = telemetry.render().unwrap();
    let shown = shown(&text);
    for (series, value) in [
        (r#"db_client_connection_count{db_client_connection_pool_name="ui_api",db_client_connection_state="idle"}"#, 8.0),
        (r#"db_client_connection_count{db_client_connection_pool_name="ui_api",db_client_connection_state="used"}"#, 2.0),
        (r#"db_client_connection_max{db_client_connection_pool_name="ui_api"}"#, 12.0),
        (r#"db_client_connection_pending_requests{db_client_connection_pool_name="ui_api"}"#, 1.0),
        (r#"db_client_connection_timeouts{db_client_connection_pool_name="ui_api"}"#, 1.0),
        (r#"db_client_connection_wait_time_count{db_client_connection_pool_name="ui_api"}"#, 1.0),
        (
            r#"http_server_request_duration_count{http_request_method="GET",http_response_status_code="200",http_route="/api/{id}",url_scheme="http"}"#,
            1.0,
        ),
        (
            r#"http_server_request_duration_count{error_type="503",http_request_method="GET",http_response_status_code="503",url_scheme="http"}"#,
            1.0,
        ),
        (r#"pulse_db_pool_waiting{service="ui_api"}"#, 1.0),
        (r#"pulse_db_pool_acquire_timeouts_total{service="ui_api"}"#, 1.0),
    ] {
        assert_eq!(shown.get(series), Some(&value), "{series} in\n{text}");
    }
    assert!(text.contains("# TYPE db_client_connection_count gauge\n") && text.contains("# TYPE db_client_connection_timeouts counter\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_carries_them_as_the_conventions_have_them() {
    let receiver = Receiver::http().await;
    let telemetry = telemetry(true, receiver.env());
    exercise(&telemetry);
    telemetry.flush(WITHIN).await.unwrap();
    let push = receiver.pushes().pop().unwrap();
    for definition in DEFINITIONS {
        let metric = metrics(&push).find(|metric| metric.name == definition.name).unwrap_or_else(|| panic!("no {}", definition.name));
        assert_eq!((metric.unit.as_str(), metric.description.as_str()), (definition.unit, definition.help));
        match (metric.data.as_ref().unwrap(), definition.name) {
            (Data::Sum(sum), name) => assert_eq!(sum.is_monotonic, name == "db.client.connection.timeouts", "{name}"),
            (Data::Histogram(histogram), "http.server.request.duration") => {
                let mut statuses: Vec<_> = histogram
                    .data_points
                    .iter()
                    .flat_map(|point| &point.attributes)
                    .filter(|attribute| attribute.key == "http.response.status_code")
                    .map(|attribute| attribute.value.clone().unwrap().value.unwrap())
                    .collect();
                statuses.sort_by_key(|status| format!("{status:?}"));
                assert_eq!(statuses, [Value::IntValue(200), Value::IntValue(503)]);
            }
            (Data::Histogram(_), "db.client.connection.wait_time") => {}
            (other, name) => panic!("{name} is {other:?}"),
        }
    }
}

#[test]
fn without_being_asked_for_there_are_none() {
    let telemetry = telemetry(false, Vec::new());
    exercise(&telemetry);
    let text = telemetry.render().unwrap();
    assert!(!text.contains("db_client") && !text.contains("http_server"), "{text}");
}
