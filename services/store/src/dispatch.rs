//! Events to dispatch.

use std::collections::HashSet;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::AlertEvent;
use pulse_domain::ids::{EventId, LeaseId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::NewJob;
use pulse_domain::route::Route;

use crate::{Backlog, Claim, Result};

/// Events claimed under one lease, the oldest first, with the routes of their tenants.
#[derive(Debug, Clone, PartialEq)]
pub struct EventBatch {
    pub lease: LeaseId,
    pub events: Vec<AlertEvent>,
    /// Every enabled route to an enabled integration of each tenant that has an event here, with the queue of its integration.
    pub routes: Vec<(Route, Queue)>,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DispatchSummary {
    /// The events that left the queue.
    pub dispatched: HashSet<EventId>,
    /// How many jobs were made; those that were there already do not count.
    pub jobs: u64,
}

/// The dispatcher's side of the store.
#[async_trait]
pub trait DispatchStore {
    /// Events not yet dispatched.
    async fn dispatch_backlog(&self, now: Timestamp) -> Result<Backlog>;

    /// Claims events however old they are, the oldest first.
    async fn claim_events(&self, claim: Claim) -> Result<EventBatch>;

    /// Makes the jobs and takes the events off the queue. An event whose lease was lost stays, and its jobs are not made; a job is made once
    /// per tenant, event and route. Wakes [`crate::Topic::Jobs`].
    async fn commit_dispatch(
        &self,
        lease: LeaseId,
        events: &[(TenantId, EventId)],
        jobs: &[NewJob],
        now: Timestamp,
    ) -> Result<DispatchSummary>;
}
