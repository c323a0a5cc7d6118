//! Writing: one at a time in the process, waited for in order.
//!
//! Writers have a connection of their own, apart from the readers' pool, and wait in a fair queue for it. A future of the store must be polled to its
//! end or dropped: one that is kept but not polled may hold the gate and keep every writer waiting. A loop with two store calls gives each a task.

use sqlx::pool::PoolConnection;
use sqlx::{SqlSafeStr as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::SqliteStore;
use crate::{Result, Topic};

/// The right to write, for a single statement: a transaction of its own.
pub(super) struct Writer {
    // Dropped in this order: the connection is given back before the next writer is let in.
    connection: PoolConnection<Sqlite>,
    _gate: OwnedMutexGuard<()>,
}

impl Writer {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

/// The right to write, for several statements. Dropped before [`WriteTransaction::commit`], it changes nothing.
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
    /// Waits for the [writing connection](Self::writing_connection), then, at the first statement, for other processes.
    pub(super) async fn writer(&self) -> Result<Writer> {
        let (connection, gate) = self.writing_connection().await?;
        Ok(Writer { connection, _gate: gate })
    }

    /// As [`Self::writer`], for a transaction that holds the lock for writing from its beginning, so that it never has to be done again.
    pub(super) async fn write(&self) -> Result<WriteTransaction> {
        let (connection, gate) = self.writing_connection().await?;
        // What `begin_with` of the pool does once it has a connection.
        let transaction = Transaction::begin(connection, Some("BEGIN IMMEDIATE".into_sql_str())).await?;
        Ok(WriteTransaction { transaction, gate })
    }

    /// Says that there is work on a topic; to be called after the commit.
    pub(super) fn signal(&self, topic: Topic) {
        self.shared.sender(topic).send_modify(|count| *count = count.wrapping_add(1));
    }
}
