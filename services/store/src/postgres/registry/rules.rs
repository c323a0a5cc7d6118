//! Rules. Every change of one makes the tenant's version grow, in the same transaction.

use pulse_domain::Timestamp;
use pulse_domain::alert::Cause;
use pulse_domain::ids::{RuleId, TenantId};
use pulse_domain::rule::Rule;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::devices::close_all;
use crate::postgres::PostgresStore;
use crate::postgres::rows::{Fields, to_json};
use crate::{Error, Result, Topic};

pub(super) const FIND: &str = "SELECT tenant_id, rule_id, spec, created_at, updated_at, error
    FROM rules WHERE tenant_id = $1 AND rule_id = $2";
pub(super) const PAGE: &str = "SELECT tenant_id, rule_id, spec, created_at, updated_at, error
    FROM rules WHERE tenant_id = $1 AND rule_id > $2 ORDER BY rule_id LIMIT $3";

pub(super) async fn insert(store: &PostgresStore, rule: &Rule) -> Result<()> {
    let mut transaction = store.begin(&rule.tenant_id).await?;
    sqlx::query(
        "INSERT INTO rules (tenant_id, rule_id, enabled, spec, created_at, updated_at, error) VALUES ($1, $2, $3, $4::json, $5, $6, $7)",
    )
    .bind(rule.tenant_id.as_str())
    .bind(rule.rule_id.0)
    .bind(rule.spec.enabled)
    .bind(to_json(&rule.spec)?)
    .bind(rule.created_at)
    .bind(rule.updated_at)
    .bind(&rule.error)
    .execute(transaction.connection())
    .await
    .map_err(|error| Error::from(error).naming("the rule", "the tenant"))?;
    bump_version(transaction.connection(), &rule.tenant_id).await?;
    transaction.commit().await
}

pub(super) async fn update(store: &PostgresStore, rule: &Rule, cause: &Cause) -> Result<bool> {
    let mut transaction = store.begin(&rule.tenant_id).await?;
    let done =
        sqlx::query("UPDATE rules SET enabled = $3, spec = $4::json, updated_at = $5, error = NULL WHERE tenant_id = $1 AND rule_id = $2")
            .bind(rule.tenant_id.as_str())
            .bind(rule.rule_id.0)
            .bind(rule.spec.enabled)
            .bind(to_json(&rule.spec)?)
            .bind(rule.updated_at)
            .execute(transaction.connection())
            .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    if !rule.spec.enabled {
        close_alerts(transaction.connection(), &rule.tenant_id, rule.rule_id, rule.updated_at, cause).await?;
    }
    bump_version(transaction.connection(), &rule.tenant_id).await?;
    transaction.commit().await?;
    store.hints.signal(Topic::Events);
    Ok(true)
}

pub(super) async fn delete(store: &PostgresStore, tenant_id: &TenantId, rule_id: RuleId, now: Timestamp, cause: &Cause) -> Result<bool> {
    let mut transaction = store.begin(tenant_id).await?;
    let done = sqlx::query("DELETE FROM rules WHERE tenant_id = $1 AND rule_id = $2")
        .bind(tenant_id.as_str())
        .bind(rule_id.0)
        .execute(transaction.connection())
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    close_alerts(transaction.connection(), tenant_id, rule_id, now, cause).await?;
    bump_version(transaction.connection(), tenant_id).await?;
    transaction.commit().await?;
    store.hints.signal(Topic::Events);
    Ok(true)
}

async fn close_alerts(connection: &mut PgConnection, tenant_id: &TenantId, rule_id: RuleId, now: Timestamp, cause: &Cause) -> Result<()> {
    let open = sqlx::query("SELECT alert_id FROM alerts WHERE tenant_id = $1 AND rule_id = $2 AND status <> 'CLOSED'")
        .bind(tenant_id.as_str())
        .bind(rule_id.0)
        .fetch_all(&mut *connection)
        .await?;
    close_all(connection, tenant_id, &open, now, cause).await
}

async fn bump_version(connection: &mut PgConnection, tenant_id: &TenantId) -> Result<()> {
    sqlx::query("UPDATE tenants SET rules_version = rules_version + 1 WHERE tenant_id = $1")
        .bind(tenant_id.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn set_error(store: &PostgresStore, tenant_id: &TenantId, rule_id: RuleId, error: Option<&str>) -> Result<()> {
    let query = sqlx::query("UPDATE rules SET error = $3 WHERE tenant_id = $1 AND rule_id = $2");
    store.execute(tenant_id, query.bind(tenant_id.as_str()).bind(rule_id.0).bind(error)).await?;
    Ok(())
}

pub(in crate::postgres) fn rule(row: &PgRow) -> Result<Rule> {
    let fields = Fields::new(row, "a rule");
    Ok(Rule {
        tenant_id: fields.text("tenant_id")?,
        rule_id: RuleId(fields.id("rule_id")?),
        spec: fields.json("spec")?,
        created_at: fields.time("created_at")?,
        updated_at: fields.time("updated_at")?,
        error: fields.get("error")?,
    })
}
