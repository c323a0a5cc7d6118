//! The alerts of one device during a judgement: which are open, and which changes that has taken so far.

use super::DueDevice;
use super::compile::{CompiledRule, RuleSet};
use super::describe::{self, Description, Finding};
use super::judge::JudgeClock;
use super::window::Samples;
use crate::Timestamp;
use crate::alert::{Alert, AlertChange, AlertStatus, AlertType, Cause, Fingerprint};
use crate::ids::{AlertId, RuleId};
use crate::reading::Reading;
use crate::rule::Severity;

/// What a rule's finding is worth: a threshold is crossed or it is not.
const CONFIDENCE_THRESHOLD: f64 = 1.0;
/// Silence may be the network's fault.
const CONFIDENCE_NO_HEARTBEAT: f64 = 0.9;
const SEVERITY_NO_HEARTBEAT: u8 = 4;

/// The open alerts and their changes, in order.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    device: &'a DueDevice,
    now: Timestamp,
    open: Vec<Entry>,
    changes: Vec<AlertChange>,
}

/// An open alert that judging may touch.
#[derive(Debug)]
struct Entry {
    alert_id: AlertId,
    subject: Subject,
    /// It fired again: the index of its rule and the latest finding, written once, at the end.
    latest: Option<(usize, Finding)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Rule(RuleId),
    NoHeartbeat,
}

impl<'a> Ledger<'a> {
    /// The device's open alerts, but for those that no judgement of devices makes.
    pub(super) fn new(device: &'a DueDevice, now: Timestamp) -> Self {
        let mut open = Vec::with_capacity(device.open_alerts.len());
        for alert in &device.open_alerts {
            let subject = match alert.rule_id {
                Some(rule_id) => Subject::Rule(rule_id),
                None if alert.fingerprint == Fingerprint::no_heartbeat(&device.key.device_id) => Subject::NoHeartbeat,
                None => continue,
            };
            open.push(Entry { alert_id: alert.alert_id, subject, latest: None });
        }
        Self { device, now, open, changes: Vec::new() }
    }

    /// The device is not judged: all that is open closes.
    pub(super) fn close_all(&mut self) {
        for entry in std::mem::take(&mut self.open) {
            self.changes.push(self.closing(entry.alert_id, None));
        }
    }

    /// Closes alerts whose rule cannot fire for the device any more: it is gone, does not apply, or was changed to metrics that the
    /// device never sent.
    pub(super) fn close_orphans(&mut self, rules: &RuleSet, samples: &Samples) {
        let device = self.device;
        let can_fire = |rule: &CompiledRule| {
            rule.applies_to(device) && rule.conditions.iter().any(|condition| samples.knows(&condition.metric) || samples.is_full())
        };
        for entry in std::mem::take(&mut self.open) {
            match entry.subject {
                Subject::Rule(rule_id) if !rules.by_id(rule_id).is_some_and(can_fire) => {
                    self.changes.push(self.closing(entry.alert_id, None));
                }
                Subject::Rule(_) | Subject::NoHeartbeat => self.open.push(entry),
            }
        }
    }

    /// A rule fires at this reading: its alert opens, or is brought up to date if it is open.
    pub(super) fn fires(&mut self, index: usize, rule: &CompiledRule, finding: Finding, reading: &Reading) {
        let subject = Subject::Rule(rule.rule_id);
        if let Some(entry) = self.open.iter_mut().find(|entry| entry.subject == subject) {
            entry.latest = Some((index, finding));
            return;
        }
        let fingerprint = Fingerprint::rule(rule.rule_id, &self.device.key.device_id);
        if self.silenced_until(&fingerprint).is_some() {
            return;
        }
        let description = describe::rule(rule, &finding, &self.device.key.device_id);
        let alert = Alert {
            alert_type: AlertType::Threshold,
            rule_id: Some(rule.rule_id),
            severity: rule.severity,
            confidence: CONFIDENCE_THRESHOLD,
            ..self.new_alert(fingerprint, description)
        };
        self.push_open(subject, alert, cause(Some(reading)));
    }

