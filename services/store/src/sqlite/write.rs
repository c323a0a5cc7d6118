//! Writing: one transaction at a time in the process, waited for in order.

use std::sync::Arc;

use sqlx::{Sqlite, SqliteConnection, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::SqliteStore;
use crate::{Result, Topic};

/// A transaction that may write. Dropped before [`WriteTransaction::commit`], it changes nothing.
pub(super) struct WriteTransaction {
    // Dropped in this order: the connection is told to roll back before the next writer is let in.
    transaction: Transaction<'static, Sqlite>,
    gate: OwnedMutexGuard<()>,
}

impl WriteTransaction {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    pub(super) async fn commit(self) -> Result<()> {
        let Self { transaction, gate } = self;
        transaction.commit().await?;
        drop(gate);
        Ok(())
    }
}

impl SqliteStore {
    /// Waits for the gate, then for a connection, then for writers of other processes.
    ///
    /// The gate comes first, so that writers wait in a fair queue rather than on SQLite's lock, which is handed out at random, and so
    /// that a pool never has more than one connection out for writing.
    pub(super) async fn write(&self) -> Result<WriteTransaction> {
        let gate = self.gate().await;
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(WriteTransaction { transaction, gate })
    }

    /// Lets a single statement write, which is a transaction of its own.
    pub(super) async fn gate(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.shared.gate).lock_owned().await
    }

    /// Says that there is work on a topic; to be called after the commit.
    pub(super) fn signal(&self, topic: Topic) {
        self.shared.sender(topic).send_modify(|count| *count = count.wrapping_add(1));
    }
}
