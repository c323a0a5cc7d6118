//! Devices to evaluate.

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::evaluation::{DeviceOutcome, DueDevice, IngestProgress};
use pulse_domain::ids::{LeaseId, TenantId};
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

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommitSummary {
    /// Alerts opened; those that were open already, or whose rule or device is gone, do not count.
    pub opened: u64,
    pub updated: u64,
    pub closed: u64,
    /// Devices left alone because their lease was no longer held.
    pub lost: u64,
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
