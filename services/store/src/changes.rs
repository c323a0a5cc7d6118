//! Alert changes as a store carries them out: in the order of each device, in a number of statements that does not grow with the devices.
//!
//! Changes are applied in rounds. A round is one statement that closes, one that updates and one that opens; a device's change goes into
//! the round of the one before it where that order allows, into the next otherwise. So the rounds grow with how often one device's
//! alerts change their mind within a batch, never with how many devices there are.

use std::collections::{BTreeSet, HashMap};

use pulse_domain::Timestamp;
use pulse_domain::alert::{AlertChange, AlertType, Cause, Fingerprint};
use pulse_domain::ids::{AlertId, DeviceId, EventId, RuleId, SiteId, TenantId};
use pulse_domain::rule::Severity;
use pulse_domain::trace::TraceParent;
use serde::Serialize;

fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

/// An event to append: what the columns `event_…` of `alerts` take.
#[derive(Debug, Serialize)]
pub(crate) struct Event<'a> {
    event_id: EventId,
    event_at: i64,
    origin_at: Option<i64>,
    trace: Option<&'a TraceParent>,
}

impl<'a> Event<'a> {
    fn new(at: Timestamp, cause: &'a Cause) -> Self {
        Self { event_id: EventId::generate(), event_at: micros(at), origin_at: cause.origin_at.map(micros), trace: cause.trace.as_ref() }
    }
}

/// An alert to open. Times are microseconds since 1970, here and below.
#[derive(Debug, Serialize)]
pub(crate) struct Open<'a> {
    tenant_id: &'a TenantId,
    alert_id: AlertId,
    fingerprint: &'a Fingerprint,
    device_id: &'a DeviceId,
    site_id: &'a SiteId,
    alert_type: AlertType,
    rule_id: Option<RuleId>,
    severity: Severity,
    confidence: f64,
    summary: &'a str,
    details: &'a serde_json::Value,
    created_at: i64,
    updated_at: i64,
    #[serde(flatten)]
    event: Event<'a>,
}

/// An alert that fires still.
#[derive(Debug, Serialize)]
pub(crate) struct Update<'a> {
    tenant_id: &'a TenantId,
    alert_id: AlertId,
    severity: Severity,
    summary: &'a str,
    details: &'a serde_json::Value,
    at: i64,
}

/// An alert to close.
#[derive(Debug, Serialize)]
pub(crate) struct Close<'a> {
    tenant_id: &'a TenantId,
    alert_id: AlertId,
    at: i64,
    #[serde(flatten)]
    event: Event<'a>,
}

/// The changes of one round, as the arguments of its statements.
#[derive(Debug, Default)]
pub(crate) struct Round<'a> {
    pub(crate) closes: Vec<Close<'a>>,
    pub(crate) updates: Vec<Update<'a>>,
    pub(crate) opens: Vec<Open<'a>>,
}

/// The place of a kind of change within a round.
fn rank(change: &AlertChange) -> u8 {
    match change {
        AlertChange::Close { .. } => 0,
        AlertChange::Update { .. } => 1,
        AlertChange::Open { .. } => 2,
    }
}

fn subject(change: &AlertChange) -> AlertId {
    match change {
        AlertChange::Open { alert, .. } => alert.alert_id,
        AlertChange::Update { alert_id, .. } | AlertChange::Close { alert_id, .. } => *alert_id,
    }
}

/// The round of each change of one list, in order: within a round a list goes from closes over updates to opens and touches an alert
/// once, so that the round's statements do to each list what doing its changes one by one would.
fn rounds_of(changes: &[AlertChange]) -> Vec<usize> {
    let mut round = 0;
    let mut last_rank = 0;
    let mut touched: HashMap<AlertId, usize> = HashMap::new();
    changes
        .iter()
        .map(|change| {
            if rank(change) < last_rank || touched.get(&subject(change)) == Some(&round) {
                round += 1;
            }
            last_rank = rank(change);
            touched.insert(subject(change), round);
            round
        })
        .collect()
}

/// Alert changes, sorted into rounds.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    rounds: Vec<Round<'a>>,
}

impl<'a> Changes<'a> {
    /// Adds changes that are to be done in this order; those of different calls know no order among each other.
    pub(crate) fn add(&mut self, tenant_id: &'a TenantId, changes: &'a [AlertChange]) {
        for (change, round) in changes.iter().zip(rounds_of(changes)) {
            while self.rounds.len() <= round {
                self.rounds.push(Round::default());
            }
            self.rounds[round].add(tenant_id, change);
        }
    }

    /// The rounds in their order.
    pub(crate) fn rounds(&self) -> &[Round<'a>] {
        &self.rounds
    }

