//! Evaluation: a device, its new readings and its tenant's rules in; its new state and the changes to its alerts out.
//!
//! [`RuleSet::compile`] makes a tenant's rules ready, [`judge`] holds one device against them. Judging is a pure function of its arguments
//! (but for the ids of the alerts it opens): a batch of readings has the same effect as the same readings one by one.

mod compile;
mod describe;
mod heartbeat;
mod judge;
mod ledger;
mod window;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::alert::{AlertChange, Fingerprint};
use crate::device::{DeviceStatus, Lifecycle};
use crate::ids::{AlertId, DeviceKey, GroupId, ReadingId, RuleId, SiteId};
use crate::reading::Reading;

pub use compile::RuleSet;
pub use judge::{JudgeClock, Judgement, judge};

/// The most metrics whose latest value is remembered of one device.
pub const METRICS_REMEMBERED_MAX: usize = 1_024;

/// What an evaluator remembers of a device between cycles, besides its status: only what rules need. Kept as JSON in `device_state`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeviceMemory {
    /// The latest value of each metric that a rule of the tenant names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latest: BTreeMap<String, f64>,
    /// For each comparison under a duration that breaches now: since which sample, in device time, every sample has breached. The key is
    /// the comparison itself, `{metric} {operator} {threshold}`: a run is a fact about the samples, so that a rule whose operator or
    /// threshold was changed starts a run of its own, one whose name or duration was changed goes on, and rules that compare alike share.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub breaching_since: BTreeMap<String, Timestamp>,
    /// Device time of the latest sample of each metric under a duration: never later than its receipt, never going backwards.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sampled_at: BTreeMap<String, Timestamp>,
}

/// An alert of the device that is open or acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    pub alert_id: AlertId,
    pub fingerprint: Fingerprint,
    pub rule_id: Option<RuleId>,
}

/// A fingerprint under which nothing opens for now.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    pub fingerprint: Fingerprint,
    pub until: Timestamp,
}

/// A device that is due, with everything that judging it takes but its tenant's rules.
#[derive(Debug, Clone, PartialEq)]
pub struct DueDevice {
    pub key: DeviceKey,
    pub site_id: SiteId,
    pub device_type: String,
    pub group_ids: Vec<GroupId>,
    pub lifecycle: Lifecycle,
    pub status: DeviceStatus,
    /// Receipt of the last message that is in the store, evaluated or not.
    pub last_seen: Option<Timestamp>,
    pub memory: DeviceMemory,
    /// Those not yet evaluated, in order; the oldest when there are more than a claim takes.
    pub readings: Vec<Reading>,
    /// More unevaluated readings are left beyond `readings`.
    pub has_more: bool,
    pub open_alerts: Vec<OpenAlert>,
    pub silences: Vec<Silence>,
}

/// What a judgement changes: the store carries it out in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceOutcome {
    pub key: DeviceKey,
    /// The last reading that was judged; none when there was none.
    pub evaluated_through: Option<ReadingId>,
    pub status: DeviceStatus,
    pub memory: DeviceMemory,
    /// When to look at the device again if nothing arrives; none: only when something does.
    pub next_check_at: Option<Timestamp>,
    /// In order.
    pub changes: Vec<AlertChange>,
}

/// How far ingest is known to have come: silence is a device's fault only while Pulse was listening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestProgress {
    /// Since when some ingest has been listening without a break.
    pub up_since: Timestamp,
    /// Every reading received before this instant is in the store.
    pub durable_through: Timestamp,
}
