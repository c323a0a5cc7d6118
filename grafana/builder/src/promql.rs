//! PromQL as boards write it. A selector brings the board's variables as matchers, and a rate its window, so that no query can forget them.

use std::fmt::Write as _;
use std::ops::{Add, Div, Mul, Sub};

use crate::catalog;

/// One metric's series, chosen by labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    name: &'static str,
    matchers: Vec<(&'static str, &'static str, &'static str)>,
}

/// A PromQL expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    text: String,
    /// Binds as one operand, without brackets.
    operand: bool,
}

/// The series of a metric that the board's variables choose.
pub fn metric(name: &'static str) -> Selector {
    Selector { name, matchers: Vec::new() }
}

impl Selector {
    /// Where the label is this. A label that is named here is no longer the board's variable's to choose.
    #[must_use]
    pub fn is(self, label: &'static str, value: &'static str) -> Self {
        self.matching(label, "=", value)
    }

    /// Where it is not.
    #[must_use]
    pub fn is_not(self, label: &'static str, value: &'static str) -> Self {
        self.matching(label, "!=", value)
    }

    /// Where the whole label matches the expression.
    #[must_use]
    pub fn like(self, label: &'static str, pattern: &'static str) -> Self {
        self.matching(label, "=~", pattern)
    }

    /// Where it does not.
    #[must_use]
    pub fn unlike(self, label: &'static str, pattern: &'static str) -> Self {
        self.matching(label, "!~", pattern)
    }

    fn matching(mut self, label: &'static str, operator: &'static str, value: &'static str) -> Self {
        self.matchers.push((label, operator, value));
        self
    }

    fn text(&self, suffix: &str) -> String {
        let chosen = catalog::matchers(self.name).into_iter().filter(|(label, ..)| self.matchers.iter().all(|(named, ..)| named != label));
        let matchers: Vec<String> = chosen
            .chain(self.matchers.iter().copied())
            .map(|(label, operator, value)| format!("{label}{operator}\"{}\"", value.replace('\\', "\\\\")))
            .collect();
        match matchers.as_slice() {
            [] => format!("{}{suffix}", self.name),
            all => format!("{}{suffix}{{{}}}", self.name, all.join(", ")),
        }
    }
}

impl From<&'static str> for Selector {
    fn from(name: &'static str) -> Self {
        metric(name)
    }
}

impl Expr {
    fn operand(text: String) -> Self {
        Self { text, operand: true }
    }

    fn bracketed(&self) -> String {
        if self.operand { self.text.clone() } else { format!("({})", self.text) }
    }

    fn joined(&self, operator: &str, right: &Self) -> Self {
        Self { text: format!("{} {operator} {}", self.bracketed(), right.bracketed()), operand: false }
    }

    /// This, and where it has no series, the other.
    #[must_use]
    pub fn or(&self, other: impl Into<Self>) -> Self {
        self.joined("or", &other.into())
    }

    /// This, and 0 where it has no series at all. Only for what is 0 when nothing has happened, whoever is down.
    #[must_use]
    pub fn or_zero(&self) -> Self {
        self.or(Self::operand("vector(0)".into()))
    }

    /// Only the series that are this.
    #[must_use]
    pub fn equal_to(&self, value: f64) -> Self {
        self.joined("==", &value.into())
    }

    /// Only the series above this.
    #[must_use]
    pub fn above(&self, value: f64) -> Self {
        self.joined(">", &value.into())
    }

    /// The text of it, with Grafana's variables.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<f64> for Expr {
    fn from(number: f64) -> Self {
        Self::operand(number.to_string())
    }
}

impl From<Selector> for Expr {
    fn from(selector: Selector) -> Self {
        Self::operand(selector.text(""))
    }
}

impl From<&'static str> for Expr {
    fn from(name: &'static str) -> Self {
        metric(name).into()
    }
}

impl<R: Into<Self>> Add<R> for Expr {
    type Output = Self;
    fn add(self, right: R) -> Self {
        self.joined("+", &right.into())
    }
}

impl<R: Into<Self>> Div<R> for Expr {
    type Output = Self;
    fn div(self, right: R) -> Self {
        self.joined("/", &right.into())
    }
}

impl<R: Into<Self>> Mul<R> for Expr {
    type Output = Self;
    fn mul(self, right: R) -> Self {
        self.joined("*", &right.into())
    }
}

impl<R: Into<Self>> Sub<R> for Expr {
    type Output = Self;
    fn sub(self, right: R) -> Self {
        self.joined("-", &right.into())
    }
}

/// How fast a counter grows, per second.
pub fn rate(counter: impl Into<Selector>) -> Expr {
    Expr::operand(format!("rate({}[$__rate_interval])", counter.into().text("")))
}

/// Observations of a histogram per second.
pub fn rate_of_count(histogram: impl Into<Selector>) -> Expr {
    Expr::operand(format!("rate({}[$__rate_interval])", histogram.into().text("_count")))
}

