//! What can be set, and whether it fits together.

use std::time::Duration;

use pulse_runtime::settings::{DURATION_MIN, check_duration, check_number, defaults};
use pulse_runtime::{CyclePlan, Error, parse_duration};

use crate::metrics::OPERATION;

/// The most devices one claim may take, and readings of one device: a batch must fit into memory, and its commit well into a lease.
const BATCH_MAX: u32 = 20_000;
const READINGS_MAX: u32 = 1_000;
/// Shorter than this, a message on its way is silence.
const STALE_MIN: Duration = Duration::from_secs(1);

/// The evaluator's settings. Names carry the service's, so that all services can be set on one command line.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(id = "evaluator")]
pub struct Settings {
    /// Devices judged in one cycle, at the most
    #[arg(
        id = "evaluator_batch_size",
        long = "evaluator-batch-size",
        env = "PULSE_EVALUATOR_BATCH_SIZE",
        value_name = "DEVICES",
        default_value_t = 2_000
    )]
    pub batch_size: u32,

    /// Readings of one device judged in one cycle, at the most; the others wait for the next
    #[arg(
        id = "evaluator_readings_max",
        long = "evaluator-readings-max",
        env = "PULSE_EVALUATOR_READINGS_MAX",
        value_name = "READINGS",
        default_value_t = 32
    )]
    pub readings_max: u32,

    /// The longest wait for a wake-up before looking for devices that are due: heartbeat timers ring at most this late
    #[arg(id = "evaluator_poll", long = "evaluator-poll", env = "PULSE_EVALUATOR_POLL", value_name = "DURATION",
          value_parser = parse_duration, default_value = "1s")]
    pub poll: Duration,

    /// The pause between cycles that readings wake: batches form meanwhile, and ingest has the database to itself.
    #[arg(skip = Duration::from_millis(50))]
    pub min_interval: Duration,

    /// How long claimed devices are kept from other evaluators; after a crash they wait this long
    #[arg(id = "evaluator_lease", long = "evaluator-lease", env = "PULSE_EVALUATOR_LEASE", value_name = "DURATION",
          value_parser = parse_duration, default_value = "30s")]
    pub lease: Duration,

    /// The longest a cycle may take; less than the lease
    #[arg(id = "evaluator_cycle_deadline", long = "evaluator-cycle-deadline", env = "PULSE_EVALUATOR_CYCLE_DEADLINE",
          value_name = "DURATION", value_parser = parse_duration, default_value = "20s")]
    pub cycle_deadline: Duration,

    /// The longest wait after errors; the first is 100 ms, each further one doubles
    #[arg(id = "evaluator_backoff_max", long = "evaluator-backoff-max", env = "PULSE_EVALUATOR_BACKOFF_MAX", value_name = "DURATION",
          value_parser = parse_duration, default_value = "10s")]
    pub backoff_max: Duration,

    /// How often the devices that are due are counted for the queue's gauges
    #[arg(id = "evaluator_probe_every", long = "evaluator-probe-every", env = "PULSE_EVALUATOR_PROBE_EVERY", value_name = "DURATION",
          value_parser = parse_duration, default_value = "5s")]
    pub probe_every: Duration,

    /// A device is ONLINE while its last message is at most this old, and STALE after that
    #[arg(id = "heartbeat_stale", long = "heartbeat-stale", env = "PULSE_HEARTBEAT_STALE", value_name = "DURATION",
          value_parser = parse_duration, default_value = "30s")]
    pub heartbeat_stale: Duration,
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
        check_number("PULSE_EVALUATOR_BATCH_SIZE", self.batch_size, 1..=BATCH_MAX)?;
        check_number("PULSE_EVALUATOR_READINGS_MAX", self.readings_max, 1..=READINGS_MAX)?;
        // Paused for longer than it polls, it would poll late.
        check_duration("PULSE_EVALUATOR_POLL", self.poll, self.min_interval.max(DURATION_MIN)..)?;
        check_duration("PULSE_EVALUATOR_CYCLE_DEADLINE", self.cycle_deadline, DURATION_MIN..)?;
        check_duration("PULSE_EVALUATOR_BACKOFF_MAX", self.backoff_max, DURATION_MIN..)?;
        check_duration("PULSE_EVALUATOR_PROBE_EVERY", self.probe_every, DURATION_MIN..)?;
        check_duration("PULSE_HEARTBEAT_STALE", self.heartbeat_stale, STALE_MIN..)?;
        if self.cycle_deadline >= self.lease {
            let (deadline, lease) = (self.cycle_deadline, self.lease);
            let text = format!("PULSE_EVALUATOR_CYCLE_DEADLINE must be less than PULSE_EVALUATOR_LEASE ({lease:?}), it is {deadline:?}");
            return Err(Error::Settings(text));
        }
        Ok(())
    }

    pub(crate) fn plan(&self) -> CyclePlan {
        CyclePlan {
            name: OPERATION,
            poll: self.poll,
            pause: self.min_interval,
            deadline: self.cycle_deadline,
            backoff_max: self.backoff_max,
        }
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
        for (settings, says) in [
            (Settings { batch_size: 0, ..good.clone() }, "PULSE_EVALUATOR_BATCH_SIZE must be from 1 to 20000, it is 0"),
            (Settings { readings_max: 1_001, ..good.clone() }, "PULSE_EVALUATOR_READINGS_MAX must be from 1 to 1000, it is 1001"),
            (Settings { poll: zero, ..good.clone() }, "PULSE_EVALUATOR_POLL must be at least 50ms, it is 0ms"),
            (Settings { cycle_deadline: zero, ..good.clone() }, "PULSE_EVALUATOR_CYCLE_DEADLINE must be at least 1ms"),
            (Settings { backoff_max: zero, ..good.clone() }, "PULSE_EVALUATOR_BACKOFF_MAX must be at least 1ms"),
            (Settings { probe_every: zero, ..good.clone() }, "PULSE_EVALUATOR_PROBE_EVERY must be at least 1ms"),
            (Settings { lease: Duration::from_secs(20), ..good.clone() }, "PULSE_EVALUATOR_CYCLE_DEADLINE must be less than"),
            (Settings { heartbeat_stale: zero, ..good.clone() }, "PULSE_HEARTBEAT_STALE must be at least 1s, it is 0ms"),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
        Settings { min_interval: zero, ..good }.validate().unwrap();
    }
}
