//! Keeps the queue filled: new jobs as soon as there is room for a statement of them.

use pulse_domain::ids::{EventId, JobId, TenantId};
use serde_json::json;
use sqlx::PgConnection;

use super::flow::Flow;

/// A dispatcher's jobs, without the events that they would come from: those tables are not what this is about.
const ENQUEUE: &str = "
INSERT INTO jobs (tenant_id, job_id, event_id, route_id, integration_id, queue, run_at, origin_at, payload, created_at)
SELECT r.tenant_id, j.job_id, j.event_id, r.route_id, r.integration_id, 'integration', now(), now(), $4::json, now()
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS j (tenant_id, job_id, event_id) JOIN routes r ON r.tenant_id = j.tenant_id";

/// Makes all jobs; how many.
pub(super) async fn run(mut connection: PgConnection, tenants: Vec<TenantId>, flow: Flow) -> anyhow::Result<u64> {
    let (jobs, ready, batch) = (flow.settings.jobs, flow.settings.ready, u64::from(flow.settings.batch));
    let payload = payload();
    let mut made = 0;
    while made < jobs {
        let count = batch.min(jobs - made);
        flow.recorded((made + count).saturating_sub(ready)).await;
        let places = usize::try_from(count)?;
        let tenant_ids: Vec<&str> = tenants.iter().map(TenantId::as_str).cycle().take(places).collect();
        let job_ids: Vec<_> = (0..count).map(|_| JobId::generate().0).collect();
        let event_ids: Vec<_> = (0..count).map(|_| EventId::generate().0).collect();
        let done = sqlx::query(ENQUEUE).bind(tenant_ids).bind(job_ids).bind(event_ids).bind(&payload).execute(&mut connection).await?;
        made += done.rows_affected();
        anyhow::ensure!(done.rows_affected() == count, "{} of {count} jobs were made", done.rows_affected());
    }
    Ok(made)
}

/// As long as the message of an alert that a rule with one condition opened.
fn payload() -> String {
    let condition =
        json!({"metric_name": "temperature_c", "operator": "GT", "threshold": 80, "duration_seconds": 0, "value": 93.125, "met": true});
    let message = json!({
        "event_id": EventId::generate(), "event": "OPEN", "tenant_id": "tenant-00", "alert_id": EventId::generate(), "site_id": "site-1",
        "device_id": "device-000000", "alert_type": "THRESHOLD", "severity": 3, "confidence": 1.0,
        "summary": "rule 0 on device-000000: temperature_c 93.125 > 80", "status": "OPEN", "created_at": chrono::Utc::now(),
        "details": {"rule_id": EventId::generate(), "rule_name": "rule 0", "metric_name": "temperature_c", "metric_value": 93.125,
            "operator": "GT", "threshold": 80, "match_mode": "all", "conditions": [condition]},
    });
    message.to_string()
}
