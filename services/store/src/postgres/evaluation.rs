//! Devices to evaluate: claimed and committed in a handful of statements.

mod claim;
mod commit;

use std::time::Duration;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::evaluation::{DeviceOutcome, IngestProgress};
use pulse_domain::ids::{LeaseId, TenantId};
use pulse_domain::rule::Rule;

use super::PostgresStore;
use super::registry::rules;
use super::rows::Fields;
use super::transaction::Scope;
use crate::{Backlog, Claim, CommitSummary, DueBatch, EvaluationStore, Result, Topic};

#[async_trait]
impl EvaluationStore for PostgresStore {
    async fn evaluation_backlog(&self, now: Timestamp) -> Result<Backlog> {
        let query = sqlx::query("SELECT count(*) AS depth, min(due_at) AS oldest_at FROM device_state WHERE due_at <= $1").bind(now);
        let row = self.row(Scope::AllTenants, query).await?;
        row.map_or(Ok(Backlog::default()), |row| Fields::new(&row, "the evaluation backlog").backlog())
    }

    async fn claim_due_devices(&self, claim: Claim, readings_max: u32) -> Result<DueBatch> {
        claim::claim(self, claim, readings_max).await
    }

    async fn rules_of(&self, tenants: &[TenantId]) -> Result<Vec<Rule>> {
        let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
        let query = sqlx::query("SELECT tenant_id, rule_id, spec, created_at, updated_at, error FROM rules WHERE tenant_id = ANY($1) AND enabled ORDER BY tenant_id, rule_id").bind(tenants);
        let found = self.rows(Scope::AllTenants, query).await?;
        found.iter().map(rules::rule).collect()
    }

    async fn ingest_progress(&self, now: Timestamp, alive_within: Duration) -> Result<Option<IngestProgress>> {
        let alive_since = chrono::TimeDelta::from_std(alive_within).ok().and_then(|within| now.checked_sub_signed(within));
        let query = sqlx::query(
            "SELECT min(up_since) AS up_since, min(durable_through) AS durable_through FROM ingest_progress
            WHERE reported_at >= coalesce($1, '-infinity')",
        )
        .bind(alive_since);
        let Some(row) = self.row(Scope::AllTenants, query).await? else { return Ok(None) };
        let fields = Fields::new(&row, "the progress of ingest");
        let progress = fields.time_option("up_since")?.zip(fields.time_option("durable_through")?);
        Ok(progress.map(|(up_since, durable_through)| IngestProgress { up_since, durable_through }))
    }

    async fn commit_evaluation(&self, lease: LeaseId, outcomes: &[DeviceOutcome], now: Timestamp) -> Result<CommitSummary> {
        let summary = commit::commit(self, lease, outcomes, now).await?;
        if summary.has_events() {
            self.hints.signal(Topic::Events);
        }
        Ok(summary)
    }
}
