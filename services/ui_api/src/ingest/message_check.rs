//! Checks one message, for both doors: who sent it, how often, and what it says.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::device::Lifecycle;
use pulse_domain::ids::{DeviceId, DeviceKey, TenantId};
use pulse_domain::reading::{InvalidMetrics, Metrics, ReadingKind, RejectReason};
use pulse_domain::trace::TraceParent;

use super::credentials::{KeyRef, Known, KnownDevice};
use super::parse::{self, Entries, Reading};
use super::queue::Draft;
use super::rate_limits::RateLimits;
use crate::metrics::{AuthFailure, Metrics as Measured, TenantMeter};
use crate::problem::{Kind, Problem};

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: RejectReason,
    pub(crate) detail: Cow<'static, str>,
    /// The kind of problem that a client of the single door is told.
    kind: Kind,
    retry_after: Option<Duration>,
    /// Whose message it was, where that is certain.
    meter: Option<Arc<TenantMeter>>,
}

impl Refusal {
    pub(crate) fn new(reason: RejectReason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), kind: Kind::Rejected(reason), retry_after: None, meter: None }
    }

    /// Has HTTP tell it as another kind of problem.
    pub(crate) fn seen_as(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Counts it as a message of this device.
    pub(crate) fn of(mut self, device: &KnownDevice) -> Self {
        self.meter = Some(Arc::clone(&device.meter));
        self
    }

    /// Counts it, once.
    pub(crate) fn count(&self, metrics: &Measured) {
        self.meter.as_ref().unwrap_or(metrics.ingest.unknown()).rejected(self.reason, 1);
        let auth = match self.reason {
            RejectReason::TokenMissing => AuthFailure::TokenMissing,
            RejectReason::TokenInvalid => AuthFailure::TokenInvalid,
            RejectReason::DeviceRevoked => AuthFailure::DeviceRevoked,
            RejectReason::UnregisteredDevice => AuthFailure::UnregisteredDevice,
            _ => return,
        };
        metrics.auth_failed(auth);
    }
}

impl From<InvalidMetrics> for Refusal {
    fn from(invalid: InvalidMetrics) -> Self {
        Self::new(invalid.reason, invalid.detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = Self::new(refusal.kind, refusal.detail);
        match refusal.retry_after {
            Some(wait) => problem.retry_after(whole_seconds(wait)),
            None => problem,
        }
    }
}

/// `Retry-After` has whole seconds; less than one would say at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The device's name as a key of the store.
pub(crate) fn key(named: KeyRef<'_>) -> Result<DeviceKey, Refusal> {
    let invalid = |error: &dyn std::fmt::Display| Refusal::new(RejectReason::Invalid, error.to_string());
    Ok(DeviceKey {
        tenant_id: TenantId::parse(named.tenant_id).map_err(|error| invalid(&error))?,
        device_id: DeviceId::parse(named.device_id).map_err(|error| invalid(&error))?,
    })
}

/// The token, where there is one.
pub(crate) fn token<'a>(presented: Option<&'a str>, place: &'static str) -> Result<&'a str, Refusal> {
    presented.filter(|token| !token.is_empty()).ok_or_else(|| Refusal::new(RejectReason::TokenMissing, place))
}

/// Lets a device in by its token, and only as often as it may. What a wrong token names is only said to be registered or not, as devices
/// have always been told; that a device is revoked is for its own token to hear.
pub(crate) fn admit(known: Known, token: &str, limits: &RateLimits) -> Result<Arc<KnownDevice>, Refusal> {
    let unregistered = || Refusal::new(RejectReason::UnregisteredDevice, "no device with this device_id is registered with this tenant_id");
    let device = known.ok_or_else(unregistered)?;
    if device.lifecycle == Lifecycle::Decommissioned {
        return Err(unregistered().of(&device));
    }
    if !device.token.matches(token) {
        return Err(Refusal::new(RejectReason::TokenInvalid, "the token is not this device's").of(&device));
    }
    if device.lifecycle == Lifecycle::Revoked {
        return Err(Refusal::new(RejectReason::DeviceRevoked, "the device is revoked: its token is no longer trusted").of(&device));
    }
    if let Err(wait) = limits.check(&device.key) {
        let detail = "the device or its tenant sends more readings than it may: wait as long as Retry-After says";
        return Err(Refusal { retry_after: Some(wait), ..Refusal::new(RejectReason::RateLimited, detail).of(&device) });
    }
    Ok(device)
}

/// Reads what an admitted device says.
pub(crate) fn draft(device: Arc<KnownDevice>, kind: ReadingKind, body: &[u8], trace: Option<TraceParent>) -> Result<Draft, Refusal> {
    let checked = parse::json(body).map_err(Refusal::from).and_then(|reading: Reading<'_>| {
        let metrics = metrics(kind, reading.metrics)?;
        let ts = reading.ts.map(|ts| parse::time(&ts.0)).transpose()?;
        if reading.site_id.0 != device.site_id.as_str() {
            let detail = format!("site_id is not that of the device's registration, which is {}", device.site_id);
            return Err(Refusal::new(RejectReason::SiteMismatch, detail));
        }
        Ok((ts, reading.seq, metrics))
    });
    match checked {
        Ok((ts, seq, metrics)) => Ok(Draft { device, kind, ts, seq, metrics, trace }),
        Err(refusal) => Err(refusal.of(&device)),
    }
}

fn metrics(kind: ReadingKind, entries: Option<Entries>) -> Result<Metrics, Refusal> {
    match (entries, kind) {
        (Some(entries), _) => Ok(entries.check()?),
        (None, ReadingKind::Heartbeat) => Ok(Metrics::default()),
        (None, ReadingKind::Telemetry) => Err(Refusal::new(RejectReason::Invalid, "metrics is missing: only a heartbeat may leave it out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_never_too_short() {
        for (millis, seconds) in [(1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
