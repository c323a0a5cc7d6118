//! Tokens: random secrets that are shown once and kept only as SHA-256. A fast hash is right here, as the secrets are 256 random bits
//! and cannot be guessed from a list.

use std::fmt;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Timestamp;
use crate::ids::{TenantId, TokenId};

/// A new secret, to be shown once. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretToken(String);

impl SecretToken {
    /// 256 random bits behind a prefix that says what it opens (`pulse_op_…`, `pulse_dev_…`), so that a leaked one is recognised.
    pub fn generate(prefix: &str) -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        Self(format!("{prefix}_{}", hex::encode(bytes)))
    }

    /// A secret chosen elsewhere, for example one that a device already carries.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to show once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What to keep.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretToken(…)")
    }
}

/// SHA-256 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a presented secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether the presented secret is the one, compared in constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.ct_eq(&Self::of(presented).0).into()
    }
}

/// What a bearer token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// All tenants, everything.
    Operator,
    /// One tenant, everything in it.
    Admin,
    /// One tenant, reading only.
    Viewer,
}

impl Role {
    /// The name in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }
}

/// An API token as it is kept and listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiToken {
    pub token_id: TokenId,
    /// None for an operator, who sees every tenant.
    pub tenant_id: Option<TenantId>,
    pub role: Role,
    pub name: String,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_only_itself_and_never_shows() {
        let token = SecretToken::generate("pulse_dev");
        assert!(token.reveal().starts_with("pulse_dev_") && token.reveal().len() == 10 + 64);
        assert!(token.hash().matches(token.reveal()));
        assert!(!token.hash().matches("pulse_dev_0"));
        assert_eq!(format!("{token:?}"), "SecretToken(…)");
    }
}
