//! What can be set, and whether it fits together.

use std::collections::HashSet;
use std::time::Duration;

use pulse_domain::retry::RetryPolicy;
use pulse_runtime::settings::{DURATION_MIN, check_duration, check_number, defaults};
use pulse_runtime::{Error, parse_duration};

use crate::target::WatchTarget;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most services to watch: each is a request of its own at every check.
const WATCH_MAX: usize = 100;
/// More failed checks than this would keep a service that is down unseen.
const HEALTH_FAILURES_MAX: u32 = 100;
/// The most rows in one step: a step holds up other writers.
const STEP_ROWS_MAX: u32 = 100_000;
/// The longest interval, so that no sub-worker is idle for good by a slip of the pen.
const INTERVAL_MAX: Duration = DAY.saturating_mul(7);
/// The shortest time for which rows are kept: sooner, nobody may have seen them.
const KEEP_MIN: Duration = Duration::from_secs(60 * 60);
/// A hundred years.
const KEEP_MAX: Duration = DAY.saturating_mul(36_500);

/// The ops worker's settings. Names carry the service's, so that all services can be set on one command line.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(id = "ops")]
pub struct Settings {
    /// Services to watch, each name=http://host:port/health, separated by commas; none: no health alerts
    #[arg(id = "ops_watch", long = "ops-watch", env = "PULSE_OPS_WATCH", value_name = "NAME=URL", value_delimiter = ',')]
    pub watch: Vec<WatchTarget>,

