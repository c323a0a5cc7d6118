//! Escalation policies.

use pulse_domain::escalation::Policy;
use pulse_domain::ids::PolicyId;
use sqlx::postgres::PgRow;

use crate::Result;
use crate::postgres::PostgresStore;
use crate::postgres::rows::{Fields, to_json};

pub(super) const PAGE: &str = "SELECT tenant_id, policy_id, spec, created_at
    FROM policies WHERE tenant_id = $1 AND policy_id > $2 ORDER BY policy_id LIMIT $3";
pub(super) const DELETE: &str = "DELETE FROM policies WHERE tenant_id = $1 AND policy_id = $2";

pub(super) async fn insert(store: &PostgresStore, policy: &Policy) -> Result<()> {
    let insert =
        "INSERT INTO policies (tenant_id, policy_id, enabled, min_severity, spec, created_at) VALUES ($1, $2, $3, $4, $5::json, $6)";
    let query = sqlx::query(insert)
        .bind(policy.tenant_id.as_str())
        .bind(policy.policy_id.0)
        .bind(policy.spec.enabled)
        .bind(i16::from(policy.spec.min_severity.get()))
        .bind(to_json(&policy.spec)?)
        .bind(policy.created_at);
    store.execute(&policy.tenant_id, query).await.map_err(|error| error.naming("the policy", "the tenant"))?;
    Ok(())
}

pub(in crate::postgres) fn policy(row: &PgRow) -> Result<Policy> {
    let fields = Fields::new(row, "a policy");
    Ok(Policy {
        tenant_id: fields.text("tenant_id")?,
        policy_id: PolicyId(fields.id("policy_id")?),
        spec: fields.json("spec")?,
        created_at: fields.time("created_at")?,
    })
}
