//! Settings that every service has, and how durations are written in all of them.

use std::net::SocketAddr;
use std::time::Duration;

/// How a service serves HTTP.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerSettings {
    /// Moves /metrics, /health and /ready from the service's own port to this listener, for example 127.0.0.1:9090
    #[arg(long, env = "PULSE_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
}

/// Reads a duration: a whole number with `ms`, `s`, `m`, `h` or `d`, for example `250ms`, `30s`, `7d`. For clap's `value_parser`.
///
/// # Errors
/// A text that says what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write a whole number with ms, s, m, h or d, for example 250ms, 30s or 7d");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit_at].parse().map_err(|_| wrong())?;
    let unit_millis: u64 = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_millis).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [("0s", 0), ("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("7d", 604_800_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1.5s", "5 s", "5w", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_duration(text).unwrap_err().contains("for example 250ms"), "{text}");
        }
    }
}