    /// A rule does not fire at this reading: its alert closes, with the latest finding that it did fire on.
    pub(super) fn rests(&mut self, rule: &CompiledRule, rules: &RuleSet, reading: &Reading) {
        if let Some(entry) = self.remove(Subject::Rule(rule.rule_id)) {
            self.push_update(&entry, rules);
            self.changes.push(self.closing(entry.alert_id, Some(reading)));
        }
    }

    /// The device gave a sign of life, with the reading that it was.
    pub(super) fn heard(&mut self, reading: Option<&Reading>) {
        if let Some(entry) = self.remove(Subject::NoHeartbeat) {
            self.changes.push(self.closing(entry.alert_id, reading));
        }
    }

    /// The device is silent. Until when its alert is kept from opening, if it is.
    pub(super) fn silent(&mut self, clock: &JudgeClock) -> Option<Timestamp> {
        if self.open.iter().any(|entry| entry.subject == Subject::NoHeartbeat) {
            return None;
        }
        let fingerprint = Fingerprint::no_heartbeat(&self.device.key.device_id);
        if let Some(until) = self.silenced_until(&fingerprint) {
            return Some(until);
        }
        let description = describe::silence(self.device, clock);
        let alert = self.new_alert(fingerprint, description);
        self.push_open(Subject::NoHeartbeat, alert, Cause::default());
        None
    }

    /// All changes; updates last, one an alert.
    pub(super) fn into_changes(mut self, rules: &RuleSet) -> Vec<AlertChange> {
        for entry in std::mem::take(&mut self.open) {
            self.push_update(&entry, rules);
        }
        self.changes
    }

    fn remove(&mut self, subject: Subject) -> Option<Entry> {
        self.open.iter().position(|entry| entry.subject == subject).map(|position| self.open.remove(position))
    }

    fn push_open(&mut self, subject: Subject, alert: Alert, cause: Cause) {
        self.open.push(Entry { alert_id: alert.alert_id, subject, latest: None });
        self.changes.push(AlertChange::Open { alert: Box::new(alert), cause });
    }

    fn push_update(&mut self, entry: &Entry, rules: &RuleSet) {
        let Some((index, finding)) = &entry.latest else { return };
        let Some(rule) = rules.rule(*index) else { return };
        let Description { summary, details } = describe::rule(rule, finding, &self.device.key.device_id);
        let (alert_id, severity, at) = (entry.alert_id, rule.severity, self.now);
        self.changes.push(AlertChange::Update { alert_id, severity, summary, details, at });
    }

    fn closing(&self, alert_id: AlertId, reading: Option<&Reading>) -> AlertChange {
        AlertChange::Close { alert_id, at: self.now, cause: cause(reading) }
    }

    fn silenced_until(&self, fingerprint: &Fingerprint) -> Option<Timestamp> {
        let silences = self.device.silences.iter().filter(|silence| silence.until > self.now && silence.fingerprint == *fingerprint);
        silences.map(|silence| silence.until).max()
    }

    /// A NO_HEARTBEAT alert, which a rule's alert differs from in a few fields.
    fn new_alert(&self, fingerprint: Fingerprint, description: Description) -> Alert {
        Alert {
            tenant_id: self.device.key.tenant_id.clone(),
            alert_id: AlertId::generate(),
            fingerprint,
            device_id: self.device.key.device_id.clone(),
            site_id: self.device.site_id.clone(),
            alert_type: AlertType::NoHeartbeat,
            rule_id: None,
            severity: Severity::new(SEVERITY_NO_HEARTBEAT).unwrap_or(Severity::MAX),
            confidence: CONFIDENCE_NO_HEARTBEAT,
            summary: description.summary,
            details: description.details,
            status: AlertStatus::Open,
            created_at: self.now,
            updated_at: self.now,
            acknowledged_at: None,
            acknowledged_by: None,
            closed_at: None,
            escalation_level: 0,
            silenced_until: None,
        }
    }
}

fn cause(reading: Option<&Reading>) -> Cause {
    reading.map(|reading| Cause { origin_at: Some(reading.received_at), trace: reading.trace.clone() }).unwrap_or_default()
}
