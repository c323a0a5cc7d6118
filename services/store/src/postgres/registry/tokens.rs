//! API tokens, found by the hash of what a client presents.

use pulse_domain::credential::{ApiToken, Role, TokenHash};
use pulse_domain::ids::{TenantId, TokenId};
use sqlx::postgres::PgRow;

use crate::Result;
use crate::postgres::PostgresStore;
use crate::postgres::rows::Fields;
use crate::postgres::transaction::Scope;

/// The operators' tokens have no tenant, which the index knows as `*`.
pub(super) const PAGE: &str = "SELECT token_id, tenant_id, role, name, created_at
    FROM api_tokens WHERE coalesce(tenant_id, '*') = coalesce($1, '*') AND token_id > $2 ORDER BY token_id LIMIT $3";
pub(super) const DELETE: &str = "DELETE FROM api_tokens WHERE coalesce(tenant_id, '*') = coalesce($1, '*') AND token_id = $2";

pub(super) async fn insert(store: &PostgresStore, token: &ApiToken, hash: &TokenHash) -> Result<()> {
    let query =
        sqlx::query("INSERT INTO api_tokens (token_hash, token_id, tenant_id, role, name, created_at) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(&hash.0[..])
            .bind(token.token_id.0)
            .bind(token.tenant_id.as_ref().map(TenantId::as_str))
            .bind(token.role.as_str())
            .bind(&token.name)
            .bind(token.created_at);
    store.execute(token.tenant_id.as_ref(), query).await.map_err(|error| error.naming("the token", "the tenant"))?;
    Ok(())
}

pub(super) async fn find(store: &PostgresStore, hash: &TokenHash) -> Result<Option<ApiToken>> {
    let query = sqlx::query("SELECT token_id, tenant_id, role, name, created_at FROM find_token($1)").bind(&hash.0[..]);
    let row = store.row(Scope::AllTenants, query).await?;
    row.as_ref().map(token).transpose()
}

pub(super) fn token(row: &PgRow) -> Result<ApiToken> {
    let fields = Fields::new(row, "a token");
    Ok(ApiToken {
        token_id: TokenId(fields.id("token_id")?),
        tenant_id: fields.text_option("tenant_id")?,
        role: fields.one_of("role", &[Role::Operator, Role::Admin, Role::Viewer], Role::as_str)?,
        name: fields.get("name")?,
        created_at: fields.time("created_at")?,
    })
}
