//! Committing judgements: the devices' states under their lease, then the changes to their alerts, in one transaction.

use std::collections::HashSet;

use pulse_domain::Timestamp;
use pulse_domain::evaluation::{DeviceMemory, DeviceOutcome};
use pulse_domain::ids::LeaseId;
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::changes::Changes;
use crate::evaluation::lost;
use crate::sqlite::SqliteStore;
use crate::sqlite::changes::apply;
use crate::sqlite::rows::{Fields, blob, micros, to_json};
use crate::{CommitSummary, Result};

/// `[tenant, device, evaluated through, status, memory, next check]`.
#[derive(Serialize)]
struct StateArgument<'a>(&'a str, &'a str, Option<i64>, &'static str, &'a DeviceMemory, Option<i64>);

/// A device with readings that were not judged is due since the receipt of the oldest of them.
pub(in crate::sqlite) const WRITE_STATES: &str = "
UPDATE device_state SET
    status = o.value ->> 3,
    memory = o.value -> 4,
    evaluated_through = max(evaluated_through, coalesce(o.value ->> 2, 0)),
    due_at = CASE
        WHEN last_reading_id > max(evaluated_through, coalesce(o.value ->> 2, 0)) THEN coalesce((
            WITH RECURSIVE chain (previous_id, received_at) AS (
                SELECT r.previous_id, r.received_at FROM readings r
                WHERE r.reading_id = coalesce((
                    SELECT min(m.reading_id) FROM milestones m
                    WHERE m.tenant_id = device_state.tenant_id AND m.device_id = device_state.device_id
                        AND m.reading_id > max(device_state.evaluated_through, coalesce(o.value ->> 2, 0))), device_state.last_reading_id)
                UNION ALL
                SELECT r.previous_id, r.received_at FROM chain c CROSS JOIN readings r ON r.reading_id = c.previous_id
                WHERE c.previous_id > max(device_state.evaluated_through, coalesce(o.value ->> 2, 0))
            )
            SELECT received_at FROM chain WHERE previous_id <= max(device_state.evaluated_through, coalesce(o.value ->> 2, 0))), ?3)
        ELSE o.value ->> 5 END,
    lease_id = NULL,
    lease_until = NULL
FROM jsonb_each(?1) o
WHERE device_state.tenant_id = o.value ->> 0 AND device_state.device_id = o.value ->> 1
    AND device_state.lease_id = ?2 AND device_state.lease_until > ?3";

pub(in crate::sqlite) const HELD: &str = "
SELECT o.key AS place
FROM jsonb_each(?1) o CROSS JOIN device_state s ON s.tenant_id = o.value ->> 0 AND s.device_id = o.value ->> 1
WHERE s.lease_id = ?2 AND s.lease_until > ?3";

pub(super) async fn commit(store: &SqliteStore, lease: LeaseId, outcomes: &[DeviceOutcome], now: Timestamp) -> Result<CommitSummary> {
    if outcomes.is_empty() {
        return Ok(CommitSummary::default());
    }
    let all: Vec<&DeviceOutcome> = outcomes.iter().collect();
    if let Some(summary) = attempt(store, lease, &all, now).await? {
        return Ok(summary);
    }
    // Some lease is lost, which is rare enough to begin again: with those that are held, under one transaction with finding them.
    let mut transaction = store.write().await?;
    let held = held(transaction.connection(), lease, &all, now).await?;
    write_states(transaction.connection(), lease, &held, now).await?;
    let mut summary = apply_changes(transaction.connection(), &held, now).await?;
    transaction.commit().await?;
    summary.lost = lost(outcomes, &held);
    Ok(summary)
}

/// Commits, provided that every device is still held.
async fn attempt(store: &SqliteStore, lease: LeaseId, outcomes: &[&DeviceOutcome], now: Timestamp) -> Result<Option<CommitSummary>> {
    let mut transaction = store.write().await?;
    let written = write_states(transaction.connection(), lease, outcomes, now).await?;
    if usize::try_from(written) != Ok(outcomes.len()) {
        return Ok(None);
    }
    let summary = apply_changes(transaction.connection(), outcomes, now).await?;
    transaction.commit().await?;
    Ok(Some(summary))
}

fn state_arguments(outcomes: &[&DeviceOutcome]) -> Result<String> {
    let arguments: Vec<StateArgument<'_>> = outcomes
        .iter()
        .map(|outcome| {
            StateArgument(
                outcome.key.tenant_id.as_str(),
                outcome.key.device_id.as_str(),
                outcome.evaluated_through.map(|reading| reading.0),
                outcome.status.as_str(),
                &outcome.memory,
                outcome.next_check_at.map(micros),
            )
        })
        .collect();
    to_json(&arguments)
}

async fn write_states(connection: &mut SqliteConnection, lease: LeaseId, outcomes: &[&DeviceOutcome], now: Timestamp) -> Result<u64> {
    let states = state_arguments(outcomes)?;
    let done = sqlx::query(WRITE_STATES).bind(states).bind(blob(&lease.0)).bind(micros(now)).execute(connection).await?;
    Ok(done.rows_affected())
}

async fn held<'a>(
    connection: &mut SqliteConnection,
    lease: LeaseId,
    outcomes: &[&'a DeviceOutcome],
    now: Timestamp,
) -> Result<Vec<&'a DeviceOutcome>> {
    let states = state_arguments(outcomes)?;
    let rows = sqlx::query(HELD).bind(states).bind(blob(&lease.0)).bind(micros(now)).fetch_all(connection).await?;
    let places: Vec<usize> = rows.iter().map(|row| Fields::new(row, "a device's lease").number("place")).collect::<Result<_>>()?;
    // A device that stands twice in the batch is held once: the second judgement was made without knowing the first.
    let mut seen = HashSet::new();
    Ok(places.into_iter().filter_map(|place| outcomes.get(place)).filter(|outcome| seen.insert(&outcome.key)).copied().collect())
}

async fn apply_changes(connection: &mut SqliteConnection, outcomes: &[&DeviceOutcome], now: Timestamp) -> Result<CommitSummary> {
    let mut changes = Changes::default();
    for outcome in outcomes {
        changes.add(&outcome.key.tenant_id, &outcome.changes);
    }
    apply(&changes, connection, now).await
}
