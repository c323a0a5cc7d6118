//! What is seen of the system while it runs: queues from its own /metrics, what its processes use, what PostgreSQL writes.

use std::collections::BTreeMap;
use std::time::Instant;

use pulse_domain::Timestamp;
use reqwest::Client;
use serde::Serialize;
use sqlx::PgConnection;

use crate::database::Scratch;
use crate::machine::{self, Usage};
use crate::scrape;
use crate::services::Service;

/// The queues between the services, each by the service that shows it and its name.
pub(super) const QUEUES: [(&str, &str); 3] =
    [("evaluator", "devices_to_evaluate"), ("dispatcher", "pending_alerts"), ("delivery_worker", "pending_jobs")];
/// The queue within ui_api, whose age nobody asks.
pub(super) const INGEST: &str = "ingest";

/// One look.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sample {
    pub(super) at_s: f64,
    pub(super) load_average: f64,
    pub(super) depths: BTreeMap<&'static str, f64>,
    pub(super) oldest_ages_s: BTreeMap<&'static str, f64>,
    pub(super) memory_mib: BTreeMap<&'static str, f64>,
}

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) seconds: f64,
    pub(super) samples: Vec<Sample>,
    /// Processor time of each process over the course.
    pub(super) cpu_s: BTreeMap<&'static str, f64>,
    pub(super) wal_bytes: f64,
    pub(super) database_bytes: f64,
}

/// Looks, from its making to its end.
#[derive(Debug)]
pub(super) struct Sampler<'a> {
    services: &'a [Service],
    client: Client,
    connection: PgConnection,
    postmaster: u32,
    begun: Instant,
    from: Timestamp,
    before: BTreeMap<&'static str, Usage>,
    written_before: (f64, f64),
    samples: Vec<Sample>,
}

impl<'a> Sampler<'a> {
    pub(super) async fn new(services: &'a [Service], database: &Scratch) -> anyhow::Result<Self> {
        let mut connection = database.connect().await?;
        let postmaster: i32 =
            sqlx::query_scalar(r"SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int").fetch_one(&mut connection).await?;
        let postmaster = u32::try_from(postmaster)?;
        let written_before = written(&mut connection).await?;
        Ok(Self {
            services,
            client: pulse_simulator::client::build(|builder| builder)?,
            connection,
            postmaster,
            begun: Instant::now(),
            from: chrono::Utc::now(),
            before: usages(services, postmaster)?,
            written_before,
            samples: Vec::new(),
        })
    }

    pub(super) async fn sample(&mut self) -> anyhow::Result<()> {
        let (mut depths, mut oldest_ages_s) = (BTreeMap::new(), BTreeMap::new());
        for service in self.services {
            let text = service.scrape(&self.client).await?;
            for (_, queue) in QUEUES.iter().filter(|(owner, _)| *owner == service.name) {
                let label = format!("queue_name=\"{queue}\"");
                // Absent when the probe failed: a gap in the curve.
                depths.extend(scrape::value(&text, "pulse_queue_depth", &[&label]).map(|depth| (*queue, depth)));
                oldest_ages_s.extend(scrape::value(&text, "pulse_queue_oldest_age_seconds", &[&label]).map(|age| (*queue, age)));
            }
            depths.extend(scrape::value(&text, "pulse_ingest_queue_depth", &[]).map(|depth| (INGEST, depth)));
        }
        let memory_mib = usages(self.services, self.postmaster)?.into_iter().map(|(name, usage)| (name, usage.memory_mib)).collect();
        let (at_s, load_average) = (self.begun.elapsed().as_secs_f64(), machine::load_average()?);
        self.samples.push(Sample { at_s, load_average, depths, oldest_ages_s, memory_mib });
        Ok(())
    }

    pub(super) async fn finish(mut self) -> anyhow::Result<Course> {
        let (seconds, until) = (self.begun.elapsed().as_secs_f64(), chrono::Utc::now());
        let after = usages(self.services, self.postmaster)?;
        let cpu_s = after.iter().filter_map(|(name, after)| Some((*name, after.cpu_s - self.before.get(name)?.cpu_s))).collect();
        let written = written(&mut self.connection).await?;
        Ok(Course {
            from: self.from,
            until,
            seconds,
            samples: self.samples,
            cpu_s,
            wal_bytes: written.0 - self.written_before.0,
            database_bytes: written.1 - self.written_before.1,
        })
    }
}

/// Of each service, PostgreSQL with all its processes, and this process.
fn usages(services: &[Service], postmaster: u32) -> anyhow::Result<BTreeMap<&'static str, Usage>> {
    let mut all = BTreeMap::new();
    for service in services {
        all.insert(service.name, service.usage()?);
    }
    all.insert("postgresql", machine::usage_with_children(postmaster)?);
    all.insert("load and sink", machine::usage(std::process::id())?);
    Ok(all)
}

/// Bytes of write-ahead log so far, and of the database.
async fn written(connection: &mut PgConnection) -> anyhow::Result<(f64, f64)> {
    let written = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, pg_database_size(current_database())::float8";
    Ok(sqlx::query_as(written).fetch_one(connection).await?)
}

/// By how much a line through the points rises over `seconds`; 0 through fewer than two.
pub(super) fn growth(points: &[(f64, f64)], seconds: f64) -> f64 {
    let count: f64 = points.iter().map(|_| 1.0).sum();
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    if points.len() < 2 {
        return 0.0;
    }
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    covariance / variance.max(f64::MIN_POSITIVE) * seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_the_points_tells_growth() {
        let line: Vec<(f64, f64)> = (0..10).map(|n| (f64::from(n) * 5.0, 100.0 + f64::from(n) * 10.0)).collect();
        assert!((growth(&line, 600.0) - 1_200.0).abs() < 1e-6);
        let zigzag: Vec<(f64, f64)> = (0..100).map(|n| (f64::from(n), f64::from(n % 2) * 50.0)).collect();
        assert!(growth(&zigzag, 100.0).abs() < 2.0);
        assert!(growth(&[(1.0, 5.0)], 100.0).abs() < f64::EPSILON);
    }
}
