//! The settings of delivery: `--delivery-…` and `PULSE_DELIVERY_*`.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use pulse_domain::integration::Queue;
use pulse_domain::retry::RetryPolicy;
use pulse_runtime::settings::{DURATION_MIN, check_duration, check_number, defaults};
use pulse_runtime::{Error, parse_duration};

/// The longest of any duration here: far beyond sense, and far from where instants overflow.
const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a call to the store may take. Longer than the store's own bound of a statement, so that it is met only where nobody answers at all.
pub(crate) const STORE_MAX: Duration = Duration::from_secs(35);

/// How deliveries are made. Durations read `250ms`, `10s`, `2h`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[group(id = "delivery")]
pub struct Settings {
    /// Deliveries to machines (webhooks) under way at once
    #[arg(
        id = "delivery_concurrency",
        long = "delivery-concurrency",
        env = "PULSE_DELIVERY_CONCURRENCY",
        value_name = "N",
        default_value_t = 128
    )]
    pub concurrency: u32,

    /// Deliveries to people (chat) under way at once, in places of their own
    #[arg(
        id = "delivery_notification_concurrency",
        long = "delivery-notification-concurrency",
        env = "PULSE_DELIVERY_NOTIFICATION_CONCURRENCY",
        value_name = "N",
        default_value_t = 32
    )]
    pub notification_concurrency: u32,

    /// Deliveries under way at once to one integration
    #[arg(
        id = "delivery_per_destination",
        long = "delivery-per-destination",
        env = "PULSE_DELIVERY_PER_DESTINATION",
        value_name = "N",
        default_value_t = 16
    )]
    pub per_destination: u32,

    /// The longest that one attempt may take, connecting included
    #[arg(id = "delivery_timeout", long = "delivery-timeout", env = "PULSE_DELIVERY_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,

    /// The longest wait for a connection
    #[arg(id = "delivery_connect_timeout", long = "delivery-connect-timeout", env = "PULSE_DELIVERY_CONNECT_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub connect_timeout: Duration,

    /// How long claimed jobs belong to a worker; must be longer than the timeout. After a crash they wait this long
    #[arg(id = "delivery_lease", long = "delivery-lease", env = "PULSE_DELIVERY_LEASE", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub lease: Duration,

    /// The longest wait between two looks for work
    #[arg(id = "delivery_poll", long = "delivery-poll", env = "PULSE_DELIVERY_POLL", value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub poll: Duration,

    /// The most jobs claimed or attempts recorded in one statement
    #[arg(id = "delivery_batch", long = "delivery-batch", env = "PULSE_DELIVERY_BATCH", value_name = "N", default_value_t = 256)]
    pub batch: u32,

    /// Also deliver to http:// addresses, in the clear
    #[arg(id = "delivery_allow_http", long = "delivery-allow-http", env = "PULSE_DELIVERY_ALLOW_HTTP")]
    pub allow_http: bool,

    /// Address ranges that deliveries may reach although they are not public, for receivers on your own premises: 10.1.0.0/16,fd12::/16
    #[arg(
        id = "delivery_allowed_ranges",
        long = "delivery-allowed-ranges",
        env = "PULSE_DELIVERY_ALLOWED_RANGES",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub allowed_ranges: Vec<IpNet>,

    /// PEM file of certificate authorities to trust beside the public ones, for receivers on your own premises
    #[arg(id = "delivery_ca_file", long = "delivery-ca-file", env = "PULSE_DELIVERY_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Wait before the second attempt; doubles with each further one
    #[arg(id = "delivery_retry_base", long = "delivery-retry-base", env = "PULSE_DELIVERY_RETRY_BASE", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub retry_base: Duration,

    /// The longest wait between two attempts, whatever Retry-After says
    #[arg(id = "delivery_retry_max", long = "delivery-retry-max", env = "PULSE_DELIVERY_RETRY_MAX", value_name = "TIME", default_value = "2h", value_parser = parse_duration)]
    pub retry_max: Duration,

    /// Attempts in all; then the job is dead until somebody replays it. Both delivery_worker and ops_worker read it
    #[arg(id = "delivery_attempts_max", long = "delivery-attempts-max", env = "PULSE_DELIVERY_ATTEMPTS_MAX", value_name = "N",
          default_value_t = RetryPolicy::default().attempts_max, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub attempts_max: u32,

    /// How often the depth of the queues is counted
    #[arg(id = "delivery_queue_probe", long = "delivery-queue-probe", env = "PULSE_DELIVERY_QUEUE_PROBE", value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub queue_probe: Duration,

    /// How long deliveries under way may take to finish when the service stops.
    #[arg(skip = Duration::from_secs(8))]
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        defaults(&[])
    }
}

