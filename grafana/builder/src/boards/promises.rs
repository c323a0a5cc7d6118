//! The promises to users, that messages arrive and that they arrive in time, and how well they are kept.
//!
//! docs/telemetry.md gives the reasons, grafana/prometheus/rules/slo.yml has the alerts.

use crate::panel::Panel;
use crate::promql::{buckets, max, metric, quantile, rate, share, sum};
use crate::unit::Unit;

/// 99 in 100 messages arrive within the second of these, in seconds.
const LATENCY_WARN: f64 = 10.0;
const LATENCY_BAD: f64 = 30.0;

/// Outcomes that the receiver or the tenant's settings decide; another attempt would end in the same way.
pub(super) const REJECTED: &str = "refused|blocked|config";

/// A promise, and what the rules record of how often it is broken.
pub(super) struct Promise {
    title: &'static str,
    description: &'static str,
    broken: [&'static str; 3],
}

pub(super) const DELIVERY: Promise = Promise {
    title: "Burn rate of the error budget for failed attempts",
    description: "1 in 100 attempts may fail. At 1 the month's budget lasts a month, at 14.4 two days. An alert is critical above 14.4 over an hour or above 6 over six hours.",
    broken: [
        "job:pulse_delivery_attempts_failed:ratio_rate1h",
        "job:pulse_delivery_attempts_failed:ratio_rate6h",
        "job:pulse_delivery_attempts_failed:ratio_rate3d",
    ],
};

pub(super) const LATENCY: Promise = Promise {
    title: "Burn rate of the error budget for late messages",
    description: "1 in 100 messages may take more than 30 s. At 1 the month's budget lasts a month, at 14.4 two days.",
    broken: [
        "job:pulse_alert_latency_late:ratio_rate1h",
        "job:pulse_alert_latency_late:ratio_rate6h",
        "job:pulse_alert_latency_late:ratio_rate3d",
    ],
};

pub(super) fn burn(promise: &Promise) -> Panel {
    const RECORDED: &str = "recorded every minute, where there was something to deliver";
    let panel = Panel::lines(promise.title, Unit::Of("times"), promise.description).bad_above(6.0, 14.4).when_empty("Nothing delivered");
    let windows = promise.broken.into_iter().zip(["an hour", "six hours", "three days"]);
    windows.fold(panel, |panel, (broken, window)| panel.ask_if_any(max(broken) / 0.01, window, RECORDED))
}

pub(super) fn attempts_that_succeed() -> Panel {
    let attempts = || metric("pulse_delivery_attempts_total");
    Panel::stat(
        "Attempts that succeed",
        Unit::Ratio,
        "The share of delivery attempts that a receiver acknowledged; 99 % are promised. Rejected attempts are left out, because no retry can succeed.",
    )
    .ask(share(sum(rate(attempts().is("outcome", "success"))), sum(rate(attempts().unlike("outcome", REJECTED)))), "succeeding")
    .bad_below(0.99, 0.9)
    .when_empty("Nothing to deliver")
}

pub(super) fn latency_now() -> Panel {
    Panel::stat(
        "Device to receiver, 95 %",
        Unit::Seconds,
        "95 of 100 messages were acknowledged within this time of the receipt of the reading that they are about.",
    )
    .ask(quantile(0.95, "pulse_alert_latency_seconds"), "95 %")
    .bad_above(LATENCY_WARN, LATENCY_BAD)
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}

pub(super) fn latency() -> Panel {
    Panel::lines(
        "Device to receiver",
        Unit::Seconds,
        "From the receipt of a reading to the receiver's acknowledgement of the message about it. 99 of 100 are promised within 30 s.",
    )
    .ask_quantiles("pulse_alert_latency_seconds")
    .bad_above(LATENCY_WARN, LATENCY_BAD)
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}

pub(super) fn latency_heat() -> Panel {
    Panel::heat(
        "Device to receiver, every message",
        Unit::Seconds,
        "How many messages took how long. A second band about half a minute higher shows messages that needed a retry.",
    )
    .ask(buckets("pulse_alert_latency_seconds"), "{{le}}")
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}