/// How fast the sum of a histogram's observations grows, per second.
pub fn rate_of_sum(histogram: impl Into<Selector>) -> Expr {
    Expr::operand(format!("rate({}[$__rate_interval])", histogram.into().text("_sum")))
}

/// The observations of a histogram in each of its buckets, for a heat map.
pub fn buckets(histogram: impl Into<Selector>) -> Expr {
    Expr::operand(format!("sum by (le) (increase({}[$__rate_interval]))", histogram.into().text("_bucket")))
}

/// The quantile of a histogram over all its series.
pub fn quantile(q: f64, histogram: impl Into<Selector>) -> Expr {
    quantile_by(&[], q, histogram)
}

/// The quantile of a histogram per these labels.
pub fn quantile_by(labels: &[&str], q: f64, histogram: impl Into<Selector>) -> Expr {
    let labels = ["le"].iter().chain(labels).copied().collect::<Vec<_>>().join(", ");
    let buckets = histogram.into().text("_bucket");
    Expr::operand(format!("histogram_quantile({q}, sum by ({labels}) (rate({buckets}[$__rate_interval])))"))
}

fn aggregate(function: &str, labels: &[&str], of: &Expr) -> Expr {
    let mut text = function.to_owned();
    if !labels.is_empty() {
        // Writing to a String cannot fail.
        write!(text, " by ({})", labels.join(", ")).ok();
        text.push(' ');
    }
    Expr::operand(format!("{text}({})", of.text))
}

/// Over all series.
pub fn sum(of: impl Into<Expr>) -> Expr {
    aggregate("sum", &[], &of.into())
}

/// Per these labels.
pub fn sum_by(labels: &[&str], of: impl Into<Expr>) -> Expr {
    aggregate("sum", labels, &of.into())
}

/// Over all series: for what every replica says of the same thing.
pub fn max(of: impl Into<Expr>) -> Expr {
    aggregate("max", &[], &of.into())
}

/// Per these labels: for what every replica says of the same thing.
pub fn max_by(labels: &[&str], of: impl Into<Expr>) -> Expr {
    aggregate("max", labels, &of.into())
}

/// Per these labels.
pub fn min_by(labels: &[&str], of: impl Into<Expr>) -> Expr {
    aggregate("min", labels, &of.into())
}

/// Over all series.
pub fn min(of: impl Into<Expr>) -> Expr {
    aggregate("min", &[], &of.into())
}

/// How many series.
pub fn count(of: impl Into<Expr>) -> Expr {
    aggregate("count", &[], &of.into())
}

/// The series with the highest values.
pub fn top(n: u8, of: impl Into<Expr>) -> Expr {
    Expr::operand(format!("topk({n}, {})", of.into().text))
}

/// The part of a whole, by the same labels. Where there is a whole and not yet any series of the part, it is 0.
pub fn share(part: impl Into<Expr>, whole: impl Into<Expr>) -> Expr {
    let whole = whole.into();
    part.into().or(whole.clone() * 0.0) / whole
}

/// How long ago a moment was that is given as Unix time.
pub fn since(timestamp: impl Into<Expr>) -> Expr {
    Expr { text: format!("time() - {}", timestamp.into().bracketed()), operand: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_bring_the_boards_variables() {
        let pulse = r#"transport="$transport", job=~"$job", instance=~"$instance""#;
        for (expr, text) in [
            (metric("pulse_ingest_queue_depth").into(), format!("pulse_ingest_queue_depth{{{pulse}}}")),
            (metric("pulse_db_pool_max").into(), format!("pulse_db_pool_max{{{pulse}, service=~\"$service\"}}")),
            (
                rate(metric("pulse_processing_total").is("service", "evaluator")),
                format!("rate(pulse_processing_total{{{pulse}, service=\"evaluator\"}}[$__rate_interval])"),
            ),
            (
                sum_by(&["tenant_id"], rate("pulse_evaluator_alerts_created_total")),
                format!(
                    "sum by (tenant_id) (rate(pulse_evaluator_alerts_created_total{{{pulse}, tenant_id=~\"$tenant\"}}[$__rate_interval]))"
                ),
            ),
            (
                quantile_by(&["channel"], 0.95, "pulse_alert_latency_seconds"),
                format!(
                    "histogram_quantile(0.95, sum by (le, channel) (rate(pulse_alert_latency_seconds_bucket{{{pulse}}}[$__rate_interval])))"
                ),
            ),
            (metric("ALERTS").is("alertstate", "firing").into(), r#"ALERTS{alertstate="firing"}"#.to_owned()),
        ] as [(Expr, String); 6]
        {
            assert_eq!(expr.as_str(), text);
        }
    }

    #[test]
    fn operators_keep_what_was_meant() {
        let firing = || Expr::from(metric("ALERTS"));
        assert_eq!((firing() / (firing() - firing())).as_str(), "ALERTS / (ALERTS - ALERTS)");
        assert_eq!(count(firing().equal_to(1.0)).or_zero().as_str(), "count(ALERTS == 1) or vector(0)");
        assert_eq!((since(max(firing())) * 2.0).as_str(), "(time() - max(ALERTS)) * 2");
    }
}
