//! A device under test and the world around it: it carries out each judgement as a store would, and holds it to what must always be true.

use std::time::Duration;

use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, Cause, Fingerprint};
use pulse_domain::device::{DeviceStatus, Lifecycle};
use pulse_domain::evaluation::{DeviceMemory, DueDevice, IngestProgress, JudgeClock, Judgement, OpenAlert, RuleSet, judge};
use pulse_domain::ids::{AlertId, DeviceId, DeviceKey, ReadingId, RuleId, SiteId, TenantId};
use pulse_domain::reading::{MetricValue, Metrics, Reading, ReadingKind};
use pulse_domain::rule::{Rule, RuleSpec};
use serde_json::{Value, json};

pub(crate) const STALE_AFTER: Duration = Duration::from_secs(30);

/// Seconds after the start of the test's time.
pub(crate) fn at(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start + chrono::TimeDelta::microseconds((seconds * 1e6) as i64)
}

/// A rule of the tenant from the body of the API; `name` and `severity` are filled in.
pub(crate) fn rule(mut body: Value) -> Rule {
    let fields = body.as_object_mut().unwrap();
    fields.entry("name").or_insert("Too warm".into());
    fields.entry("severity").or_insert(3.into());
    let spec: RuleSpec = serde_json::from_value(body).unwrap();
    let (tenant_id, created_at) = (TenantId::parse("t1").unwrap(), at(0.0));
    Rule { tenant_id, rule_id: RuleId::generate(), spec, created_at, updated_at: created_at, error: None }
}

pub(crate) fn rule_set(rules: &[Rule]) -> RuleSet {
    let (set, invalid) = RuleSet::compile(rules);
    assert_eq!(invalid, []);
    set
}

/// `temp > 80`, plus what `extra` says.
pub(crate) fn warm(mut extra: Value) -> Rule {
    let fields = extra.as_object_mut().unwrap();
    for (field, value) in [("metric_name", json!("temp")), ("operator", json!("GT")), ("threshold", json!(80.0))] {
        fields.entry(field).or_insert(value);
    }
    rule(extra)
}

/// A reading taken and received at the same time, with numbers or truth values.
pub(crate) fn reading(seconds: f64, metrics: Value) -> Reading {
    let metrics: Metrics = serde_json::from_value(metrics).unwrap();
    let (ts, site_id) = (at(seconds), SiteId::parse("s1").unwrap());
    Reading { reading_id: ReadingId(0), kind: ReadingKind::Telemetry, ts, received_at: ts, site_id, seq: None, metrics, trace: None }
}

pub(crate) fn temp(seconds: f64, value: f64) -> Reading {
    Reading { metrics: Metrics::new(vec![("temp".into(), MetricValue::Number(value))]).unwrap(), ..reading(seconds, json!({})) }
}

/// What happened to an alert, in short.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Happened {
    Opened(Fingerprint),
    Updated(Fingerprint),
    Closed(Fingerprint),
}

/// One device with its alerts, judged again and again.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) device: DueDevice,
    pub(crate) rules: RuleSet,
    pub(crate) ingest: Option<IngestProgress>,
    /// Everything that ever happened, in order.
    pub(crate) history: Vec<Happened>,
    pub(crate) causes: Vec<Cause>,
    pub(crate) open: Vec<Alert>,
    next_reading: i64,
}

impl World {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let key = DeviceKey { tenant_id: TenantId::parse("t1").unwrap(), device_id: DeviceId::parse("d1").unwrap() };
        let device = DueDevice {
            key,
            site_id: SiteId::parse("s1").unwrap(),
            device_type: "freezer".to_owned(),
            group_ids: vec![],
            lifecycle: Lifecycle::Active,
            status: DeviceStatus::Unknown,
            last_seen: None,
            memory: DeviceMemory::default(),
            readings: vec![],
            has_more: false,
            open_alerts: vec![],
            silences: vec![],
        };
        let ingest = Some(IngestProgress { up_since: at(-1e6), durable_through: at(1e6) });
        Self { device, rules: rule_set(rules), ingest, history: vec![], causes: vec![], open: vec![], next_reading: 1 }
    }

    /// Judges the readings now, `seconds` after the start.
    pub(crate) fn judge(&mut self, seconds: f64, readings: Vec<Reading>) -> Judgement {
        self.device.last_seen = self.device.last_seen.max(readings.last().map(|reading| reading.received_at));
        self.device.readings = readings;
        for reading in &mut self.device.readings {
            reading.reading_id = ReadingId(self.next_reading);
            self.next_reading += 1;
        }
        let clock = JudgeClock { now: at(seconds), ingest: self.ingest, stale_after: STALE_AFTER };
        let judgement = judge(&self.device, &self.rules, &clock);
        assert_eq!(judgement.outcome.evaluated_through, self.device.readings.last().map(|reading| reading.reading_id));
        assert_eq!(judgement.outcome.key, self.device.key);
        self.carry_out(&judgement);
        judgement
    }

    /// What happened at this judgement.
    pub(crate) fn happens(&mut self, seconds: f64, readings: Vec<Reading>) -> Vec<Happened> {
        let before = self.history.len();
        self.judge(seconds, readings);
        self.history[before..].to_vec()
    }

    fn carry_out(&mut self, judgement: &Judgement) {
        let outcome = &judgement.outcome;
        let mut updated = Vec::<AlertId>::new();
        for change in &outcome.changes {
            match change {
                AlertChange::Open { alert, cause } => {
                    assert!(self.open.iter().all(|open| open.fingerprint != alert.fingerprint), "two open alerts of one fingerprint");
                    assert!(alert.details.is_object() && !alert.summary.is_empty());
                    self.open.push((**alert).clone());
                    self.history.push(Happened::Opened(alert.fingerprint.clone()));
                    self.causes.push(cause.clone());
                }
                AlertChange::Update { alert_id, severity, summary, details, at } => {
                    assert!(!updated.contains(alert_id), "one alert updated twice in a judgement");
                    updated.push(*alert_id);
                    let alert = self.open.iter_mut().find(|alert| alert.alert_id == *alert_id).expect("only an open alert is updated");
                    (alert.severity, alert.summary, alert.details, alert.updated_at) = (*severity, summary.clone(), details.clone(), *at);
                    self.history.push(Happened::Updated(alert.fingerprint.clone()));
                }
                AlertChange::Close { alert_id, cause, .. } => {
                    let index = self.open.iter().position(|alert| alert.alert_id == *alert_id).expect("only an open alert is closed");
                    let alert = self.open.remove(index);
                    self.history.push(Happened::Closed(alert.fingerprint));
                    self.causes.push(cause.clone());
                }
            }
        }
        self.device.status = outcome.status;
        self.device.memory = outcome.memory.clone();
        self.device.open_alerts = self
            .open
            .iter()
            .map(|alert| OpenAlert { alert_id: alert.alert_id, fingerprint: alert.fingerprint.clone(), rule_id: alert.rule_id })
            .collect();
    }
}

/// In short: `open`, `update`, `close` of rules' alerts and `silent`, `back` of heartbeats, in order.
pub(crate) fn short(happened: &[Happened]) -> String {
    let words: Vec<&str> = happened
        .iter()
        .map(|happened| match happened {
            Happened::Opened(fingerprint) if fingerprint.as_str().starts_with("NO_HEARTBEAT:") => "silent",
            Happened::Closed(fingerprint) if fingerprint.as_str().starts_with("NO_HEARTBEAT:") => "back",
            Happened::Opened(_) => "open",
            Happened::Updated(_) => "update",
            Happened::Closed(_) => "close",
        })
        .collect();
    words.join(" ")
}
