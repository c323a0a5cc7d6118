//! What can be set of a simulation.

use std::net::SocketAddr;
use std::time::Duration;

use pulse_domain::credential::SecretToken;
use pulse_domain::ids::TenantId;
use pulse_runtime::parse_duration;
use pulse_runtime::settings::defaults;

use crate::drive::DrivePlan;
use crate::fleet::{FleetPlan, Troubles};

/// Without a rate each device reports once a second, until all of them together make so many readings a second.
const RATE_UNLESS_SET_MAX: f64 = 1_000.0;

/// A fleet of devices that reports to Pulse over HTTP, and a sink that receives what Pulse delivers.
#[derive(Debug, Clone, clap::Args)]
pub struct SimulateSettings {
    /// The server's base URL
    #[arg(long, env = "PULSE_SIMULATE_URL", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    pub url: String,

    /// An operator token, to register the fleet with, or @FILE with the name of a file that holds one
    #[arg(long, env = "PULSE_SIMULATE_TOKEN", value_name = "TOKEN", hide_env_values = true, value_parser = parse_token)]
    pub token: SecretToken,

    /// The tenant that the fleet belongs to; made if there is none
    #[arg(long, env = "PULSE_SIMULATE_TENANT", value_name = "TENANT", default_value = "demo", value_parser = TenantId::parse)]
    pub tenant: TenantId,

    /// How many devices
    #[arg(long, env = "PULSE_SIMULATE_DEVICES", value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub devices: u32,

    /// Readings a second of the whole fleet [default: one for each device, 1,000 at most]
    #[arg(long, env = "PULSE_SIMULATE_RATE", value_name = "READINGS/S", value_parser = parse_rate)]
    pub rate: Option<f64>,

    /// How long the fleet reports [default: until interrupted]
    #[arg(long, env = "PULSE_SIMULATE_DURATION", value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// What the fleet's behaviour is drawn from: the same seed, the same readings
    #[arg(long, env = "PULSE_SIMULATE_SEED", value_name = "SEED", default_value_t = 42)]
    pub seed: u64,

    /// The share of sites whose devices report in batches through a gateway, 0 to 1
    #[arg(long, env = "PULSE_SIMULATE_BATCH_SHARE", value_name = "SHARE", default_value_t = 0.3, value_parser = parse_share)]
    pub batch_share: f64,

    /// The most requests in flight
    #[arg(long, env = "PULSE_SIMULATE_CONNECTIONS", value_name = "N", default_value_t = 64, value_parser = parse_connections)]
    pub connections: usize,

    /// How long a device that falls silent stays so
    #[arg(long, env = "PULSE_SIMULATE_SILENCE", value_name = "DURATION", default_value = "45s", value_parser = parse_duration)]
    pub silence: Duration,

    /// Where the sink listens for webhooks; port 0 takes any that is free
    #[arg(long, env = "PULSE_SIMULATE_SINK_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub sink_listen: SocketAddr,

    /// The sink's base URL as Pulse reaches it, where that is not the address it listens on: in a container, for example http://sink:9000
    #[arg(long, env = "PULSE_SIMULATE_SINK_URL", value_name = "URL", value_parser = parse_base_url)]
    pub sink_url: Option<String>,

    /// How long to wait at the end for messages that are still on their way
    #[arg(long, env = "PULSE_SIMULATE_SETTLE", value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub settle: Duration,
}

impl SimulateSettings {
    /// The defaults of the command line.
    pub fn new(url: impl Into<String>, token: SecretToken) -> Self {
        // The token has no default.
        Self { url: url.into(), token, ..defaults(&["--token", "none"]) }
    }

    /// The fleet that they describe.
    pub fn fleet(&self) -> FleetPlan {
        let rate = self.rate.unwrap_or_else(|| f64::from(self.devices).min(RATE_UNLESS_SET_MAX));
        let troubles = Troubles { silence: self.silence, ..Troubles::default() };
        FleetPlan { troubles, ..FleetPlan::at_rate(self.seed, self.devices, rate) }
    }

    /// How that fleet reports.
    pub fn drive(&self) -> DrivePlan {
        DrivePlan {
            url: self.url.clone(),
            fleet: self.fleet(),
            batch_share: self.batch_share,
            batch_max: 100,
            connections: self.connections,
            duration: self.duration,
        }
    }
}

/// The token itself, or what is in the file after an `@`: a file keeps it out of the environment, where more can see it.
fn parse_token(text: &str) -> Result<SecretToken, String> {
    let Some(file) = text.strip_prefix('@') else { return Ok(SecretToken::from_text(text)) };
    let token = std::fs::read_to_string(file).map_err(|error| format!("the file {file} cannot be read: {error}"))?;
    match token.trim() {
        "" => Err(format!("the file {file} is empty: it must hold an operator token")),
        token => Ok(SecretToken::from_text(token)),
    }
}

fn parse_base_url(text: &str) -> Result<String, String> {
    crate::client::base_url(text).map_err(|error| error.to_string())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a rate is a number above 0, in readings a second".into()),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".into()),
    }
}

fn parse_connections(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(connections) if (1..=4_096).contains(&connections) => Ok(connections),
        _ => Err("a number from 1 to 4096".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<SimulateSettings, String> {
        pulse_runtime::settings::parse(&[&["--token", "hush"], flags].concat()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_not_shown() {
        assert!(!format!("{:?}", parse(&[]).unwrap()).contains("hush"));
    }

    #[test]
    fn the_pace_follows_the_fleet_unless_set() {
        let interval = |flags: &[&str]| parse(flags).unwrap().fleet().interval;
        assert_eq!(interval(&[]), Duration::from_secs(1));
        assert_eq!(interval(&["--devices", "10000"]), Duration::from_secs(10));
        assert_eq!(interval(&["--devices", "10000", "--rate", "20000"]), Duration::from_millis(500));
        assert_eq!(parse(&["--silence", "7s"]).unwrap().fleet().troubles.silence, Duration::from_secs(7));
    }

    #[test]
    fn a_token_may_lie_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let at = format!("@{}", file.display());
        assert!(parse_token(&at).unwrap_err().contains("cannot be read"));
        std::fs::write(&file, "\n").unwrap();
        assert!(parse_token(&at).unwrap_err().contains("is empty"));
        std::fs::write(&file, "hush\n").unwrap();
        assert_eq!(parse_token(&at).unwrap().reveal(), "hush");
        assert_eq!(parse_token("hush").unwrap().reveal(), "hush");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (flags, says) in [
            (["--rate", "0"], "a number above 0"),
            (["--rate", "NaN"], "a number above 0"),
            (["--batch-share", "2"], "from 0 to 1"),
            (["--devices", "0"], "0 is not in 1..=1000000"),
            (["--connections", "0"], "from 1 to 4096"),
            (["--tenant", "a b"], "tenant_id must be"),
            (["--sink-url", "sink:9000"], "http:// or https://"),
        ] {
            let error = parse(&flags).unwrap_err();
            assert!(error.contains(says), "{flags:?}: {error}");
        }
    }
}
