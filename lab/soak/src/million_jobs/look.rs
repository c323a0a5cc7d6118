//! Looks at the queue's table, and at those that grow with what has left it.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use sqlx::{PgConnection, Row as _};

use super::outcome::mib;
use crate::database::Scratch;
use crate::machine;

const TABLE: &str = "
SELECT n_live_tup, n_dead_tup, autovacuum_count, pg_relation_size(relid) AS table_bytes,
    pg_total_relation_size('finished_jobs') + pg_total_relation_size('attempts') AS history_bytes
FROM pg_stat_user_tables WHERE relid = 'jobs'::regclass";

const INDEXES: &str = "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'jobs'::regclass";

/// What one look saw.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Look {
    /// That had left the queue.
    pub(super) jobs: u64,
    pub(super) at_s: f64,
    pub(super) load_average: f64,
    /// As PostgreSQL's statistics count them, about a second late.
    pub(super) live_rows: i64,
    pub(super) dead_rows: i64,
    pub(super) autovacuums: i64,
    pub(super) table_bytes: i64,
    pub(super) index_bytes: BTreeMap<String, i64>,
    /// Of finished jobs and attempts, with their indexes: they grow until they are purged.
    pub(super) history_bytes: i64,
}

impl Look {
    /// Of the queue's table and its indexes.
    pub(super) fn queue_mib(&self) -> f64 {
        mib(self.table_bytes + self.index_bytes.values().sum::<i64>())
    }
}

/// Looks, on a connection of their own.
#[derive(Debug)]
pub(super) struct Looks {
    connection: PgConnection,
    begun: Instant,
    /// The server's setting.
    pub(super) autovacuum_pause_s: f64,
    pub(super) taken: Vec<Look>,
}

impl Looks {
    pub(super) async fn new(database: &Scratch) -> anyhow::Result<Self> {
        let mut connection = database.connect().await?;
        let pause = "SELECT setting::float8 FROM pg_settings WHERE name = 'autovacuum_naptime'";
        let autovacuum_pause_s = sqlx::query_scalar(pause).fetch_one(&mut connection).await?;
        Ok(Self { connection, begun: Instant::now(), autovacuum_pause_s, taken: Vec::new() })
    }

    /// One more, after so many jobs.
    pub(super) async fn take(&mut self, jobs: u64) -> anyhow::Result<()> {
        let at_s = self.begun.elapsed().as_secs_f64();
        let row = sqlx::query(TABLE).fetch_one(&mut self.connection).await?;
        let indexes: Vec<(String, i64)> = sqlx::query_as(INDEXES).fetch_all(&mut self.connection).await?;
        self.taken.push(Look {
            jobs,
            at_s,
            load_average: machine::load_average()?,
            live_rows: row.try_get("n_live_tup")?,
            dead_rows: row.try_get("n_dead_tup")?,
            autovacuums: row.try_get("autovacuum_count")?,
            table_bytes: row.try_get("table_bytes")?,
            index_bytes: indexes.into_iter().collect(),
            history_bytes: row.try_get("history_bytes")?,
        });
        Ok(())
    }

    /// Jobs that were delivered, and have an attempt that says so.
    pub(super) async fn delivered(&mut self) -> anyhow::Result<u64> {
        let count = "
            SELECT count(*) FROM finished_jobs j JOIN attempts a ON a.tenant_id = j.tenant_id AND a.job_id = j.job_id
            WHERE j.state = 'DELIVERED' AND a.error IS NULL";
        let delivered: i64 = sqlx::query_scalar(count).fetch_one(&mut self.connection).await?;
        Ok(u64::try_from(delivered)?)
    }
}
