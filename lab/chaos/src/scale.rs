//! How large and how long a scenario is: seconds in the tests, minutes in `tools/soak chaos`.

use std::time::Duration;

use pulse_runtime::parse_duration;

/// What is set of every scenario.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Scale {
    /// Gateways that post at the same time, each with devices of its own
    #[arg(long, env = "CHAOS_GATEWAYS", default_value_t = 8, value_name = "N")]
    pub gateways: u32,

    /// Devices of one gateway, which stand in one batch; the first gateway has one device, which posts by itself
    #[arg(long, env = "CHAOS_GATEWAY_DEVICES", default_value_t = 25, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub gateway_devices: u32,

    /// Between two readings of a device
    #[arg(long, env = "CHAOS_INTERVAL", default_value = "1s", value_name = "DURATION", value_parser = parse_duration)]
    pub interval: Duration,

    /// Readings that must be acknowledged before a fault, and again after it
    #[arg(long, env = "CHAOS_STEADY", default_value_t = 5_000, value_name = "READINGS")]
    pub steady: u64,

    /// How long a fault lasts that has a length
    #[arg(long, env = "CHAOS_HOLD", default_value = "60s", value_name = "DURATION", value_parser = parse_duration)]
    pub hold: Duration,

    /// How long the network to the database is away
    #[arg(long, env = "CHAOS_NETWORK_AWAY", default_value = "20s", value_name = "DURATION", value_parser = parse_duration)]
    pub network_away: Duration,

    /// By how much a clock is stepped
    #[arg(long, env = "CHAOS_CLOCK_STEP", default_value = "60s", value_name = "DURATION", value_parser = parse_duration)]
    pub clock_step: Duration,

    /// How often a fault is repeated
    #[arg(long, env = "CHAOS_ROUNDS", default_value_t = 5, value_name = "N")]
    pub rounds: u32,

    /// How long it may take at the end until nothing waits any more
    #[arg(long, env = "CHAOS_SETTLE", default_value = "5m", value_name = "DURATION", value_parser = parse_duration)]
    pub settle: Duration,
}

impl Scale {
    /// Seconds: the length of the tests.
    pub fn short() -> Self {
        Self {
            gateways: 4,
            gateway_devices: 12,
            interval: Duration::from_millis(150),
            steady: 150,
            hold: Duration::from_secs(4),
            network_away: Duration::from_secs(5),
            // More than a lease, less than the limit for silent devices.
            clock_step: Duration::from_secs(6),
            rounds: 2,
            settle: Duration::from_secs(60),
        }
    }
}
