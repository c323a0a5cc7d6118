//! What the turns begin with: the same events and jobs, made once through the store and put back before each turn.

use std::sync::Arc;

use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, AlertStatus, AlertType, Cause, Fingerprint};
use pulse_domain::ids::{AlertId, DeviceKey, RuleId, SiteId};
use pulse_domain::rule::Severity;
use pulse_store::AlertStore as _;
use pulse_store::postgres::PostgresStore;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::bare::{self, Columns};
use super::through_store;
use super::way::Way;
use crate::database::Scratch;
use crate::population::{self, Population};

/// Alerts opened at once.
const OPENED_AT_ONCE: usize = 2_000;

const KEEP_EVENTS: &str = "
CREATE TABLE kept_pending_events AS SELECT * FROM pending_events;
CREATE TABLE kept_alert_events AS SELECT * FROM alert_events;";
const KEEP_JOBS: &str = "CREATE TABLE kept_jobs AS SELECT * FROM jobs";

/// An alert a device, its event that waits, and the event's job that is due; in the bare tables the same payloads.
#[derive(Debug)]
pub(super) struct Stock {
    /// The jobs as the bare enqueue takes them, a statement each.
    pub(super) statements: Arc<[Columns]>,
}

impl Stock {
    /// Opens the alerts, and makes the jobs of their events as a dispatcher would that takes `batch` events at a time.
    pub(super) async fn make(database: &Scratch, store: &PostgresStore, population: &Population, batch: u32) -> anyhow::Result<Self> {
        for tenant_id in &population.tenants {
            let own: Vec<&DeviceKey> = population.devices.iter().filter(|key| key.tenant_id == *tenant_id).collect();
            for part in own.chunks(OPENED_AT_ONCE) {
                let now = chrono::Utc::now();
                let changes = part.iter().map(|key| open(key, now)).collect::<anyhow::Result<Vec<_>>>()?;
                store.apply_alert_changes(tenant_id, &changes, now).await?;
            }
        }
        let mut connection = database.connect().await?;
        sqlx::raw_sql(KEEP_EVENTS).execute(&mut connection).await?;
        let made = through_store::dispatch(store.clone(), batch).await?;
        anyhow::ensure!(made == population.devices.len(), "{made} of {} jobs were made", population.devices.len());
        sqlx::raw_sql(KEEP_JOBS).execute(&mut connection).await?;
        bare::make_tables(&mut connection).await?;
        let kept: Vec<(Uuid, String)> =
            sqlx::query_as("SELECT job_id, payload::text FROM kept_jobs ORDER BY run_at, job_id").fetch_all(&mut connection).await?;
        let columns = |part: &[(Uuid, String)]| {
            let (ids, payloads) = part.iter().cloned().unzip();
            Columns { ids, payloads }
        };
        Ok(Self { statements: kept.chunks(usize::try_from(batch)?.max(1)).map(columns).collect() })
    }

    /// So many jobs or events wait for this way again, in tables that are otherwise as if nothing had been done yet.
    pub(super) async fn put_back(&self, database: &Scratch, way: Way, jobs: usize) -> anyhow::Result<()> {
        let mut connection = database.connect().await?;
        let (empty, fill): (&str, &[&str]) = match way {
            Way::Bare => (
                "bare_jobs, bare_attempts",
                &["bare_jobs (id, run_at, payload) SELECT job_id, run_at, payload FROM kept_jobs ORDER BY run_at, job_id"],
            ),
            Way::BareOwn => ("own_jobs, own_finished_jobs, own_attempts", &["own_jobs SELECT * FROM kept_jobs ORDER BY run_at, job_id"]),
            Way::BareEnqueue => ("bare_jobs", &[]),
            Way::BareDispatch => (
                "bare_jobs, bare_events",
                &["bare_events SELECT row_number() OVER (ORDER BY run_at, job_id), event_id, payload FROM kept_jobs"],
            ),
            Way::Store | Way::Worker => ("jobs, finished_jobs, attempts", &["jobs SELECT * FROM kept_jobs ORDER BY run_at, job_id"]),
            Way::Dispatch => (
                "jobs, pending_events, alert_events",
                &[
                    "alert_events OVERRIDING SYSTEM VALUE SELECT * FROM kept_alert_events ORDER BY seq",
                    "pending_events SELECT * FROM kept_pending_events ORDER BY seq",
                ],
            ),
        };
        execute(&mut connection, &format!("TRUNCATE {empty}")).await?;
        for rows in fill {
            execute(&mut connection, &format!("INSERT INTO {rows} LIMIT {jobs}")).await?;
        }
        execute(&mut connection, &format!("VACUUM (ANALYZE) {empty}")).await?;
        execute(&mut connection, "CHECKPOINT").await
    }
}

async fn execute(connection: &mut PgConnection, statement: &str) -> anyhow::Result<()> {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(connection).await?;
    Ok(())
}

/// An alert as a rule with one condition opens it.
fn open(key: &DeviceKey, now: Timestamp) -> anyhow::Result<AlertChange> {
    let (rule_id, metric, value, threshold) = (RuleId::generate(), "temperature_c", 93.125, 80);
    let condition = json!({
        "metric_name": metric, "operator": "GT", "threshold": threshold, "duration_seconds": 0, "value": value, "met": true});
    let alert = Alert {
        tenant_id: key.tenant_id.clone(),
        alert_id: AlertId::generate(),
        fingerprint: Fingerprint::rule(rule_id, &key.device_id),
        device_id: key.device_id.clone(),
        site_id: SiteId::parse(population::SITE)?,
        alert_type: AlertType::Threshold,
        // The store would ask for the rule, and these are of no rule.
        rule_id: None,
        severity: Severity::new(3)?,
        confidence: 1.0,
        summary: format!("rule 0 on {}: {metric} {value} > {threshold}", key.device_id),
        details: json!({
            "rule_id": rule_id, "rule_name": "rule 0", "metric_name": metric, "metric_value": value, "operator": "GT",
            "threshold": threshold, "match_mode": "all", "conditions": [condition]}),
        status: AlertStatus::Open,
        created_at: now,
        updated_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        closed_at: None,
        escalation_level: 0,
        silenced_until: None,
    };
    Ok(AlertChange::Open { alert: Box::new(alert), cause: Cause { origin_at: Some(now), trace: None } })
}
