//! What can be set of this service, and what makes no sense together.

use std::time::Duration;

use pulse_runtime::settings::{check_number, defaults};
use pulse_runtime::{Error, parse_duration};

/// The longest that what is known of a device may be used.
const CREDENTIAL_TTL_MAX: Duration = Duration::from_secs(3_600);

/// Settings of the ingest doors and the API.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "ui_api")]
pub struct Settings {
    /// The largest body of an ingest request, in bytes
    #[arg(long, env = "PULSE_INGEST_BODY_MAX_BYTES", value_name = "BYTES", default_value_t = 262_144)]
    pub ingest_body_max_bytes: usize,

    /// The most messages in one request to the batch door
    #[arg(long, env = "PULSE_INGEST_BATCH_MAX", value_name = "MESSAGES", default_value_t = 100)]
    pub ingest_batch_max: usize,

    /// Readings a second that one device may send for long; 0 takes the limit away
    #[arg(long, env = "PULSE_INGEST_DEVICE_RATE", value_name = "READINGS/S", default_value_t = 200)]
    pub ingest_device_rate: u32,

    /// Readings that one device may send at once
    #[arg(long, env = "PULSE_INGEST_DEVICE_BURST", value_name = "READINGS", default_value_t = 1_000)]
    pub ingest_device_burst: u32,

    /// Readings a second that one tenant may send for long; 0 takes the limit away
    #[arg(long, env = "PULSE_INGEST_TENANT_RATE", value_name = "READINGS/S", default_value_t = 100_000)]
    pub ingest_tenant_rate: u32,

    /// Readings that one tenant may send at once
    #[arg(long, env = "PULSE_INGEST_TENANT_BURST", value_name = "READINGS", default_value_t = 200_000)]
    pub ingest_tenant_burst: u32,

    /// Readings that may wait for the database, the ones being written included; further ones are answered with 503
    #[arg(long, env = "PULSE_INGEST_QUEUE_MAX", value_name = "READINGS", default_value_t = 20_000)]
    pub ingest_queue_max: usize,

    /// The most readings in one write to the database.
    #[arg(skip = 5_000usize)]
    pub ingest_group_max: usize,

    /// How long a device's token hash and site are used from memory before they are read again
    #[arg(long, env = "PULSE_INGEST_CREDENTIAL_TTL", value_name = "DURATION", value_parser = parse_duration, default_value = "5s")]
    pub ingest_credential_ttl: Duration,

    /// The most devices whose token hash and site are kept in memory
    #[arg(long, env = "PULSE_INGEST_CREDENTIALS_MAX", value_name = "DEVICES", default_value_t = 100_000)]
    pub ingest_credentials_max: u64,

    /// The largest body of an API request, in bytes
    #[arg(long, env = "PULSE_API_BODY_MAX_BYTES", value_name = "BYTES", default_value_t = 262_144)]
    pub api_body_max_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        defaults(&[])
    }
}

impl Settings {
    /// Whether they make sense together.
    ///
    /// # Errors
    /// Names the setting, what it is and what would be right.
    pub fn validate(&self) -> Result<(), Error> {
        check_number("PULSE_INGEST_BODY_MAX_BYTES", self.ingest_body_max_bytes, 1..)?;
        check_number("PULSE_INGEST_BATCH_MAX", self.ingest_batch_max, 1..)?;
        check_number("PULSE_API_BODY_MAX_BYTES", self.api_body_max_bytes, 1..)?;
        self.check_together().map_err(Error::Settings)
    }

    fn check_together(&self) -> Result<(), String> {
        if self.ingest_queue_max < self.ingest_batch_max {
            return Err(format!(
                "PULSE_INGEST_QUEUE_MAX is {}: it must be at least PULSE_INGEST_BATCH_MAX ({}), or no full batch could ever be taken",
                self.ingest_queue_max, self.ingest_batch_max
            ));
        }
        if self.ingest_credential_ttl > CREDENTIAL_TTL_MAX {
            return Err(format!(
                "PULSE_INGEST_CREDENTIAL_TTL is {:?}: it must be at most an hour, as a token that was revoked elsewhere is trusted so long",
                self.ingest_credential_ttl
            ));
        }
        for (rate, burst, name) in [
            (self.ingest_device_rate, self.ingest_device_burst, "PULSE_INGEST_DEVICE_BURST"),
            (self.ingest_tenant_rate, self.ingest_tenant_burst, "PULSE_INGEST_TENANT_BURST"),
        ] {
            if rate > 0 && burst == 0 {
                return Err(format!("{name} is 0: it must be at least 1 while the rate is limited"));
            }
        }
        Ok(())
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
    fn what_makes_no_sense_is_named() {
        let wrong = [
            (Settings { ingest_batch_max: 0, ..Settings::default() }, "PULSE_INGEST_BATCH_MAX must be at least 1, it is 0"),
            (Settings { ingest_queue_max: 99, ..Settings::default() }, "at least PULSE_INGEST_BATCH_MAX (100)"),
            (Settings { ingest_device_burst: 0, ..Settings::default() }, "PULSE_INGEST_DEVICE_BURST is 0"),
            (Settings { ingest_credential_ttl: Duration::MAX, ..Settings::default() }, "must be at most an hour"),
        ];
        for (settings, says) in wrong {
            let text = settings.validate().unwrap_err().to_string();
            assert!(text.contains(says), "{text}");
        }
        let unlimited = Settings { ingest_device_rate: 0, ingest_device_burst: 0, ..Settings::default() };
        unlimited.validate().unwrap();
    }
}
