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

/// The settings as they are where nobody sets any, whatever the environment holds. So each default is written once, at its flag.
///
/// `required` are the arguments that have no default, as on a command line.
///
/// # Panics
/// When a default does not fit its own setting, which every test finds.
#[expect(clippy::expect_used, reason = "the defaults are constants of the program")]
pub fn defaults<S: clap::Args>(required: &[&str]) -> S {
    let command = S::augment_args(clap::Command::new("defaults").no_binary_name(true));
    let command = command.mut_args(|argument| argument.env(clap::builder::Resettable::Reset));
    let matches = command.try_get_matches_from(required).and_then(|matches| S::from_arg_matches(&matches));
    matches.expect("the defaults of settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, clap::Args)]
    struct Settings {
        #[arg(long, env = "PATH", default_value = "nowhere")]
        path: String,
        #[arg(long, env = "HOME")]
        home: Option<String>,
        #[arg(long)]
        number: u32,
        #[arg(skip = Duration::from_secs(1))]
        pace: Duration,
    }

    #[test]
    fn defaults_are_those_of_the_flags_whatever_the_environment_holds() {
        let expected = Settings { path: "nowhere".to_owned(), home: None, number: 7, pace: Duration::from_secs(1) };
        assert_eq!(defaults::<Settings>(&["--number", "7"]), expected);
    }

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
