//! The first start: a tenant to begin with, and an operator's token that is shown once. How operators' tokens are made and forgotten.

use pulse_domain::Timestamp;
use pulse_domain::credential::{ApiToken, Role, SecretToken};
use pulse_domain::device::Tenant;
use pulse_domain::ids::{TenantId, TokenId};
use pulse_store::{Error, PageRequest, RegistryStore, SharedStore};

/// The tenant of the first start.
pub(crate) const FIRST_TENANT: &str = "default";

/// Makes the first tenant and operator's token when the store has no operator yet; the token, to be shown once.
///
/// # Errors
/// The store's.
pub(crate) async fn first_start(store: &SharedStore, now: Timestamp) -> Result<Option<SecretToken>, Error> {
    let operators = store.tokens(None, &PageRequest { limit: 1, after: None }).await?;
    if !operators.items.is_empty() {
        return Ok(None);
    }
    if let Ok(tenant_id) = TenantId::parse(FIRST_TENANT) {
        let tenant = Tenant { tenant_id, name: "Default".to_owned(), created_at: now };
        match store.insert_tenant(&tenant).await {
            Ok(()) | Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    operator_token(store.as_ref(), "first start", now).await.map(|(_, secret)| Some(secret))
}

/// Makes an operator's token.
///
/// # Errors
/// The store's.
pub(crate) async fn operator_token(store: &dyn RegistryStore, name: &str, now: Timestamp) -> Result<(TokenId, SecretToken), Error> {
    let secret = SecretToken::generate("pulse_op");
    let token = ApiToken { token_id: TokenId::generate(), tenant_id: None, role: Role::Operator, name: name.to_owned(), created_at: now };
    store.insert_token(&token, &secret.hash()).await?;
    Ok((token.token_id, secret))
}

/// Deletes the operators' tokens of a name.
///
/// # Errors
/// The store's.
pub(crate) async fn forget_tokens(store: &dyn RegistryStore, name: &str) -> Result<(), Error> {
    let mut page = PageRequest { limit: 100, after: None };
    loop {
        let tokens = store.tokens(None, &page).await?;
        for token in tokens.items.iter().filter(|token| token.name == name) {
            store.delete_token(None, token.token_id).await?;
        }
        match tokens.next {
            Some(next) => page.after = Some(next),
            None => return Ok(()),
        }
    }
}