impl Settings {
    /// Whether the settings make sense, each alone and together.
    ///
    /// # Errors
    /// [`Error::Settings`] naming the first setting that does not fit, and what would.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, number) in [
            ("PULSE_DELIVERY_CONCURRENCY", self.concurrency),
            ("PULSE_DELIVERY_NOTIFICATION_CONCURRENCY", self.notification_concurrency),
            ("PULSE_DELIVERY_PER_DESTINATION", self.per_destination),
            ("PULSE_DELIVERY_BATCH", self.batch),
        ] {
            check_number(name, number, 1..)?;
        }
        for (name, duration) in [
            ("PULSE_DELIVERY_TIMEOUT", self.timeout),
            ("PULSE_DELIVERY_CONNECT_TIMEOUT", self.connect_timeout),
            ("PULSE_DELIVERY_LEASE", self.lease),
            ("PULSE_DELIVERY_POLL", self.poll),
            ("PULSE_DELIVERY_RETRY_BASE", self.retry_base),
            ("PULSE_DELIVERY_RETRY_MAX", self.retry_max),
            ("PULSE_DELIVERY_QUEUE_PROBE", self.queue_probe),
        ] {
            check_duration(name, duration, DURATION_MIN..=DURATION_MAX)?;
        }
        let ordered = [
            ("PULSE_DELIVERY_LEASE", self.lease, "longer than", "PULSE_DELIVERY_TIMEOUT", self.timeout, self.lease > self.timeout),
            (
                "PULSE_DELIVERY_RETRY_MAX",
                self.retry_max,
                "at least",
                "PULSE_DELIVERY_RETRY_BASE",
                self.retry_base,
                self.retry_max >= self.retry_base,
            ),
        ];
        match ordered.iter().find(|(.., holds)| !holds) {
            None => Ok(()),
            Some((name, value, relation, other, bound, _)) => {
                Err(Error::Settings(format!("{name} is {value:?} but must be {relation} {other}, which is {bound:?}")))
            }
        }
    }

    /// How many deliveries of a queue may be under way at once.
    pub(crate) fn places(&self, queue: Queue) -> u32 {
        match queue {
            Queue::Integration => self.concurrency,
            Queue::Notification => self.notification_concurrency,
        }
    }

    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy { base: self.retry_base, max: self.retry_max, attempts_max: self.attempts_max }
    }
}

#[cfg(test)]
mod tests {
    use pulse_runtime::settings::parse;

    use super::*;

    #[test]
    fn the_defaults_hold() {
        let defaults = Settings::default();
        defaults.validate().unwrap();
        assert_eq!(defaults.retry_policy(), RetryPolicy::default());
    }

    #[test]
    fn ranges_are_a_list_of_networks() {
        let parse = |text: &str| parse::<Settings>(&["--delivery-allowed-ranges", text]);
        assert_eq!(parse("127.0.0.0/8,fd00::/8").unwrap().allowed_ranges.len(), 2);
        let error = parse("127.0.0.1-127.0.0.9").unwrap_err().to_string();
        assert!(error.contains("--delivery-allowed-ranges"), "{error}");
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let defaults = Settings::default;
        for (settings, expected) in [
            (Settings { concurrency: 0, ..defaults() }, "PULSE_DELIVERY_CONCURRENCY must be at least 1, it is 0"),
            (Settings { batch: 0, ..defaults() }, "PULSE_DELIVERY_BATCH must be at least 1, it is 0"),
            (Settings { timeout: Duration::ZERO, ..defaults() }, "PULSE_DELIVERY_TIMEOUT must be from 1ms to 30d, it is 0ms"),
            (Settings { retry_max: DURATION_MAX * 2, ..defaults() }, "PULSE_DELIVERY_RETRY_MAX must be from 1ms to 30d, it is 60d"),
            (
                Settings { lease: Duration::from_secs(10), ..defaults() },
                "PULSE_DELIVERY_LEASE is 10s but must be longer than PULSE_DELIVERY_TIMEOUT, which is 10s",
            ),
            (
                Settings { retry_max: Duration::from_secs(1), ..defaults() },
                "PULSE_DELIVERY_RETRY_MAX is 1s but must be at least PULSE_DELIVERY_RETRY_BASE, which is 30s",
            ),
        ] {
            assert_eq!(settings.validate().unwrap_err().to_string(), expected);
        }
    }
}
