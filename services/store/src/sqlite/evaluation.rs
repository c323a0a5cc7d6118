//! Devices to evaluate: claimed in two statements, committed in a handful.

mod claim;
mod commit;

#[cfg(test)]
pub(super) use claim::{CLAIM, LOAD};
#[cfg(test)]
pub(super) use commit::{HELD, WRITE_STATES};

use std::time::Duration;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::evaluation::{DeviceOutcome, IngestProgress};
use pulse_domain::ids::{LeaseId, TenantId};
use pulse_domain::rule::Rule;

use super::SqliteStore;
use super::registry::rules;
use super::rows::{Fields, micros, to_json};
use crate::{Backlog, Claim, CommitSummary, DueBatch, EvaluationStore, Result, Topic};

#[async_trait]
impl EvaluationStore for SqliteStore {
    async fn evaluation_backlog(&self, now: Timestamp) -> Result<Backlog> {
        let row = sqlx::query("SELECT count(*) AS depth, min(due_at) AS oldest_at FROM device_state WHERE due_at <= ?1")
            .bind(micros(now))
            .fetch_one(&mut *self.reader().await?)
            .await?;
        Fields::new(&row, "the evaluation backlog").backlog()
    }

    async fn claim_due_devices(&self, claim: Claim, readings_max: u32) -> Result<DueBatch> {
        claim::claim(self, claim, readings_max).await
    }

    async fn rules_of(&self, tenants: &[TenantId]) -> Result<Vec<Rule>> {
        let found = sqlx::query(
            "SELECT r.tenant_id, r.rule_id, r.spec, r.created_at, r.updated_at, r.error
            FROM json_each(?1) t CROSS JOIN rules r ON r.tenant_id = t.value WHERE r.enabled
            ORDER BY r.tenant_id, r.rule_id",
        )
        .bind(to_json(tenants)?)
        .fetch_all(&mut *self.reader().await?)
        .await?;
        found.iter().map(rules::rule).collect()
    }

    async fn ingest_progress(&self, now: Timestamp, alive_within: Duration) -> Result<Option<IngestProgress>> {
        let alive_since = micros(now).saturating_sub(i64::try_from(alive_within.as_micros()).unwrap_or(i64::MAX));
        let row = sqlx::query(
            "SELECT min(up_since) AS up_since, min(durable_through) AS durable_through FROM ingest_progress WHERE reported_at >= ?1",
        )
        .bind(alive_since)
        .fetch_one(&mut *self.reader().await?)
        .await?;
        let fields = Fields::new(&row, "the progress of ingest");
        let progress = fields.time_option("up_since")?.zip(fields.time_option("durable_through")?);
        Ok(progress.map(|(up_since, durable_through)| IngestProgress { up_since, durable_through }))
    }

    async fn commit_evaluation(&self, lease: LeaseId, outcomes: &[DeviceOutcome], now: Timestamp) -> Result<CommitSummary> {
        let summary = commit::commit(self, lease, outcomes, now).await?;
        if summary.has_events() {
            self.signal(Topic::Events);
        }
        Ok(summary)
    }
}