    /// The rules that alerts are to open for.
    pub(crate) fn rules_to_open(&self) -> BTreeSet<(&'a TenantId, RuleId)> {
        let opens = self.rounds.iter().flat_map(|round| &round.opens);
        opens.filter_map(|open| Some((open.tenant_id, open.rule_id?))).collect()
    }

    /// The alerts that are to change or to close.
    pub(crate) fn alerts_to_change(&self) -> BTreeSet<(&'a TenantId, AlertId)> {
        let closes = self.rounds.iter().flat_map(|round| &round.closes).map(|close| (close.tenant_id, close.alert_id));
        let updates = self.rounds.iter().flat_map(|round| &round.updates).map(|update| (update.tenant_id, update.alert_id));
        closes.chain(updates).collect()
    }
}

impl<'a> Round<'a> {
    fn add(&mut self, tenant_id: &'a TenantId, change: &'a AlertChange) {
        match change {
            AlertChange::Close { alert_id, at, cause } => {
                self.closes.push(Close { tenant_id, alert_id: *alert_id, at: micros(*at), event: Event::new(*at, cause) });
            }
            AlertChange::Update { alert_id, severity, summary, details, at } => {
                self.updates.push(Update { tenant_id, alert_id: *alert_id, severity: *severity, summary, details, at: micros(*at) });
            }
            AlertChange::Open { alert, cause } => self.opens.push(Open {
                tenant_id,
                alert_id: alert.alert_id,
                fingerprint: &alert.fingerprint,
                device_id: &alert.device_id,
                site_id: &alert.site_id,
                alert_type: alert.alert_type,
                rule_id: alert.rule_id,
                severity: alert.severity,
                confidence: alert.confidence,
                summary: &alert.summary,
                details: &alert.details,
                created_at: micros(alert.created_at),
                updated_at: micros(alert.updated_at),
                event: Event::new(alert.created_at, cause),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use pulse_domain::alert::{Alert, AlertStatus};

    use super::*;

    /// `o1` opens alert 1, `u1` updates it, `c1` closes it.
    fn changes(text: &str) -> Vec<AlertChange> {
        let at = Timestamp::UNIX_EPOCH;
        let change = |word: &str| {
            let alert_id = AlertId(uuid::Uuid::from_u128(word[1..].parse().unwrap()));
            match &word[..1] {
                "o" => AlertChange::Open { alert: Box::new(alert(alert_id)), cause: Cause::default() },
                "u" => {
                    let (summary, details) = (String::new(), serde_json::Value::Null);
                    AlertChange::Update { alert_id, severity: Severity::MIN, summary, details, at }
                }
                "c" => AlertChange::Close { alert_id, at, cause: Cause::default() },
                other => panic!("{other}"),
            }
        };
        text.split_whitespace().map(change).collect()
    }

    fn alert(alert_id: AlertId) -> Alert {
        let tenant_id = TenantId::parse("t").unwrap();
        let device_id = DeviceId::parse("d").unwrap();
        Alert {
            tenant_id,
            alert_id,
            fingerprint: Fingerprint::no_heartbeat(&device_id),
            device_id,
            site_id: SiteId::parse("s").unwrap(),
            alert_type: AlertType::NoHeartbeat,
            rule_id: None,
            severity: Severity::MIN,
            confidence: 1.0,
            summary: String::new(),
            details: serde_json::Value::Null,
            status: AlertStatus::Open,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            acknowledged_at: None,
            acknowledged_by: None,
            closed_at: None,
            escalation_level: 0,
            silenced_until: None,
        }
    }

    #[test]
    fn a_round_takes_what_its_statements_do_in_order() {
        for (text, rounds) in [
            ("", &[][..]),
            ("c1 u2 o3", &[0, 0, 0]),
            ("c1 c2 c3", &[0, 0, 0]),
            ("o1 c2", &[0, 1]),
            ("o1 c1", &[0, 1]),
            ("c1 o2 c2 o3 u3", &[0, 0, 1, 1, 2]),
            ("u1 u1 c1", &[0, 1, 2]),
            ("u1 u2 u1", &[0, 0, 1]),
        ] {
            assert_eq!(rounds_of(&changes(text)), rounds, "{text}");
        }
    }

    #[test]
    fn rounds_do_not_grow_with_the_devices() {
        let tenant_id = TenantId::parse("t").unwrap();
        let flapping = changes("c1 o2 c2 o3");
        let mut of_all = Changes::default();
        for _ in 0..1_000 {
            of_all.add(&tenant_id, &flapping);
        }
        assert_eq!(of_all.rounds.len(), 2);
        assert_eq!(of_all.rounds[1].closes.len(), 1_000);
    }
}