    /// How often services are checked
    #[arg(id = "ops_health_interval", long = "ops-health-interval", env = "PULSE_OPS_HEALTH_INTERVAL", value_name = "DURATION",
          value_parser = parse_duration, default_value = "10s")]
    pub health_interval: Duration,

    /// How long a service may take to answer a check
    #[arg(id = "ops_health_timeout", long = "ops-health-timeout", env = "PULSE_OPS_HEALTH_TIMEOUT", value_name = "DURATION",
          value_parser = parse_duration, default_value = "3s")]
    pub health_timeout: Duration,

    /// Failed checks in a row that open an alert
    #[arg(
        id = "ops_health_failures",
        long = "ops-health-failures",
        env = "PULSE_OPS_HEALTH_FAILURES",
        value_name = "CHECKS",
        default_value_t = 2
    )]
    pub health_failures: u32,

    /// How often alerts are looked at for escalation.
    #[arg(skip = Duration::from_secs(10))]
    pub escalation_interval: Duration,

    /// How often jobs are looked at whose worker did not finish them
    #[arg(id = "ops_expiry_interval", long = "ops-expiry-interval", env = "PULSE_OPS_EXPIRY_INTERVAL", value_name = "DURATION",
          value_parser = parse_duration, default_value = "10s")]
    pub expiry_interval: Duration,

    /// Attempts after which a job that was not finished is dead: the delivery worker's setting of the same name.
    #[arg(skip = RetryPolicy::default().attempts_max)]
    pub attempts_max: u32,

    /// How long finished jobs, dispatched events and closed alerts are kept
    #[arg(id = "ops_keep_finished", long = "ops-keep-finished", env = "PULSE_OPS_KEEP_FINISHED", value_name = "DURATION",
          value_parser = parse_duration, default_value = "30d")]
    pub keep_finished: Duration,

    /// How long readings are kept
    #[arg(id = "ops_keep_readings", long = "ops-keep-readings", env = "PULSE_OPS_KEEP_READINGS", value_name = "DURATION",
          value_parser = parse_duration, default_value = "30d")]
    pub keep_readings: Duration,

    /// How often old rows are looked for.
    #[arg(skip = Duration::from_secs(10 * 60))]
    pub retention_interval: Duration,

    /// Rows changed or removed in one step
    #[arg(id = "ops_step_rows", long = "ops-step-rows", env = "PULSE_OPS_STEP_ROWS", value_name = "ROWS", default_value_t = 5_000)]
    pub step_rows: u32,

    /// The pause between steps that remove rows, which leaves the database to others
    #[arg(id = "ops_step_pause", long = "ops-step-pause", env = "PULSE_OPS_STEP_PAUSE", value_name = "DURATION",
          value_parser = parse_duration, default_value = "200ms")]
    pub step_pause: Duration,

    /// The longest wait after errors; the first is 100 ms, each further one doubles
    #[arg(id = "ops_backoff_max", long = "ops-backoff-max", env = "PULSE_OPS_BACKOFF_MAX", value_name = "DURATION",
          value_parser = parse_duration, default_value = "10s")]
    pub backoff_max: Duration,
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
        self.check_watch().map_err(Error::Settings)?;
        check_number("PULSE_OPS_HEALTH_FAILURES", self.health_failures, 1..=HEALTH_FAILURES_MAX)?;
        check_number("PULSE_OPS_STEP_ROWS", self.step_rows, 1..=STEP_ROWS_MAX)?;
        check_duration("PULSE_OPS_STEP_PAUSE", self.step_pause, DURATION_MIN..=INTERVAL_MAX)?;
        check_duration("PULSE_OPS_HEALTH_INTERVAL", self.health_interval, DURATION_MIN..=INTERVAL_MAX)?;
        check_duration("PULSE_OPS_HEALTH_TIMEOUT", self.health_timeout, DURATION_MIN..=INTERVAL_MAX)?;
        check_duration("PULSE_OPS_EXPIRY_INTERVAL", self.expiry_interval, DURATION_MIN..=INTERVAL_MAX)?;
        check_duration("PULSE_OPS_BACKOFF_MAX", self.backoff_max, DURATION_MIN..=INTERVAL_MAX)?;
        check_duration("PULSE_OPS_KEEP_FINISHED", self.keep_finished, KEEP_MIN..=KEEP_MAX)?;
        check_duration("PULSE_OPS_KEEP_READINGS", self.keep_readings, KEEP_MIN..=KEEP_MAX)
    }

    fn check_watch(&self) -> Result<(), String> {
        if self.watch.len() > WATCH_MAX {
            return Err(format!("PULSE_OPS_WATCH may name at most {WATCH_MAX} services, it names {}", self.watch.len()));
        }
        let mut names = HashSet::new();
        match self.watch.iter().find(|target| !names.insert(target.name())) {
            Some(twice) => Err(format!("PULSE_OPS_WATCH names {} twice; each service needs a name of its own", twice.name())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use pulse_runtime::settings::parse;

    use super::*;

    #[test]
    fn the_defaults_hold() {
        Settings::default().validate().unwrap();
    }

    #[test]
    fn targets_are_a_list_and_a_wrong_one_says_what_would_be_right() {
        let list = "ui_api=http://127.0.0.1:8081/health,evaluator=http://127.0.0.1:8082/health";
        let parsed = parse::<Settings>(&["--ops-watch", list, "--ops-keep-readings", "7d"]).unwrap();
        assert_eq!(parsed.watch.iter().map(|target| target.name().as_str()).collect::<Vec<_>>(), ["ui_api", "evaluator"]);
        assert_eq!(parsed.keep_readings, DAY * 7);
        let error = parse::<Settings>(&["--ops-watch", "ui_api"]).unwrap_err().to_string();
        assert!(error.contains("--ops-watch") && error.contains("name=http://host:port/health"), "{error}");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let good = Settings::default;
        let target = |name: &str| WatchTarget::new(name, "http://127.0.0.1/health").unwrap();
        for (settings, text) in [
            (Settings { watch: vec![target("a"), target("b"), target("a")], ..good() }, "PULSE_OPS_WATCH names a twice"),
            (
                Settings { watch: (0..101).map(|n| target(&format!("s{n}"))).collect(), ..good() },
                "PULSE_OPS_WATCH may name at most 100 services, it names 101",
            ),
            (Settings { health_failures: 0, ..good() }, "PULSE_OPS_HEALTH_FAILURES must be from 1 to 100, it is 0"),
            (Settings { step_rows: 100_001, ..good() }, "PULSE_OPS_STEP_ROWS must be from 1 to 100000, it is 100001"),
            (Settings { health_interval: Duration::ZERO, ..good() }, "PULSE_OPS_HEALTH_INTERVAL must be from 1ms to 7d, it is 0ms"),
            (Settings { expiry_interval: DAY * 8, ..good() }, "PULSE_OPS_EXPIRY_INTERVAL must be from 1ms to 7d, it is 8d"),
            (Settings { keep_readings: Duration::from_secs(1), ..good() }, "PULSE_OPS_KEEP_READINGS must be from 1h to 36500d, it is 1s"),
            (Settings { keep_finished: Duration::MAX, ..good() }, "PULSE_OPS_KEEP_FINISHED must be from 1h to 36500d"),
        ] {
            let error = settings.validate().unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
    }
}
