//! Settings that every service has, and how durations are written in all of them.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use crate::Error;

/// How a service serves HTTP.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerSettings {
    /// Moves /metrics, /health and /ready from the service's own port to this listener, for example 127.0.0.1:9090
    #[arg(long, env = "PULSE_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
}

/// The units of durations, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration: a whole number with `ms`, `s`, `m`, `h` or `d`, for example `250ms`, `30s`, `7d`. For clap's `value_parser`.
///
/// # Errors
/// A text that says what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write a whole number with ms, s, m, h or d, for example 250ms, 30s or 7d");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit_at].parse().map_err(|_| wrong())?;
    let (_, unit_millis) = UNITS.iter().find(|(unit, _)| *unit == &text[unit_at..]).ok_or_else(wrong)?;
    number.checked_mul(*unit_millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// The shortest duration that can be written, and so the least of those that must be more than 0.
pub const DURATION_MIN: Duration = Duration::from_millis(1);

/// Checks a setting against its bounds.
///
/// # Errors
/// [`Error::Settings`], which names the setting, what would be right and what it is.
pub fn check_number<N: Copy + PartialOrd + Display>(name: &str, number: N, bounds: impl RangeBounds<N>) -> Result<(), Error> {
    check(name, &number, &bounds, N::to_string)
}

/// Checks a setting against its bounds, as [`check_number`] does.
///
/// # Errors
/// [`Error::Settings`], which names the setting, what would be right and what it is.
pub fn check_duration(name: &str, duration: Duration, bounds: impl RangeBounds<Duration>) -> Result<(), Error> {
    check(name, &duration, &bounds, written)
}

fn check<T: PartialOrd>(name: &str, value: &T, bounds: &impl RangeBounds<T>, written: fn(&T) -> String) -> Result<(), Error> {
    if bounds.contains(value) {
        return Ok(());
    }
    let right = match (bounds.start_bound(), bounds.end_bound()) {
        (Bound::Included(min), Bound::Included(max)) => format!("from {} to {}", written(min), written(max)),
        (Bound::Included(min), _) => format!("at least {}", written(min)),
        (Bound::Excluded(min), _) => format!("more than {}", written(min)),
        (Bound::Unbounded, Bound::Excluded(max)) => format!("less than {}", written(max)),
        (Bound::Unbounded, Bound::Included(max)) => format!("at most {}", written(max)),
        (Bound::Unbounded, Bound::Unbounded) => return Ok(()),
    };
    Err(Error::Settings(format!("{name} must be {right}, it is {}", written(value))))
}

/// A duration as [`parse_duration`] reads it, in its largest unit.
fn written(duration: &Duration) -> String {
    let millis = duration.as_millis();
    let unit = UNITS.iter().rev().find(|(_, unit_millis)| millis > 0 && millis.is_multiple_of(u128::from(*unit_millis)));
    let (unit, unit_millis) = unit.unwrap_or(&UNITS[0]);
    format!("{}{unit}", millis / u128::from(*unit_millis))
}

/// Reads settings from arguments alone, whatever the environment holds.
///
/// # Errors
/// Clap's, as on a command line.
pub fn parse<S: clap::Args>(arguments: &[&str]) -> Result<S, clap::Error> {
    let command = S::augment_args(clap::Command::new("settings").no_binary_name(true));
    let command = command.mut_args(|argument| argument.env(clap::builder::Resettable::Reset));
    command.try_get_matches_from(arguments).and_then(|matches| S::from_arg_matches(&matches))
}

/// The settings as they are where nobody sets any. So each default is written once, at its flag.
///
/// `required` are the arguments that have no default.
///
/// # Panics
/// When a default does not fit its own setting, which every test finds.
#[expect(clippy::expect_used, reason = "the defaults are constants of the program")]
pub fn defaults<S: clap::Args>(required: &[&str]) -> S {
    parse(required).expect("the defaults of settings")
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

    #[test]
    fn a_value_that_is_out_of_bounds_is_named_with_what_would_be_right() {
        let second = Duration::from_secs(1);
        for (checked, says) in [
            (check_number("A", 0, 1..=10_000), "A must be from 1 to 10000, it is 0"),
            (check_number("A", 0, 1..), "A must be at least 1, it is 0"),
            (check_duration("A", Duration::ZERO, DURATION_MIN..), "A must be at least 1ms, it is 0ms"),
            (check_duration("A", second * 7_201, second..=second * 7_200), "A must be from 1s to 2h, it is 7201s"),
            (check_duration("A", second, ..second), "A must be less than 1s, it is 1s"),
            (check_duration("A", second * 60, ..=second), "A must be at most 1s, it is 1m"),
        ] {
            assert_eq!(checked.unwrap_err().to_string(), says);
        }
        assert!(check_number("A", 1, 1..=1).is_ok() && check_duration("A", second, ..).is_ok());
    }
}
