//! One trace from the device's POST to the receiver, over four services and three tables, as it arrives behind a real collector; and the log
//! records that belong to it.

use std::time::Duration;

use pulse_runtime::Shutdown;
use pulse_simulator::sink::behaviour::{Behaviour, Mode};
use pulse_simulator::sink::{Sink, SinkSettings};
use serde_json::json;

use crate::api::{Api, client};
use crate::process::{Up, free_ports};
use crate::stack::{Backend, CollectorPlan, Span, eventually};

/// What the device sends.
const DEVICE: &str = "00-5b8aa5a2d2c872e8321cf37308d69df2-051581bf3cb55c13-01";
pub(crate) const TRACE_ID: &str = "5b8aa5a2d2c872e8321cf37308d69df2";

/// Posts a reading that breaches, of a device made for it, whose alert goes to the sink.
pub(crate) async fn breach(url: &str, token: &str, sink: &Sink) {
    let api = Api::new(url, token);
    api.post("/api/v1/tenants", &json!({"tenant_id": "acme", "name": "Acme"})).await;
    let device = json!({"device_id": "d1", "site_id": "s1", "device_type": "freezer"});
    let device = api.post("/api/v1/tenants/acme/devices", &device).await;
    let rule = json!({"name": "hot", "severity": 4, "metric_name": "temp", "operator": "GT", "threshold": 50});
    api.post("/api/v1/tenants/acme/rules", &rule).await;
    let destination = json!({"kind": "webhook", "url": sink.webhook_url(), "signing_secret": sink.signing_secret().reveal()});
    let integration = api.post("/api/v1/tenants/acme/integrations", &json!({"name": "sink", "destination": destination})).await;
    api.post("/api/v1/tenants/acme/routes", &json!({"name": "all", "integration_id": integration["integration_id"]})).await;
    let request = client()
        .post(format!("{url}/ingest/v1/tenant/acme/device/d1/telemetry"))
        .header("x-provision-token", device["token"].as_str().unwrap())
        .header("traceparent", DEVICE)
        .json(&json!({"site_id": "s1", "seq": 1, "metrics": {"temp": 90}}));
    assert_eq!(request.send().await.unwrap().status(), 202);
}

/// The only span of a service with this name and parent.
fn only<'a>(spans: &'a [Span], service: &str, name: &str, parent: &str) -> Result<&'a Span, String> {
    let found: Vec<_> = spans.iter().filter(|span| span.service == service && span.name == name && span.parent_id == parent).collect();
    match found.as_slice() {
        [only] => Ok(only),
        _ => Err(format!("{} of {service}: {name} below {parent} in {spans:#?}", found.len())),
    }
}

/// The chain, and at its end the ids of the requests that the receiver saw.
pub(crate) fn chain(spans: &[Span]) -> Result<Vec<String>, String> {
    let spans: Vec<Span> = spans.iter().filter(|span| span.trace_id == TRACE_ID).cloned().collect();
    let device = &DEVICE[36..52];
    let taken = only(&spans, "ui_api", "POST /ingest/v1/tenant/{tenant_id}/device/{device_id}/telemetry", device)?;
    let judged = only(&spans, "evaluator", "process devices_to_evaluate", &taken.span_id)?;
    let routed = only(&spans, "dispatcher", "process pending_alerts", &judged.span_id)?;
    let of_job =
        |span: &&Span| span.service == "delivery_worker" && span.parent_id == routed.span_id && span.name == "process pending_jobs";
    let attempts: Vec<_> = spans.iter().filter(of_job).collect();
    let [first, second] = attempts.as_slice() else { return Err(format!("{} attempts", attempts.len())) };
    let (first, second) = if first.links.iter().any(|(_, span)| *span == second.span_id) { (second, first) } else { (first, second) };
    if !second.links.contains(&(TRACE_ID.to_owned(), first.span_id.clone())) {
        return Err(format!("the retry is not linked to the attempt before it: {second:?}"));
    }
    let mut requests = Vec::new();
    for (attempt, status) in [(first, "503"), (second, "200")] {
        let request = only(&spans, "delivery_worker", "POST", &attempt.span_id)?;
        assert_eq!(request.attributes.get("http.response.status_code").map(String::as_str), Some(status), "{request:?}");
        assert_eq!(request.attributes["server.address"], "127.0.0.1");
        requests.push(request.span_id.clone());
    }
    Ok(requests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs otelcol: run tools/test"]
async fn one_trace_leads_from_the_device_to_each_request_that_the_receiver_saw() {
    let folder = tempfile::tempdir().unwrap();
    let shutdown = Shutdown::new();
    let sink = Sink::start(SinkSettings::default(), &shutdown).await.unwrap();
    sink.behave(&Behaviour { times: Some(1), ..Behaviour::new(Mode::Fail) }).unwrap();
    let backend = Backend::start().await;
    let plan = CollectorPlan {
        ports: free_ports(),
        storage: folder.path().join("otelcol"),
        // Nobody is there: metrics wait on the disk, traces and logs do not wait for them.
        prometheus_port: free_ports(),
        backend_port: backend.port,
    };
    let _collector = plan.start().await;
    let environment = plan.environment();
    let own =
        [("PULSE_DELIVERY_ALLOW_HTTP", "true"), ("PULSE_DELIVERY_ALLOWED_RANGES", "127.0.0.0/8"), ("PULSE_DELIVERY_RETRY_BASE", "500ms")];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).chain(own).collect();
    let up = Up::start(&folder.path().join("data"), free_ports(), &[], &environment).await;
    breach(&up.url(0), up.token.as_deref().unwrap(), &sink).await;
    eventually(Duration::from_secs(30), async || if sink.stats().delivered == 1 { Ok(()) } else { Err(format!("{:?}", sink.stats())) })
        .await;
    let requests = eventually(Duration::from_secs(30), async || chain(&backend.spans())).await;
    let seen: Vec<_> = sink.messages().into_iter().map(|message| message.headers["traceparent"].clone()).collect();
    let wanted: Vec<_> = requests.iter().map(|span| format!("00-{TRACE_ID}-{span}-01")).collect();
    assert_eq!(seen, wanted, "what the receiver saw is what was recorded");
    eventually(Duration::from_secs(30), async || {
        let records = backend.records();
        let own = |record: &&crate::stack::Record| record.service == "delivery_worker" && record.trace_id == TRACE_ID;
        let failed = records.iter().filter(own).find(|record| record.body.contains("it will be tried again"));
        failed.map(|record| assert_eq!(record.attributes["kind"], "server")).ok_or_else(|| format!("{records:#?}"))
    })
    .await;
    up.terminate();
    sink.stop().await;
}
