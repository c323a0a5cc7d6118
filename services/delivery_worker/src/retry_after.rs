//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or the date from which on the receiver wants to hear of us again.

use std::time::Duration;

use pulse_domain::Timestamp;

/// The wait that the header asks for; none when it asks for nothing that can be understood. A date that has passed is a wait of 0.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are as good as the longest wait that anybody allows.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date: Timestamp = httpdate::parse_http_date(value).ok()?.into();
    Some((date - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_nothing_else() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (value, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999999999", Some(u64::from(u32::MAX))),
            ("Sun, 01 Mar 2026 12:01:30 GMT", Some(90)),
            ("Sunday, 01-Mar-26 12:01:30 GMT", Some(90)),
            ("Sun Mar  1 12:01:30 2026", Some(90)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 99 Mar 2026 12:01:30 GMT", None),
        ] {
            assert_eq!(parse(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }
}
