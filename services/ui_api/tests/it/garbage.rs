//! Nothing that a stranger sends harms the service: it answers with the right status and a clear problem document, and works as before.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use reqwest::Method;
use serde_json::json;

use crate::service::{Answer, Service, answer, body};

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_both_doors() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let deep = format!("{}{}", "[".repeat(120_000), "]".repeat(120_000));
    let deep_metrics = format!(r#"{{"site_id":"site-1","metrics":{{"a":{}}}}}"#, "{\"b\":".repeat(40_000));
    let bodies: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "empty"),
        ("zeros", vec![0; 1_000], "not valid JSON"),
        ("high bytes", (0..=255).collect(), "not valid JSON"),
        ("no UTF-8", b"{\"site_id\":\"\xff\xfe\"}".to_vec(), "line 1 column"),
        ("half a character", b"{\"site_id\":\"\\ud800\"}".to_vec(), "line 1 column"),
        ("deep lists", deep.into_bytes(), "must be a JSON object"),
        ("deep metrics", deep_metrics.into_bytes(), "invalid type: map"),
        ("a number", b"42".to_vec(), "as a JSON object"),
        ("NaN", br#"{"site_id":"site-1","metrics":{"t":NaN}}"#.to_vec(), "NaN and Infinity are no JSON"),
        ("Infinity", br#"{"site_id":"site-1","metrics":{"t":-Infinity}}"#.to_vec(), "NaN and Infinity are no JSON"),
        ("too large a number", br#"{"site_id":"site-1","metrics":{"t":1e999}}"#.to_vec(), "number out of range"),
        ("many digits", format!(r#"{{"site_id":"site-1","metrics":{{"t":1{}}}}}"#, "0".repeat(5_000)).into_bytes(), "number out of range"),
        ("text for a number", br#"{"site_id":"site-1","metrics":{"t":"1"}}"#.to_vec(), "a number or true or false"),
        ("null for a number", br#"{"site_id":"site-1","metrics":{"t":null}}"#.to_vec(), "a number or true or false"),
        ("a twin field", br#"{"site_id":"site-1","site_id":"site-1"}"#.to_vec(), "duplicate field"),
        ("wrong types", br#"{"site_id":["site-1"],"seq":"one"}"#.to_vec(), "invalid type"),
        ("no time", br#"{"site_id":"site-1","ts":"2026-13-45","metrics":{}}"#.to_vec(), "RFC 3339"),
        ("a comment", b"{} // {}".to_vec(), "missing field"),
    ];
    for (name, sent, says) in &bodies {
        let single = service.send("acme/device/d1", &owner.device_token, sent.clone()).await;
        assert_eq!((single.status.as_u16(), single.problem().as_str()), (400, "INVALID"), "{name}: {single:?}");
        assert!(single.detail().contains(says), "{name}: {}", single.detail());
        let batch = service.batch(sent.clone()).await;
        assert_eq!((batch.status.as_u16(), batch.problem().as_str()), (400, "INVALID"), "{name}: {batch:?}");
    }
    let count = bodies.len() as f64;
    assert!(service.messages("acme", "invalid") == count && service.messages("_unknown", "invalid") == count);
    assert!(service.readings("acme", "d1").await.is_empty());
    let fine = br#"{"site_id":"site-1","ts":"2026-01-31T12:00:00Z","metrics":{"t":1e308},"more":[[[{"a":[]}]]]}"#;
    assert_eq!(service.send("acme/device/d1", &owner.device_token, fine.to_vec()).await.status, StatusCode::ACCEPTED);
    assert!(service.telemetry.complaints().is_empty(), "{:?}", service.telemetry.complaints());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_are_refused_though_the_client_sends_first_and_reads_later() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let port = service.base.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let single = format!("POST /ingest/v1/tenant/acme/device/d1/telemetry HTTP/1.1\r\nX-Provision-Token: {}", owner.device_token);
    let wrong = "POST /ingest/v1/tenant/acme/device/d1/telemetry HTTP/1.1\r\nX-Provision-Token: wrong".to_owned();
    let api = format!("POST /api/v1/tenants HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {}", service.operator);
    let nowhere = "POST /nowhere HTTP/1.1".to_owned();
    for (head, status) in [(single, 413), ("POST /ingest/v1/batch HTTP/1.1".to_owned(), 413), (wrong, 401), (api, 413), (nowhere, 404)] {
        for framing in ["Content-Length: 10485760", "Transfer-Encoding: chunked"] {
            let head = format!("{head}\r\nHost: pulse\r\n{framing}\r\n\r\n");
            let said = tokio::task::spawn_blocking(move || send_all_then_read(port, &head)).await.unwrap();
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{framing}: {said}");
            assert!(said.contains("application/problem+json"), "{said}");
        }
    }
    assert_eq!(service.send("acme/device/d1", &owner.device_token, body(1)).await.status, StatusCode::ACCEPTED);
}

/// As a simple client does: the whole request first, and only then the answer.
fn send_all_then_read(port: u16, head: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let part = vec![b' '; 1 << 20];
    let chunked = head.contains("chunked");
    for _ in 0..10 {
        if chunked {
            stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).unwrap();
        }
        stream.write_all(&part).unwrap();
        if chunked {
            stream.write_all(b"\r\n").unwrap();
        }
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n").unwrap();
    }
    let mut said = vec![0; 4_096];
    let length = stream.read(&mut said).unwrap();
    String::from_utf8_lossy(&said[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_cut_and_others_are_served_meanwhile() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let port = service.base.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let head = format!(
        "POST /ingest/v1/tenant/acme/device/d1/telemetry HTTP/1.1\r\nHost: pulse\r\nX-Provision-Token: {}\r\nContent-Length: 100\r\n\r\n{{",
        owner.device_token
    );
    let slow = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(35))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut said = vec![0; 4_096];
        let length = stream.read(&mut said).unwrap();
        String::from_utf8_lossy(&said[..length]).into_owned()
    });
    assert_eq!(service.send("acme/device/d1", &owner.device_token, body(1)).await.status, StatusCode::ACCEPTED);
    let said = slow.await.unwrap();
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("REQUEST_TIMEOUT"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_the_api() {
    let service = Service::start().await;
    service.tenant("acme").await;
    let rules = "/api/v1/tenants/acme/rules";
    let post = async |path: &str, content_type: &str, sent: &[u8]| -> Answer {
        let request = service.client.post(service.url(path)).bearer_auth(&service.operator).header("content-type", content_type);
        answer(request.body(sent.to_vec())).await
    };
    let json = "application/json";
    for (content_type, sent, status, code, says) in [
        (json, &b""[..], 400, "MALFORMED_JSON", "empty"),
        (json, b"{", 400, "MALFORMED_JSON", "line 1 column 1"),
        (json, b"{\"name\": NaN}", 400, "MALFORMED_JSON", "line 1 column"),
        (json, b"\xff", 400, "MALFORMED_JSON", "line 1"),
        (json, b"[]", 422, "VALIDATION_FAILED", "must be a JSON object"),
        (json, b"{}", 422, "VALIDATION_FAILED", "missing field `name`"),
        (json, br#"{"name":"x","severity":6}"#, 422, "VALIDATION_FAILED", "from 1 to 5"),
        (json, br#"{"name":"x","severity":3,"treshold":1}"#, 422, "VALIDATION_FAILED", "unknown field `treshold`"),
        (json, br#"{"name":"x","severity":3}"#, 422, "VALIDATION_FAILED", "metric_name is missing"),
        (json, br#"{"name":"a\u0000b","severity":3,"metric_name":"t","operator":"GT","threshold":1}"#, 422, "VALIDATION_FAILED", "name"),
        ("text/plain", b"{}", 415, "UNSUPPORTED_MEDIA_TYPE", "application/json"),
        (json, &[b' '; 262_145], 413, "PAYLOAD_TOO_LARGE", "256 KiB"),
    ] {
        let refused = post(rules, content_type, sent).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (status, code), "{refused:?}");
        assert!(refused.detail().contains(says), "{refused:?} should say {says}");
    }
    for (method, path, status, code) in [
        (Method::GET, "/nowhere", 404, "NOT_FOUND"),
        (Method::GET, "/api/v1/tenants/acme/nowhere", 404, "NOT_FOUND"),
        (Method::GET, "/api/v1/tenants/nobody/rules", 404, "NOT_FOUND"),
        (Method::GET, "/api/v1/tenants/%FF/rules", 404, "NOT_FOUND"),
        (Method::GET, "/api/v1/tenants/acme/rules/no-uuid", 404, "NOT_FOUND"),
        (Method::GET, "/api/v1/tenants/acme/devices/a%20b", 404, "NOT_FOUND"),
        (Method::DELETE, "/api/v1/tenants/acme/rules", 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, "/ingest/v1/batch", 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, "/api/v1/tenants?limit=0", 400, "INVALID_QUERY"),
        (Method::GET, "/api/v1/tenants?limit=many", 400, "INVALID_QUERY"),
        (Method::GET, "/api/v1/tenants?order=up", 400, "INVALID_QUERY"),
        (Method::GET, "/api/v1/tenants?after=made-up", 400, "INVALID_CURSOR"),
        (Method::GET, "/api/v1/tenants/acme/alerts?status=GONE", 400, "INVALID_QUERY"),
        (Method::GET, "/api/v1/tenants/acme/alerts?min_severity=9", 400, "INVALID_QUERY"),
    ] {
        let refused = service.call(method, path, &service.operator, None).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (status, code), "{path}: {refused:?}");
        assert_eq!(refused.headers.contains_key("allow"), status == 405, "{refused:?}");
    }
}

/// One service for all cases, as each takes only a request.
fn shared() -> &'static (tokio::runtime::Runtime, Arc<Service>, String) {
    static SHARED: OnceLock<(tokio::runtime::Runtime, Arc<Service>, String)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (service, token) = runtime.block_on(async {
            let service = Service::start().await;
            let token = service.tenant("acme").await.device_token;
            (Arc::new(service), token)
        });
        (runtime, service, token)
    })
}

/// JSON of any shape, with the words of the contract among its keys.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let key = prop_oneof![
        Just("site_id".to_owned()),
        Just("metrics".to_owned()),
        Just("messages".to_owned()),
        Just("seq".to_owned()),
        Just("ts".to_owned()),
        Just("tenant_id".to_owned()),
        ".{0,8}"
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        Just(json!("site-1")),
        ".{0,20}".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..300), json in any_json()) {
        let (runtime, service, token) = shared();
        for sent in [bytes, json.to_string().into_bytes()] {
            let (single, batch) = runtime.block_on(async {
                (service.send("acme/device/d1", token, sent.clone()).await, service.batch(sent.clone()).await)
            });
            for answer in [single, batch] {
                let status = answer.status.as_u16();
                prop_assert!(matches!(status, 202 | 400 | 413 | 429), "{:?}", answer);
                if status != 202 {
                    answer.problem();
                }
            }
        }
    }
}
