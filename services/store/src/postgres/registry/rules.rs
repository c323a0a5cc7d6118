//! Rules. Every change of one makes the tenant's version grow, in the same transaction.

use pulse_domain::ids::RuleId;
use pulse_domain::rule::Rule;
use sqlx::postgres::PgRow;

use crate::Result;
use crate::postgres::rows::Fields;

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
