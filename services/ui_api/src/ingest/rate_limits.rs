//! How much one device and one tenant may send: token buckets, kept only for senders that have proven who they are.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use pulse_domain::ids::{DeviceKey, TenantId};

use crate::settings::Settings;

/// The buckets of all devices and tenants.
#[derive(Debug)]
pub(crate) struct RateLimits {
    devices: Option<DefaultKeyedRateLimiter<DeviceKey>>,
    tenants: Option<DefaultKeyedRateLimiter<TenantId>>,
    clock: DefaultClock,
}

impl RateLimits {
    /// The limits of these settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            devices: limiter(settings.ingest_device_rate, settings.ingest_device_burst),
            tenants: limiter(settings.ingest_tenant_rate, settings.ingest_tenant_burst),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one reading off both buckets, or says how long to wait. A device that is over its own limit costs its tenant nothing.
    pub(crate) fn check(&self, key: &DeviceKey) -> Result<(), Duration> {
        let now = || self.clock.now();
        if let Some(devices) = &self.devices {
            devices.check_key(key).map_err(|not_until| not_until.wait_time_from(now()))?;
        }
        if let Some(tenants) = &self.tenants {
            tenants.check_key(&key.tenant_id).map_err(|not_until| not_until.wait_time_from(now()))?;
        }
        Ok(())
    }

    /// Forgets buckets that are full again, which is the same as not having any.
    pub(crate) fn sweep(&self) {
        sweep(self.devices.as_ref());
        sweep(self.tenants.as_ref());
    }
}

fn limiter<K: Hash + Eq + Clone>(rate: u32, burst: u32) -> Option<DefaultKeyedRateLimiter<K>> {
    let quota = Quota::per_second(NonZeroU32::new(rate)?).allow_burst(NonZeroU32::new(burst)?);
    Some(RateLimiter::keyed(quota))
}

fn sweep<K: Hash + Eq + Clone>(limiter: Option<&DefaultKeyedRateLimiter<K>>) {
    if let Some(limiter) = limiter {
        limiter.retain_recent();
        limiter.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use pulse_domain::ids::DeviceId;

    use super::*;

    fn key(device: &str) -> DeviceKey {
        DeviceKey { tenant_id: TenantId::parse("t").unwrap(), device_id: DeviceId::parse(device).unwrap() }
    }

    #[test]
    fn a_device_has_its_burst_and_then_waits_for_its_own_rate() {
        let limits = RateLimits::new(&Settings { ingest_device_rate: 1, ingest_device_burst: 3, ..Settings::default() });
        for _ in 0..3 {
            assert_eq!(limits.check(&key("a")), Ok(()));
        }
        let wait = limits.check(&key("a")).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(limits.check(&key("b")), Ok(()), "another device is not touched");
    }

    #[test]
    fn a_tenant_has_its_own_bucket_and_zero_means_no_limit() {
        let settings = Settings { ingest_device_rate: 0, ingest_tenant_rate: 1, ingest_tenant_burst: 2, ..Settings::default() };
        let limits = RateLimits::new(&settings);
        assert_eq!(limits.check(&key("a")), Ok(()));
        assert_eq!(limits.check(&key("b")), Ok(()));
        assert!(limits.check(&key("c")).is_err());
        limits.sweep();
        assert!(limits.check(&key("c")).is_err(), "a bucket in use is kept");
    }
}
