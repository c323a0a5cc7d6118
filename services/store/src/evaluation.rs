//! Devices to evaluate.
//!
//! A device whose check is due although it was heard from meanwhile is put off, not evaluated.

use std::collections::HashSet;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::evaluation::{DeviceOutcome, DueDevice, IngestProgress};
use pulse_domain::ids::{AlertId, DeviceKey, LeaseId, TenantId};
use pulse_domain::rule::Rule;

use crate::{Backlog, Claim, Result};

/// A tenant's rules changed whenever this did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesVersion {
    pub tenant_id: TenantId,
    pub version: i64,
}

/// Devices claimed under one lease.
#[derive(Debug, Clone, PartialEq)]
pub struct DueBatch {
    pub lease: LeaseId,
    pub devices: Vec<DueDevice>,
    /// Of each tenant that has a device here.
    pub rules: Vec<RulesVersion>,
}

/// What a commit did, by key, so that nobody has to guess whose the changes were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommitSummary {
    /// The alerts that opened. One that was open already, is silenced, or whose rule or device is gone, is not among them.
    pub opened: Vec<AlertId>,
    /// The open alerts that were updated.
    pub updated: Vec<AlertId>,
    /// The alerts that closed. One that was closed already is not among them.
    pub closed: Vec<AlertId>,
    /// The devices that were left alone because their lease was no longer held.
    pub lost: Vec<DeviceKey>,
}

impl CommitSummary {
    /// Whether an alert opened or closed, so that there is an event to dispatch.
    pub(crate) fn has_events(&self) -> bool {
        !self.opened.is_empty() || !self.closed.is_empty()
    }
}

/// The devices of a batch that were not held, once for each time that one stands in the batch and was not.
pub(crate) fn lost(outcomes: &[DeviceOutcome], held: &[&DeviceOutcome]) -> Vec<DeviceKey> {
    let held: HashSet<*const DeviceOutcome> = held.iter().map(|outcome| std::ptr::from_ref(*outcome)).collect();
    outcomes.iter().filter(|outcome| !held.contains(&std::ptr::from_ref(*outcome))).map(|outcome| outcome.key.clone()).collect()
}

/// The evaluator's side of the store.
#[async_trait]
pub trait EvaluationStore {
    /// Devices that are due at `now`.
    async fn evaluation_backlog(&self, now: Timestamp) -> Result<Backlog>;

    /// Claims devices that are due, the longest due first, with all that judging them takes, in a number of statements that does not grow
    /// with devices or rules. At most `readings_max` readings a device.
    async fn claim_due_devices(&self, claim: Claim, readings_max: u32) -> Result<DueBatch>;

    /// The enabled rules of these tenants.
    async fn rules_of(&self, tenants: &[TenantId]) -> Result<Vec<Rule>>;

    /// How far ingest has come, over all instances that reported within `alive_within` of `now`; none when no instance did.
    async fn ingest_progress(&self, now: Timestamp, alive_within: std::time::Duration) -> Result<Option<IngestProgress>>;

    /// Writes states, alerts and events, and gives the devices back: a device with readings after `evaluated_through` is due at once,
    /// others at `next_check_at`. Devices whose lease was lost are left alone. Wakes [`crate::Topic::Events`].
    async fn commit_evaluation(&self, lease: LeaseId, outcomes: &[DeviceOutcome], now: Timestamp) -> Result<CommitSummary>;
}
