//! The account at the end: what was stored, judged and delivered, and how long it took.

use std::time::{Duration, Instant};

use pulse_domain::Timestamp;
use serde::Serialize;
use sqlx::{PgConnection, Row as _};

use crate::database::Scratch;

/// How often is looked whether the queues are empty.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const LEFT: &str = "
SELECT (SELECT count(*) FROM device_state WHERE reading_count > evaluated_through),
    (SELECT count(*) FROM pending_events), (SELECT count(*) FROM jobs)";

const TOTALS: &str = "
SELECT (SELECT count(*) FROM readings),
    (SELECT count(*) FROM readings WHERE received_at >= $1 AND received_at < $2),
    (SELECT count(*) FROM alert_events), (SELECT count(*) FROM alert_events WHERE kind = 'OPEN'),
    (SELECT count(*) FROM finished_jobs WHERE state = 'DELIVERED'), (SELECT count(*) FROM finished_jobs WHERE state = 'DEAD')";

/// What the store says once nothing is on its way any more.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    pub(super) readings: i64,
    /// Received while it was measured.
    pub(super) readings_measured: i64,
    pub(super) events: i64,
    pub(super) opened: i64,
    pub(super) delivered: i64,
    pub(super) dead: i64,
    /// Still unjudged, undispatched, undelivered at the bound.
    pub(super) devices_left: i64,
    pub(super) events_left: i64,
    pub(super) jobs_left: i64,
    /// How long the queues took to empty.
    pub(super) drained_s: f64,
    /// From a reading's receipt, for events of readings received while it was measured.
    pub(super) to_judgement: Latency,
    /// The same to the moment at which the event's job was made: after the alert's commit for certain.
    pub(super) to_job: Latency,
    /// The same to the receiver's acknowledgement.
    pub(super) to_delivery: Latency,
}

/// In seconds.
#[derive(Debug, Default, Serialize)]
pub(super) struct Latency {
    pub(super) count: i64,
    pub(super) p50_s: f64,
    pub(super) p95_s: f64,
    pub(super) p99_s: f64,
    pub(super) max_s: f64,
}

impl Account {
    /// Waits until the queues are empty, `patience` at the most.
    pub(super) async fn after(database: &Scratch, patience: Duration, from: Timestamp, until: Timestamp) -> anyhow::Result<Self> {
        let mut connection = database.connect().await?;
        let begun = Instant::now();
        let (devices_left, events_left, jobs_left) = loop {
            let left: (i64, i64, i64) = sqlx::query_as(LEFT).fetch_one(&mut connection).await?;
            if left == (0, 0, 0) || begun.elapsed() > patience {
                break left;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let drained_s = begun.elapsed().as_secs_f64();
        let totals = sqlx::query(TOTALS).bind(from).bind(until).fetch_one(&mut connection).await?;
        let mut latency = Latencies { connection, from, until };
        Ok(Self {
            readings: totals.try_get(0)?,
            readings_measured: totals.try_get(1)?,
            events: totals.try_get(2)?,
            opened: totals.try_get(3)?,
            delivered: totals.try_get(4)?,
            dead: totals.try_get(5)?,
            devices_left,
            events_left,
            jobs_left,
            drained_s,
            to_judgement: latency.of("alert_events", "at").await?,
            to_job: latency.of("finished_jobs", "created_at").await?,
            to_delivery: latency.of("finished_jobs", "finished_at").await?,
        })
    }
}

struct Latencies {
    connection: PgConnection,
    from: Timestamp,
    until: Timestamp,
}

impl Latencies {
    async fn of(&mut self, table: &'static str, moment: &'static str) -> anyhow::Result<Latency> {
        let text = format!(
            "SELECT count(*), coalesce(percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY s), ARRAY[0, 0, 0]), coalesce(max(s), 0)
            FROM (SELECT extract(epoch FROM {moment} - origin_at)::float8 AS s FROM {table} WHERE origin_at >= $1 AND origin_at < $2) AS all_of_them"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(self.from).bind(self.until).fetch_one(&mut self.connection).await?;
        let quantiles: Vec<f64> = row.try_get(1)?;
        let quantile = |place: usize| quantiles.get(place).copied().unwrap_or_default();
        let (p50_s, p95_s, p99_s) = (quantile(0), quantile(1), quantile(2));
        Ok(Latency { count: row.try_get(0)?, p50_s, p95_s, p99_s, max_s: row.try_get(2)? })
    }
}
