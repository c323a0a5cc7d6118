//! Transactions: begun with their bounds and their tenant, ended by a commit or by being dropped.
//!
//! Planning is pinned to one generic plan by index (`plan_cache_mode`, `enable_seqscan`, `jit` off): with a plan for each call, a claim was compiled for
//! 500 ms, and a table that was empty when first seen would be read whole until its statistics are new. Row-level security holds for the API's role
//! only, by the setting `pulse.tenant_id`; what the API needs of all tenants goes through functions with the owner's rights that do one thing each.

use std::fmt::Write as _;

use pulse_domain::ids::TenantId;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, SqlSafeStr as _};
use tokio::time::timeout;

use super::PostgresStore;
use crate::{Error, Result};

/// Bounds of every transaction: how long a statement may take, wait for a lock, and how long the server keeps locks for a client that
/// has fallen silent in the middle.
const BOUNDS: &str =
    "SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// Every statement here has an index made for it, and its plan is the same for one row and for thousands: a loop over the arguments. Without
/// this, what is planned while a table or a day's partition is still empty would go on reading all of it until its statistics are new,
/// leases that the statistics say nobody holds would be looked for in the whole table, and batches would be compiled for longer than they run.
const PLANS: &str = "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; SET LOCAL jit = off";

/// Whose rows a transaction is about: what row-level security lets the API's role see. Other roles see all of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// No tenant in particular.
    AllTenants,
    /// One tenant's.
    Tenant(&'a TenantId),
    /// What belongs to the operators themselves.
    Operators,
}

impl<'a> From<&'a TenantId> for Scope<'a> {
    fn from(tenant_id: &'a TenantId) -> Self {
        Self::Tenant(tenant_id)
    }
}

impl<'a> From<Option<&'a TenantId>> for Scope<'a> {
    /// None is the operators.
    fn from(tenant_id: Option<&'a TenantId>) -> Self {
        tenant_id.map_or(Self::Operators, Self::Tenant)
    }
}

/// Behind a pooler that cannot keep prepared statements, the server's connection may hold others' under the names that this one will use.
const FORGET_PREPARED: &str = "; DEALLOCATE ALL";

fn begin_statement(scope: Scope<'_>, keeps_prepared: bool) -> String {
    let forget = if keeps_prepared { "" } else { FORGET_PREPARED };
    let mut text = format!("BEGIN{forget}; {BOUNDS}; {PLANS}");
    let tenant = match scope {
        Scope::AllTenants => None,
        Scope::Tenant(tenant_id) => Some(tenant_id.as_str()),
        Scope::Operators => Some("*"),
    };
    if let Some(tenant) = tenant {
        // A tenant's id holds no quotes: it is checked where it is made. Doubling them costs nothing and asks for no trust.
        let quoted = tenant.replace('\'', "''");
        write!(text, "; SET LOCAL pulse.tenant_id = '{quoted}'").unwrap_or_default();
    }
    text
}

/// A statement with its arguments.
pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// An open transaction. Dropped before [`Transaction::commit`], it changes nothing.
pub(super) struct Transaction(sqlx::Transaction<'static, Postgres>);

impl Transaction {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    pub(super) async fn commit(self) -> Result<()> {
        Ok(self.0.commit().await?)
    }
}

impl PostgresStore {
    /// Begins a transaction on a free connection. Idle connections that turn out to be dead are put aside for the next one: nothing has been
    /// asked of them yet.
    pub(super) async fn begin<'a>(&self, scope: impl Into<Scope<'a>>) -> Result<Transaction> {
        let statement = begin_statement(scope.into(), self.keeps_prepared);
        let bound = self.pool.options().get_acquire_timeout();
        let mut dead = 0;
        loop {
            // On the heap, so that whoever waits for it stays small.
            let connection = Box::pin(self.acquires.observed(self.server.acquire(&self.pool))).await?;
            let text = AssertSqlSafe(statement.clone()).into_sql_str();
            let began = timeout(bound, sqlx::Transaction::begin(connection, Some(text)));
            match began.await.map_err(|silent| Error::Unavailable(silent.into()))?.map_err(Error::from) {
                Ok(transaction) => return Ok(Transaction(transaction)),
                Err(Error::Unavailable(_)) if dead < self.pool.options().get_max_connections() => dead += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// One statement as a transaction of its own; how many rows it changed.
    pub(super) async fn execute<'a>(&self, scope: impl Into<Scope<'a>>, query: Statement<'_>) -> Result<u64> {
        let mut transaction = self.begin(scope).await?;
        let done = query.execute(transaction.connection()).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// One statement as a transaction of its own; all its rows.
    pub(super) async fn rows<'a>(&self, scope: impl Into<Scope<'a>>, query: Statement<'_>) -> Result<Vec<PgRow>> {
        let mut transaction = self.begin(scope).await?;
        let rows = query.fetch_all(transaction.connection()).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    /// One statement as a transaction of its own; its row, if it has one.
    pub(super) async fn row<'a>(&self, scope: impl Into<Scope<'a>>, query: Statement<'_>) -> Result<Option<PgRow>> {
        Ok(self.rows(scope, query).await?.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_names_its_tenant() {
        let tenant_id = TenantId::parse("acme").unwrap();
        assert!(!begin_statement(Scope::AllTenants, true).contains("tenant_id"));
        assert!(begin_statement((&tenant_id).into(), true).ends_with("; SET LOCAL pulse.tenant_id = 'acme'"));
        assert!(begin_statement(None.into(), true).contains("pulse.tenant_id = '*'"));
    }
}
