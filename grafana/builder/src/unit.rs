//! The units of panels: Grafana's name for each, and how the report writes a value.

/// A panel's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain count.
    Count,
    /// A count of these.
    Of(&'static str),
    /// 0 to 1, shown as per cent.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Anything per second.
    PerSecond,
    /// Requests per second.
    RequestsPerSecond,
    /// 1 or 0, shown as yes or no.
    YesNo,
}

impl Unit {
    /// Grafana's name for it.
    pub fn id(self) -> String {
        match self {
            Self::Count => "short".into(),
            Self::Of(what) => format!("suffix: {what}"),
            Self::Ratio => "percentunit".into(),
            Self::Seconds => "s".into(),
            Self::Bytes => "bytes".into(),
            Self::PerSecond => "ops".into(),
            Self::RequestsPerSecond => "reqps".into(),
            Self::YesNo => "bool_yes_no".into(),
        }
    }

    /// The name that people read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Of(what) => what,
            Self::Ratio => "per cent",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::PerSecond => "per second",
            Self::RequestsPerSecond => "requests per second",
            Self::YesNo => "yes or no",
        }
    }

    /// A value as text, about as Grafana would write it.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Count => scaled(value, 1_000.0, &["", " K", " M", " B"]),
            Self::Of(what) => format!("{} {what}", scaled(value, 1_000.0, &["", " K", " M", " B"])),
            Self::Ratio => format!("{}%", digits(value * 100.0)),
            Self::Seconds => seconds(value),
            Self::Bytes => scaled(value, 1_024.0, &[" B", " KiB", " MiB", " GiB", " TiB"]),
            Self::PerSecond => format!("{}/s", scaled(value, 1_000.0, &["", " K", " M", " B"])),
            Self::RequestsPerSecond => format!("{} req/s", scaled(value, 1_000.0, &["", " K", " M", " B"])),
            Self::YesNo => if value == 0.0 { "no" } else { "yes" }.into(),
        }
    }
}

/// Three digits that matter, no zeros after them.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    let places = match magnitude {
        m if m >= 100.0 || m == 0.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        m if m >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn scaled(value: f64, step: f64, suffixes: &[&str]) -> String {
    let mut value = value;
    let mut suffixes = suffixes.iter().peekable();
    while let Some(suffix) = suffixes.next() {
        if value.abs() < step || suffixes.peek().is_none() {
            return format!("{}{suffix}", digits(value));
        }
        value /= step;
    }
    digits(value)
}

fn seconds(value: f64) -> String {
    let (unit, name) = match value.abs() {
        0.0 => return "0 s".into(),
        v if v < 0.001 => (1e-6, "µs"),
        v if v < 1.0 => (1e-3, "ms"),
        v if v < 60.0 => (1.0, "s"),
        v if v < 3_600.0 => (60.0, "min"),
        v if v < 86_400.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    format!("{} {name}", digits(value / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people() {
        for (unit, value, text) in [
            (Unit::Count, 0.0, "0"),
            (Unit::Count, 1_234.0, "1.23 K"),
            (Unit::Count, 12.0, "12"),
            (Unit::Of("jobs"), 2.0, "2 jobs"),
            (Unit::Ratio, 0.9876, "98.8%"),
            (Unit::Ratio, 1.0, "100%"),
            (Unit::Seconds, 0.000_05, "50 µs"),
            (Unit::Seconds, 0.0963, "96.3 ms"),
            (Unit::Seconds, 90.0, "1.5 min"),
            (Unit::Seconds, 172_800.0, "2 d"),
            (Unit::Bytes, 3_145_728.0, "3 MiB"),
            (Unit::PerSecond, 14.66, "14.7/s"),
            (Unit::PerSecond, -14.66, "-14.7/s"),
            (Unit::YesNo, 1.0, "yes"),
        ] {
            assert_eq!(unit.format(value), text, "{unit:?} {value}");
        }
    }
}
