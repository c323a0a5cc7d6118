//! escalation: an alert that nobody acknowledges grows louder, level by level.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::Alert;
use pulse_domain::escalation::Policy;
use pulse_domain::ids::{AlertId, TenantId};
use pulse_runtime::spans::{self, trace_of};
use pulse_runtime::{Deps, Progress};
use pulse_store::Result;
use pulse_telemetry::{BoundCounter, Span};

use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::sub_worker::{Plan, STORE_DEADLINE, SubWorker};

const NAME: &str = "escalation";
/// The names of the store's calls in spans.
const ESCALATION_CANDIDATES: &str = "escalation_candidates";
const ESCALATE: &str = "escalate";
/// Alerts looked at in one step.
const PAGE: u32 = 500;

/// Walks the alerts that may have a level due, a page a step.
#[derive(Debug)]
pub(crate) struct Escalation {
    deps: Deps,
    every: Duration,
    escalated: BoundCounter,
    /// The last alert of the page before; none: from the start.
    after: Mutex<Option<AlertId>>,
}

impl Escalation {
    pub(crate) fn new(deps: &Deps, settings: &Settings, metrics: &Metrics) -> Self {
        let (every, escalated) = (settings.escalation_interval, metrics.escalated.clone());
        Self { deps: deps.clone(), every, escalated, after: Mutex::new(None) }
    }

    /// The events go on in this span's trace: no reading caused them.
    async fn escalate(&self, due: &[(TenantId, AlertId, u32)], now: Timestamp, span: &Span) -> Result<()> {
        let trace = trace_of(span);
        let raised = self.deps.spans.query(ESCALATE, due.len(), self.deps.store.escalate(due, now, trace.as_ref())).await?;
        self.escalated.add(raised);
        tracing::info!(alerts = raised, "alerts escalated");
        Ok(())
    }
}

#[async_trait]
impl SubWorker for Escalation {
    fn plan(&self) -> Plan {
        Plan { name: NAME, every: self.every, deadline: STORE_DEADLINE }
    }

    /// One page. After an error the walk begins anew, so that a page that cannot be read does not keep others from being looked at.
    async fn step(&self) -> Result<Progress> {
        let (now, began) = (self.deps.clock.now(), SystemTime::now());
        let after = self.after.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (alerts, policies) = self.deps.store.escalation_candidates(now, after, PAGE).await?;
        let due = due(&alerts, &policies, now);
        if !due.is_empty() {
            let span = self.deps.spans.chore(NAME, ESCALATION_CANDIDATES, began);
            span.run(self.escalate(&due, now, &span), spans::describe).await?;
        }
        if u32::try_from(alerts.len()).is_ok_and(|found| found < PAGE) {
            return Ok(Progress::Idle);
        }
        *self.after.lock().unwrap_or_else(PoisonError::into_inner) = alerts.last().map(|alert| alert.alert_id);
        Ok(Progress::More)
    }
}

/// The alerts that a level has come due for: the highest over the policies of their tenant.
fn due(alerts: &[Alert], policies: &[Policy], now: Timestamp) -> Vec<(TenantId, AlertId, u32)> {
    let mut by_tenant: HashMap<&TenantId, Vec<&Policy>> = HashMap::new();
    for policy in policies {
        by_tenant.entry(&policy.tenant_id).or_default().push(policy);
    }
    alerts
        .iter()
        .filter_map(|alert| {
            let level = by_tenant.get(&alert.tenant_id)?.iter().filter_map(|policy| policy.spec.due_level(alert, now)).max()?;
            Some((alert.tenant_id.clone(), alert.alert_id, level))
        })
        .collect()
}
