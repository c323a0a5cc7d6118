//! Text as a page has it.

use chrono::DateTime;

/// Text that stands in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A moment, given as Unix time in seconds, in this form.
#[allow(clippy::cast_possible_truncation, reason = "seconds of our age; the cast saturates")]
pub(super) fn moment(seconds: f64, form: &str) -> String {
    DateTime::from_timestamp(seconds as i64, 0).map(|time| time.format(form).to_string()).unwrap_or_default()
}
