//! API tokens, found by the hash of what a client presents.

use pulse_domain::credential::{ApiToken, Role, TokenHash};
use pulse_domain::ids::{TenantId, TokenId};
use sqlx::sqlite::SqliteRow;

use crate::sqlite::SqliteStore;
use crate::sqlite::rows::{Fields, blob, micros};
use crate::{Error, Result};

pub(super) const PAGE: &str = "SELECT token_id, tenant_id, role, name, created_at
    FROM api_tokens WHERE tenant_id IS ?1 AND token_id > ?2 ORDER BY token_id LIMIT ?3";
pub(super) const DELETE: &str = "DELETE FROM api_tokens WHERE tenant_id IS ?1 AND token_id = ?2";

pub(super) async fn insert(store: &SqliteStore, token: &ApiToken, hash: &TokenHash) -> Result<()> {
    let mut writer = store.writer().await?;
    sqlx::query("INSERT INTO api_tokens (token_hash, token_id, tenant_id, role, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(&hash.0[..])
        .bind(blob(&token.token_id.0))
        .bind(token.tenant_id.as_ref().map(TenantId::as_str))
        .bind(token.role.as_str())
        .bind(&token.name)
        .bind(micros(token.created_at))
        .execute(writer.connection())
        .await
        .map_err(|error| Error::from(error).naming("the token", "the tenant"))?;
    Ok(())
}

pub(super) async fn find(store: &SqliteStore, hash: &TokenHash) -> Result<Option<ApiToken>> {
    let row = sqlx::query(
        "SELECT token_id, tenant_id, role, name, created_at
        FROM api_tokens WHERE token_hash = ?1",
    )
    .bind(&hash.0[..])
    .fetch_optional(&mut *store.reader().await?)
    .await?;
    row.as_ref().map(token).transpose()
}

pub(super) fn token(row: &SqliteRow) -> Result<ApiToken> {
    let fields = Fields::new(row, "a token");
    Ok(ApiToken {
        token_id: TokenId(fields.id("token_id")?),
        tenant_id: fields.text_option("tenant_id")?,
        role: fields.one_of("role", &[Role::Operator, Role::Admin, Role::Viewer], Role::as_str)?,
        name: fields.get("name")?,
        created_at: fields.time("created_at")?,
    })
}
