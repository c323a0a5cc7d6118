//! Jobs to deliver.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::ids::{IntegrationId, JobId, LeaseId, TenantId};
use pulse_domain::integration::{Integration, Queue};
use pulse_domain::job::{Attempt, Job, JobState, Verdict};
use pulse_domain::trace::TraceParent;

use crate::{Backlog, Claim, Page, PageRequest, Result};

/// A job with where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedJob {
    pub job: Job,
    /// None when it is gone or disabled.
    pub integration: Option<Arc<Integration>>,
}

/// Jobs claimed under one lease, in the order of their `run_at`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobBatch {
    pub lease: LeaseId,
    pub jobs: Vec<ClaimedJob>,
}

/// An attempt that has ended, and what becomes of its job.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    pub tenant_id: TenantId,
    /// The lease under which the job was claimed.
    pub lease: LeaseId,
    pub attempt: Attempt,
    pub verdict: Verdict,
    /// The attempt's own context, which the job remembers until its next one; none: it remembers the one before.
    pub trace: Option<TraceParent>,
}

/// What recording did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordSummary {
    /// The places, in the list that was recorded, of attempts whose lease was no longer held: their jobs were left alone. The log has them
    /// all the same.
    pub lost: Vec<usize>,
}

impl RecordSummary {
    /// Of a list of attempts, given the jobs that were settled, each with the number of its attempt. An attempt that stands twice in the
    /// list was settled once.
    pub(crate) fn new(records: &[AttemptRecord], mut settled: HashSet<(JobId, u32)>) -> Self {
        let is_lost = |record: &AttemptRecord| !settled.remove(&(record.attempt.job_id, record.attempt.attempt));
        let lost = records.iter().map(is_lost).enumerate().filter_map(|(place, is_lost)| is_lost.then_some(place)).collect();
        Self { lost }
    }
}

/// Which jobs to list; none means any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobFilter {
    pub state: Option<JobState>,
    pub integration_id: Option<IntegrationId>,
}

/// The delivery worker's side of the store, and the API's view of jobs.
#[async_trait]
pub trait DeliveryStore {
    /// Jobs of a queue that are due (`run_at` reached) and those under a lease.
    async fn job_backlog(&self, queue: Queue, now: Timestamp) -> Result<Backlog>;

    /// Claims jobs that are due, by `run_at`, but none for the integrations in `busy`. Counts the attempt as begun.
    async fn claim_jobs(&self, queue: Queue, claim: Claim, busy: &[IntegrationId]) -> Result<JobBatch>;

    /// Gives claimed jobs back unattempted: due as before, the attempt not counted.
    async fn release_jobs(&self, lease: LeaseId, jobs: &[(TenantId, JobId)]) -> Result<u64>;

    /// Logs attempts and finishes their jobs, each guarded by its own lease. A job remembers the context of its latest attempt, past replays.
    async fn record_attempts(&self, records: &[AttemptRecord], now: Timestamp) -> Result<RecordSummary>;

    async fn job(&self, tenant_id: &TenantId, job_id: JobId) -> Result<Option<Job>>;
    /// Newest first.
    async fn jobs(&self, tenant_id: &TenantId, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>>;
    /// A job's attempts, oldest first.
    async fn attempts(&self, tenant_id: &TenantId, job_id: JobId) -> Result<Vec<Attempt>>;
    /// A dead job is pending again at once, with its attempts counted from 0; others stay as they are. Wakes [`crate::Topic::Jobs`].
    /// The job as it then stands, none when the tenant has no such job; the flag says whether it was dead.
    async fn replay_job(&self, tenant_id: &TenantId, job_id: JobId, now: Timestamp) -> Result<Option<(Job, bool)>>;
}
