//! What can be set, and whether it fits together.

use std::time::Duration;

use pulse_runtime::settings::{DURATION_MIN, check_duration, check_number, defaults};
use pulse_runtime::{Error, parse_duration};

/// The most events one claim may take: a commit must fit well into a lease.
const BATCH_MAX: u32 = 10_000;
/// A lease is this many steps long, so that clocks which differ a little between machines take nothing from a dispatcher at work.
const STEPS_PER_LEASE: u32 = 3;
/// Shorter leases would pass while a busy database answers.
const LEASE_MIN: Duration = Duration::from_secs(1);
/// The longest lease and the longest wait: beyond it a slip of the pen would leave events lying.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// The dispatcher's settings. Names carry the service's, so that all services can be set on one command line.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(id = "dispatcher")]
pub struct Settings {
    /// Events taken in one claim
    #[arg(
        id = "dispatcher_batch",
        long = "dispatcher-batch",
        env = "PULSE_DISPATCHER_BATCH",
        value_name = "EVENTS",
        default_value_t = 500
    )]
    pub batch: u32,

    /// How long claimed events are kept from other dispatchers; after a crash they wait this long
    #[arg(id = "dispatcher_lease", long = "dispatcher-lease", env = "PULSE_DISPATCHER_LEASE", value_name = "DURATION",
          value_parser = parse_duration, default_value = "30s")]
    pub lease: Duration,

    /// The longest wait for a wake-up before looking for events
    #[arg(id = "dispatcher_poll", long = "dispatcher-poll", env = "PULSE_DISPATCHER_POLL", value_name = "DURATION",
          value_parser = parse_duration, default_value = "1s")]
    pub poll: Duration,

    /// The longest wait after errors; the first is 100 ms, each further one doubles
    #[arg(id = "dispatcher_backoff_max", long = "dispatcher-backoff-max", env = "PULSE_DISPATCHER_BACKOFF_MAX", value_name = "DURATION",
          value_parser = parse_duration, default_value = "10s")]
    pub backoff_max: Duration,

    /// How often the queue is counted for its gauges
    #[arg(id = "dispatcher_probe_every", long = "dispatcher-probe-every", env = "PULSE_DISPATCHER_PROBE_EVERY", value_name = "DURATION",
          value_parser = parse_duration, default_value = "5s")]
    pub probe_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        defaults(&[])
    }
}

impl Settings {
    /// Whether the service can run with them; called by [`crate::run`].
    ///
    /// # Errors
    /// Names the setting, what it is and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        check_number("PULSE_DISPATCHER_BATCH", self.batch, 1..=BATCH_MAX)?;
        check_duration("PULSE_DISPATCHER_LEASE", self.lease, LEASE_MIN..=WAIT_MAX)?;
        check_duration("PULSE_DISPATCHER_POLL", self.poll, DURATION_MIN..=WAIT_MAX)?;
        check_duration("PULSE_DISPATCHER_BACKOFF_MAX", self.backoff_max, DURATION_MIN..=WAIT_MAX)?;
        check_duration("PULSE_DISPATCHER_PROBE_EVERY", self.probe_every, DURATION_MIN..=WAIT_MAX)
    }

    /// The longest a step may take: well within its lease, as what it claimed is others' afterwards.
    pub(crate) fn step_deadline(&self) -> Duration {
        self.lease / STEPS_PER_LEASE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        Settings::default().validate().unwrap();
    }

    #[test]
    fn what_cannot_work_is_named() {
        let good = Settings::default();
        let zero = Duration::ZERO;
        for (settings, name) in [
            (Settings { batch: 0, ..good.clone() }, "PULSE_DISPATCHER_BATCH must be from 1 to 10000, it is 0"),
            (Settings { batch: 10_001, ..good.clone() }, "PULSE_DISPATCHER_BATCH must be from 1 to 10000, it is 10001"),
            (Settings { lease: Duration::from_millis(999), ..good.clone() }, "PULSE_DISPATCHER_LEASE must be from 1s to 1h, it is 999ms"),
            (Settings { lease: Duration::MAX, ..good.clone() }, "PULSE_DISPATCHER_LEASE must be from 1s to 1h"),
            (Settings { poll: WAIT_MAX * 2, ..good.clone() }, "PULSE_DISPATCHER_POLL must be from 1ms to 1h, it is 2h"),
            (Settings { poll: zero, ..good.clone() }, "PULSE_DISPATCHER_POLL must be from 1ms to 1h, it is 0ms"),
            (Settings { backoff_max: zero, ..good.clone() }, "PULSE_DISPATCHER_BACKOFF_MAX must be from 1ms to 1h, it is 0ms"),
            (Settings { probe_every: zero, ..good }, "PULSE_DISPATCHER_PROBE_EVERY must be from 1ms to 1h, it is 0ms"),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
