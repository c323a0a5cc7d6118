//! The chores of the ops worker: over all tenants, in bounded steps.

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::Alert;
use pulse_domain::escalation::Policy;
use pulse_domain::ids::{AlertId, TenantId};
use pulse_domain::trace::TraceParent;

use crate::Result;

/// What a purge removed. `more`: the bound of one step was met and there may be more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    pub rows: u64,
    pub more: bool,
}

/// The ops worker's side of the store.
#[async_trait]
pub trait OpsStore {
    /// Open, unacknowledged alerts of tenants with an enabled policy that may have a level due at `now`, with those policies; at most
    /// `limit` alerts after `after`, in the order of their ids.
    async fn escalation_candidates(&self, now: Timestamp, after: Option<AlertId>, limit: u32) -> Result<(Vec<Alert>, Vec<Policy>)>;

    /// Raises alerts to a level: severity one step up, which later judgements keep, event ESCALATED in this trace, each once: an alert that
    /// is no longer open or has reached the level stays as it is. Says how many were raised.
    async fn escalate(&self, alerts: &[(TenantId, AlertId, u32)], now: Timestamp, trace: Option<&TraceParent>) -> Result<u64>;

    /// Jobs whose lease has passed are pending again, or dead when they have had `attempts_max` attempts.
    async fn expire_job_leases(&self, now: Timestamp, attempts_max: u32, limit: u32) -> Result<Purged>;

    /// Delivered and dead jobs with their attempts and closed alerts, finished before `before`; events that are dispatched and of before it;
    /// silences and instances of ingest that ended before it.
    async fn purge_finished(&self, before: Timestamp, limit: u32) -> Result<Purged>;

    /// Evaluated readings received before `before`. A store that keeps them by the day (UTC) lets a day go at once, when all of it is from
    /// before and evaluated: so it keeps readings for up to a day longer, and `rows` is about how many they were.
    async fn purge_readings(&self, before: Timestamp, limit: u32) -> Result<Purged>;
}
