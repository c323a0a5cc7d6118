//! The door for many messages keeps its contract.

use http::StatusCode;
use serde_json::json;

use crate::service::{Service, message};

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_judged_by_itself() {
    let service = Service::start().await;
    let acme = service.tenant("acme").await;
    let beta = service.tenant("beta").await;
    let good = |seq| message("acme", "d1", &acme.device_token, seq);
    let changed = |field: &str, value: serde_json::Value| {
        let mut message = good(9);
        message[field] = value;
        message
    };
    let without = |field: &str| {
        let mut message = good(9);
        message.as_object_mut().unwrap().remove(field);
        message
    };
    let mut heartbeat = without("metrics");
    heartbeat["msg_type"] = "heartbeat".into();
    let messages = [
        (good(1), None),
        (message("acme", "d1", &beta.device_token, 9), Some("TOKEN_INVALID")),
        (message("beta", "d1", &acme.device_token, 9), Some("TOKEN_INVALID")),
        (message("beta", "d1", &beta.device_token, 2), None),
        (without("provision_token"), Some("TOKEN_MISSING")),
        (without("site_id"), Some("INVALID")),
        (without("metrics"), Some("INVALID")),
        (without("tenant_id"), Some("INVALID")),
        (heartbeat, None),
        (changed("device_id", "nobody".into()), Some("UNREGISTERED_DEVICE")),
        (changed("device_id", "a b".into()), Some("INVALID")),
        (changed("msg_type", "gossip".into()), Some("INVALID")),
        (changed("site_id", "site-2".into()), Some("SITE_MISMATCH")),
        (changed("metrics", json!({"": 1})), Some("METRIC_KEY_INVALID")),
        (json!("no message"), Some("INVALID")),
        (json!(null), Some("INVALID")),
        (json!(["acme", "d1", "telemetry", "x"]), Some("INVALID")),
        (good(3), None),
    ];
    let body = json!({"messages": messages.iter().map(|(message, _)| message).collect::<Vec<_>>(), "more": 1});
    let answer = service.batch(body.to_string()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let summary = answer.json();
    assert_eq!((&summary["accepted"], &summary["rejected"]), (&json!(4), &json!(14)));
    for (index, (sent, reason)) in messages.iter().enumerate() {
        let result = &summary["results"][index];
        assert_eq!(result["index"], index);
        assert_eq!(result["reason"].as_str(), *reason, "{result} for {sent}");
        assert_eq!(result["status"], if reason.is_none() { "accepted" } else { "rejected" });
        assert_eq!(result.get("detail").is_some(), reason.is_some());
        if let (Some(device), Some(_)) = (sent["device_id"].as_str(), sent["tenant_id"].as_str()) {
            let known = ["telemetry", "heartbeat"].contains(&sent["msg_type"].as_str().unwrap());
            assert_eq!(result["device_id"].as_str(), known.then_some(device));
        }
    }
    let seqs: Vec<_> = service.readings("acme", "d1").await.iter().rev().map(|reading| reading.seq).collect();
    assert_eq!(seqs, [Some(1), Some(9), Some(3)], "in the order of the batch");
    assert_eq!(service.readings("beta", "d1").await.len(), 1);
    assert!(service.messages("acme", "accepted") == 3.0 && service.messages("beta", "accepted") == 1.0);
    assert!(service.messages("acme", "token_invalid") == 1.0 && service.messages("beta", "token_invalid") == 1.0);
    assert!(service.writes("success") == 1.0, "one write for the whole batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_bounds_that_are_named() {
    let service = Service::start().await;
    let owner = service.tenant("acme").await;
    let many: Vec<_> = (0..101).map(|seq| message("acme", "d1", &owner.device_token, seq)).collect();
    let refused = service.batch(json!({ "messages": many }).to_string()).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (413, "TOO_MANY_MESSAGES"));
    assert!(refused.detail().contains("at most 100 messages, this one has 101"), "{refused:?}");
    let large = service.batch(" ".repeat(262_145)).await;
    assert_eq!((large.status.as_u16(), large.problem().as_str()), (413, "PAYLOAD_TOO_LARGE"));
    assert!(large.detail().contains("256 KiB"), "{large:?}");
    assert!(service.messages("_unknown", "payload_too_large") == 2.0);
    let full = service.batch(json!({ "messages": many[..100] }).to_string()).await;
    assert_eq!((full.status, &full.json()["accepted"]), (StatusCode::ACCEPTED, &json!(100)));
    let empty = service.batch(r#"{"messages":[]}"#).await;
    assert_eq!((empty.status, empty.json()), (StatusCode::ACCEPTED, json!({"accepted": 0, "rejected": 0, "results": []})));
}
