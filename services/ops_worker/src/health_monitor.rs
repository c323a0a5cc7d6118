//! health_monitor: asks each service how it is, and tells people through an alert like any other.

mod check;
mod finding;
mod metrics;
mod streak;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::alert::{Alert, AlertChange, Cause, Fingerprint};
use pulse_domain::ids::{SiteId, TenantId};
use pulse_runtime::spans::{self, current_trace};
use pulse_runtime::{Deps, Error, Progress};
use pulse_store::Result;

use self::check::Checker;
use self::finding::Finding;
use self::metrics::{SystemAlertMetrics, TargetMetrics};
use self::streak::{Streak, Verdict};
use crate::settings::Settings;
use crate::sub_worker::{Plan, STORE_DEADLINE, SubWorker};
use crate::target::WatchTarget;

/// The tenant that alerts about Pulse itself belong to; every store has it from the start. Give it routes to hear of them.
pub const SYSTEM_TENANT: &str = "pulse-system";

const NAME: &str = "health_monitor";
/// The names of the store's calls in spans.
const OPEN_ALERT: &str = "open_alert";
const APPLY_ALERT_CHANGES: &str = "apply_alert_changes";
/// The site of SYSTEM_HEALTH alerts.
const SYSTEM_SITE: &str = "pulse";

/// Watches services. What is open is asked of the store each time, so that a restart, a replica or a hand on the alert confuses nothing.
pub(crate) struct HealthMonitor {
    deps: Deps,
    every: Duration,
    checker: Checker,
    targets: Vec<Target>,
    tenant_id: TenantId,
    site_id: SiteId,
    failures_to_open: u32,
    alerts: SystemAlertMetrics,
}

struct Target {
    watch: WatchTarget,
    fingerprint: Fingerprint,
    streak: Mutex<Streak>,
    metrics: TargetMetrics,
}

impl HealthMonitor {
    pub(crate) fn new(deps: &Deps, settings: &Settings) -> std::result::Result<Self, Error> {
        let named = |error: pulse_domain::ids::InvalidName| Error::Task { what: NAME, source: Box::new(error) };
        let target = |watch: &WatchTarget| Target {
            watch: watch.clone(),
            fingerprint: Fingerprint::system_health(watch.name().as_str()),
            streak: Mutex::new(Streak::default()),
            metrics: TargetMetrics::new(&deps.telemetry, watch.name().as_str()),
        };
        Ok(Self {
            deps: deps.clone(),
            every: settings.health_interval,
            checker: Checker::new(settings.health_timeout, deps.telemetry.tracer()).map_err(|source| Error::Task { what: NAME, source })?,
            targets: settings.watch.iter().map(target).collect(),
            tenant_id: TenantId::parse(SYSTEM_TENANT).map_err(named)?,
            site_id: SiteId::parse(SYSTEM_SITE).map_err(named)?,
            failures_to_open: settings.health_failures,
            alerts: SystemAlertMetrics::new(&deps.telemetry),
        })
    }

    /// Brings the alert of one service in line with what was found.
    async fn settle(&self, target: &Target, verdict: Verdict, now: Timestamp) -> Result<()> {
        if verdict == Verdict::Undecided {
            return Ok(());
        }
        let open = self.deps.spans.query(OPEN_ALERT, 1, self.deps.store.open_alert(&self.tenant_id, &target.fingerprint)).await?;
        let Some(change) = self.change(target, verdict, open.as_ref(), now) else { return Ok(()) };
        let change = [change];
        let call = self.deps.store.apply_alert_changes(&self.tenant_id, &change, now);
        let done = self.deps.spans.query(APPLY_ALERT_CHANGES, change.len(), call).await?;
        self.alerts.opened.add(done.opened.len() as u64);
        self.alerts.closed.add(done.closed.len() as u64);
        let service = target.watch.name();
        if !done.opened.is_empty() {
            tracing::warn!(%service, "a service fails its health check: alert opened");
        }
        if !done.closed.is_empty() {
            tracing::info!(%service, "a service passes its health check again: alert closed");
        }
        Ok(())
    }

    /// The change to the alert, given what is open, in the trace of this step. The store opens nothing that somebody has silenced.
    fn change(&self, target: &Target, verdict: Verdict, open: Option<&Alert>, now: Timestamp) -> Option<AlertChange> {
        let cause = || Cause { origin_at: None, trace: current_trace() };
        let (error, since) = match (verdict, open) {
            (Verdict::Down { error, since }, _) => (error, since),
            (Verdict::Up, Some(alert)) => return Some(AlertChange::Close { alert_id: alert.alert_id, at: now, cause: cause() }),
            (Verdict::Up, None) | (Verdict::Undecided, _) => return None,
        };
        let finding = Finding { watch: &target.watch, error, since };
        match open {
            Some(alert) => finding.update(alert, now),
            None => {
                let alert = finding.alert(self.tenant_id.clone(), self.site_id.clone(), target.fingerprint.clone(), now);
                Some(AlertChange::Open { alert: Box::new(alert), cause: cause() })
            }
        }
    }
}

#[async_trait]
impl SubWorker for HealthMonitor {
    fn plan(&self) -> Plan {
        Plan { name: NAME, every: self.every, deadline: self.checker.timeout() + STORE_DEADLINE }
    }

    async fn step(&self) -> Result<Progress> {
        if self.targets.is_empty() {
            return Ok(Progress::Idle);
        }
        let span = self.deps.spans.tracer().span(NAME).root().start();
        span.run(self.check_all(), spans::describe).await
    }
}

impl HealthMonitor {
    /// Checks every service at once, then settles each by itself: what fails for one does not keep the others from being heard of.
    async fn check_all(&self) -> Result<Progress> {
        let checks = self.targets.iter().map(|target| self.checker.check(&target.watch));
        let results = futures::future::join_all(checks).await;
        let now = self.deps.clock.now();
        let mut verdicts = Vec::with_capacity(self.targets.len());
        for (target, result) in self.targets.iter().zip(results) {
            target.metrics.checked(&result);
            let mut streak = target.streak.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.push(streak.add(result, self.failures_to_open, now));
        }
        let mut first_error = None;
        for (target, verdict) in self.targets.iter().zip(verdicts) {
            if let Err(error) = self.settle(target, verdict, now).await {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(Progress::Idle), Err)
    }
}
