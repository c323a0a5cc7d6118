//! Committing judgements: the devices' states under their lease, then the changes to their alerts, in one transaction.

use std::collections::BTreeMap;

use pulse_domain::Timestamp;
use pulse_domain::evaluation::DeviceOutcome;
use pulse_domain::ids::{DeviceKey, LeaseId};
use sqlx::PgConnection;

use crate::changes::Changes;
use crate::evaluation::lost;
use crate::postgres::PostgresStore;
use crate::postgres::changes::apply;
use crate::postgres::rows::{Fields, to_json};
use crate::postgres::transaction::Scope;
use crate::{CommitSummary, Result};

/// Judgements by device, in the order of the keys, which is the order in which rows are locked.
type Judged<'a> = BTreeMap<&'a DeviceKey, &'a DeviceOutcome>;

/// Locks the devices that are still held, in order, and counts them: as a rule it is all.
const HOLD: &str = "
SELECT count(*) FROM (
    SELECT FROM unnest($1::text[], $2::text[]) AS o (tenant_id, device_id)
    JOIN device_state s ON s.tenant_id = o.tenant_id AND s.device_id = o.device_id
    WHERE s.lease_id = $3 AND s.lease_until > $4
    ORDER BY s.tenant_id, s.device_id FOR UPDATE OF s) held";

/// Which of them are held, once they are locked.
const HELD: &str = "
SELECT s.tenant_id, s.device_id
FROM unnest($1::text[], $2::text[]) AS o (tenant_id, device_id)
JOIN device_state s ON s.tenant_id = o.tenant_id AND s.device_id = o.device_id
WHERE s.lease_id = $3 AND s.lease_until > $4";

/// A device with readings that were not judged is due since the receipt of the oldest of them.
const WRITE: &str = "
UPDATE device_state s SET
    status = o.status,
    memory = o.memory::json,
    evaluated_through = greatest(s.evaluated_through, o.through),
    due_at = CASE WHEN s.reading_count > greatest(s.evaluated_through, o.through) THEN coalesce((
            SELECT min(r.received_at) FROM readings r
            WHERE r.tenant_id = s.tenant_id AND r.device_id = s.device_id
                AND r.reading_id > greatest(s.evaluated_through, o.through)), $7)
        ELSE o.next_check_at END,
    lease_id = NULL,
    lease_until = NULL
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[])
    AS o (tenant_id, device_id, through, status, memory, next_check_at)
WHERE s.tenant_id = o.tenant_id AND s.device_id = o.device_id";

pub(super) async fn commit(store: &PostgresStore, lease: LeaseId, outcomes: &[DeviceOutcome], now: Timestamp) -> Result<CommitSummary> {
    let mut judged = Judged::new();
    for outcome in outcomes {
        // A device that stands twice in the batch is held once: the second judgement was made without knowing the first.
        judged.entry(&outcome.key).or_insert(outcome);
    }
    if judged.is_empty() {
        return Ok(CommitSummary::default());
    }
    let mut transaction = store.begin(Scope::AllTenants).await?;
    let held = hold(transaction.connection(), lease, &judged, now).await?;
    let mut summary = CommitSummary::default();
    if !held.is_empty() {
        write(transaction.connection(), &held, now).await?;
        let mut changes = Changes::default();
        for outcome in &held {
            changes.add(&outcome.key.tenant_id, &outcome.changes);
        }
        summary = apply(&changes, transaction.connection(), now).await?;
    }
    transaction.commit().await?;
    summary.lost = lost(outcomes, &held);
    Ok(summary)
}

async fn hold<'a>(connection: &mut PgConnection, lease: LeaseId, judged: &Judged<'a>, now: Timestamp) -> Result<Vec<&'a DeviceOutcome>> {
    let tenants: Vec<&str> = judged.keys().map(|key| key.tenant_id.as_str()).collect();
    let devices: Vec<&str> = judged.keys().map(|key| key.device_id.as_str()).collect();
    let about = |sql: &'static str| sqlx::query(sql).bind(&tenants).bind(&devices).bind(lease.0).bind(now);
    let count = about(HOLD).fetch_one(&mut *connection).await?;
    let count: usize = Fields::new(&count, "the devices' leases").number("count")?;
    if count == judged.len() {
        return Ok(judged.values().copied().collect());
    }
    let rows = about(HELD).fetch_all(connection).await?;
    let mut held = Vec::with_capacity(rows.len());
    for row in &rows {
        let fields = Fields::new(row, "a device's lease");
        let key = DeviceKey { tenant_id: fields.text("tenant_id")?, device_id: fields.text("device_id")? };
        held.extend(judged.get(&key));
    }
    Ok(held)
}

async fn write(connection: &mut PgConnection, held: &[&DeviceOutcome], now: Timestamp) -> Result<()> {
    sqlx::query(WRITE)
        .bind(held.iter().map(|outcome| outcome.key.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(held.iter().map(|outcome| outcome.key.device_id.as_str()).collect::<Vec<_>>())
        .bind(held.iter().map(|outcome| outcome.evaluated_through.map(|reading| reading.0)).collect::<Vec<_>>())
        .bind(held.iter().map(|outcome| outcome.status.as_str()).collect::<Vec<_>>())
        .bind(held.iter().map(|outcome| to_json(&outcome.memory)).collect::<Result<Vec<_>>>()?)
        .bind(held.iter().map(|outcome| outcome.next_check_at).collect::<Vec<_>>())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}
