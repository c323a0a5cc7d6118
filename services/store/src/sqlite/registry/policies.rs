//! Escalation policies.

use pulse_domain::escalation::Policy;
use pulse_domain::ids::PolicyId;
use sqlx::sqlite::SqliteRow;

use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, blob, micros, to_json};
use crate::{Error, Result};

pub(super) const PAGE: &str = "SELECT tenant_id, policy_id, spec, created_at
    FROM policies WHERE tenant_id = ?1 AND policy_id > ?2 ORDER BY policy_id LIMIT ?3";
pub(super) const DELETE: &str = "DELETE FROM policies WHERE tenant_id = ?1 AND policy_id = ?2";

pub(super) async fn insert(store: &SqliteStore, policy: &Policy) -> Result<()> {
    let mut writer = store.writer().await?;
    sqlx::query("INSERT INTO policies (tenant_id, policy_id, enabled, min_severity, spec, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(policy.tenant_id.as_str())
        .bind(blob(&policy.policy_id.0))
        .bind(policy.spec.enabled)
        .bind(policy.spec.min_severity.get())
        .bind(to_json(&policy.spec)?)
        .bind(micros(policy.created_at))
        .execute(writer.connection())
        .await
        .map_err(|error| Error::from(error).naming("the policy", "the tenant"))?;
    Ok(())
}

pub(in crate::sqlite) fn policy(row: &SqliteRow) -> Result<Policy> {
    let fields = Fields::new(row, "a policy");
    Ok(Policy {
        tenant_id: fields.text("tenant_id")?,
        policy_id: PolicyId(fields.id("policy_id")?),
        spec: fields.json("spec")?,
        created_at: fields.time("created_at")?,
    })
}
