//! How fast devices are judged in memory: 10,000 devices, 5 rules, 3 readings each, one core.
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pulse_domain::Timestamp;
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{DeviceMemory, DueDevice, IngestProgress, JudgeClock, OpenAlert, RuleSet, judge};
use pulse_domain::ids::{AlertId, DeviceId, DeviceKey, ReadingId, RuleId, SiteId, TenantId};
use pulse_domain::reading::{MetricValue, Metrics, Reading, ReadingKind};
use pulse_domain::rule::{Rule, RuleSpec};
use serde_json::json;

const DEVICES: u64 = 10_000;
const READINGS_PER_DEVICE: i64 = 3;

fn rules(now: Timestamp) -> Vec<Rule> {
    let tenant_id = TenantId::parse("bench").unwrap();
    let bodies = [
        json!({"name": "hot", "severity": 4, "metric_name": "temp", "operator": "GT", "threshold": 80}),
        json!({"name": "cold", "severity": 3, "metric_name": "temp", "operator": "LT", "threshold": -20, "duration_seconds": 300}),
        json!({"name": "damp", "severity": 2, "metric_name": "humidity", "operator": "GTE", "threshold": 90, "site_ids": ["s1"]}),
        json!({"name": "low", "severity": 5, "metric_name": "battery", "operator": "LTE", "threshold": 5}),
        json!({"name": "both", "severity": 3, "conditions": [
            {"metric_name": "temp", "operator": "GT", "threshold": 60},
            {"metric_name": "humidity", "operator": "GT", "threshold": 70},
        ]}),
    ];
    let kept = |body| Rule {
        tenant_id: tenant_id.clone(),
        rule_id: RuleId::generate(),
        spec: serde_json::from_value::<RuleSpec>(body).unwrap(),
        created_at: now,
        updated_at: now,
        error: None,
    };
    bodies.into_iter().map(kept).collect()
}

/// `firing`: every device's first rule fires at every reading, and its alert is open.
fn fleet(now: Timestamp, rules: &[Rule], firing: bool) -> Vec<DueDevice> {
    let site_id = SiteId::parse("s1").unwrap();
    let device = |n: u64| {
        let device_id = DeviceId::parse(&format!("device-{n:05}")).unwrap();
        let reading = |i: i64| Reading {
            reading_id: ReadingId(i),
            kind: ReadingKind::Telemetry,
            ts: now,
            received_at: now,
            site_id: site_id.clone(),
            seq: Some(i),
            metrics: Metrics::new(vec![
                ("temp".into(), MetricValue::Number(if firing { 85.0 } else { 20.0 })),
                ("humidity".into(), MetricValue::Number(40.0)),
                ("battery".into(), MetricValue::Number(77.0)),
            ])
            .unwrap(),
            trace: None,
        };
        let open = OpenAlert {
            alert_id: AlertId::generate(),
            fingerprint: pulse_domain::alert::Fingerprint::rule(rules[0].rule_id, &device_id),
            rule_id: Some(rules[0].rule_id),
        };
        DueDevice {
            key: DeviceKey { tenant_id: rules[0].tenant_id.clone(), device_id },
            site_id: site_id.clone(),
            device_type: "freezer".to_owned(),
            group_ids: vec![],
            lifecycle: Lifecycle::Active,
            status: DeviceStatus::Online,
            last_seen: Some(now),
            memory: DeviceMemory {
                latest: ["temp", "humidity", "battery"].map(|metric| (metric.to_owned(), 1.0)).into(),
                sampled_at: [("temp".to_owned(), now)].into(),
                ..DeviceMemory::default()
            },
            readings: (0..READINGS_PER_DEVICE).map(reading).collect(),
            has_more: false,
            open_alerts: if firing { vec![open] } else { vec![] },
            silences: vec![],
        }
    };
    (0..DEVICES).map(device).collect()
}

fn judging(criterion: &mut Criterion) {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let rules = rules(now);
    let (set, _) = RuleSet::compile(&rules);
    let ingest = Some(IngestProgress { up_since: now, durable_through: now });
    let clock = JudgeClock { now, ingest, stale_after: Duration::from_secs(30) };
    let mut group = criterion.benchmark_group("judge 10k devices x 5 rules x 3 readings");
    group.throughput(Throughput::Elements(DEVICES * READINGS_PER_DEVICE.unsigned_abs())).sample_size(20);
    for (name, firing) in [("quiet", false), ("firing", true)] {
        let devices = fleet(now, &rules, firing);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for device in &devices {
                    black_box(judge(black_box(device), &set, &clock));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, judging);
criterion_main!(benches);
