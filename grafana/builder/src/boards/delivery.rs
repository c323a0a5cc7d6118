//! Delivery: are messages delivered, how fast, and what keeps them?

use super::{LATENCY_BAD, LATENCY_WARN};
use crate::board::{Board, Folder, Of};
use crate::panel::Panel;
use crate::promql::{buckets, max, max_by, metric, quantile, quantile_by, rate, share, sum, sum_by, top};
use crate::unit::Unit;

pub const UID: &str = "pulse-delivery";

/// Outcomes that receivers or tenants' settings decide, and no retry mends.
const TURNED_DOWN: &str = "refused|blocked|config";

pub fn board() -> Board {
    Board::new(
        UID,
        "Delivery",
        Folder::Pulse,
        Of::Services("delivery_worker|ops_worker"),
        "Do messages reach their receivers, how fast, and what keeps them?",
    )
    .tagged(&["delivery_worker"])
    .row("Are messages delivered?", [succeeding(), turned_down(), dead_now(), latency_now(), oldest_now(), busy_now()])
    .row("Are the promises kept?", [burn(&DELIVERY), burn(&LATENCY)])
    .row("How long do they take?", [latency(), latency_by_channel(), latency_heat()])
    .row("What fails, and why?", [outcomes(), failures_by_channel(), dead()])
    .row("Where do they wait?", [depth(), age(), in_flight()])
    .row("Does the worker keep up?", [attempts(), attempt_duration(), books(), leases()])
}

/// A promise, and what the rules record of how often it is broken.
struct Promise {
    title: &'static str,
    description: &'static str,
    broken: [&'static str; 3],
}

const DELIVERY: Promise = Promise {
    title: "Burn of the budget for failed attempts",
    description: "1 in 100 attempts may fail. At 1 the month's budget lasts a month, at 14.4 two days. Critical from 14.4 in an hour or 6 in six hours on.",
    broken: [
        "job:pulse_delivery_attempts_failed:ratio_rate1h",
        "job:pulse_delivery_attempts_failed:ratio_rate6h",
        "job:pulse_delivery_attempts_failed:ratio_rate3d",
    ],
};

const LATENCY: Promise = Promise {
    title: "Burn of the budget for late messages",
    description: "1 in 100 messages may take more than 30 s. At 1 the month's budget lasts a month, at 14.4 two days.",
    broken: [
        "job:pulse_alert_latency_late:ratio_rate1h",
        "job:pulse_alert_latency_late:ratio_rate6h",
        "job:pulse_alert_latency_late:ratio_rate3d",
    ],
};

fn burn(promise: &Promise) -> Panel {
    const RECORDED: &str = "recorded every minute, where there was something to deliver";
    let panel = Panel::lines(promise.title, Unit::Of("times"), promise.description).bad_above(6.0, 14.4).when_empty("Nothing delivered");
    let windows = promise.broken.into_iter().zip(["an hour", "six hours", "three days"]);
    windows.fold(panel, |panel, (broken, window)| panel.ask_if_any(max(broken) / 0.01, window, RECORDED))
}

fn succeeding() -> Panel {
    Panel::stat(
        "Attempts that succeed",
        Unit::Ratio,
        "Of the attempts that were not turned down, those that a receiver acknowledged. 99 % are promised.",
    )
    .ask(
        share(
            sum(rate(metric("pulse_delivery_attempts_total").is("outcome", "success"))),
            sum(rate(metric("pulse_delivery_attempts_total").unlike("outcome", TURNED_DOWN))),
        ),
        "succeeding",
    )
    .bad_below(0.99, 0.9)
    .when_empty("Nothing to deliver")
}

fn turned_down() -> Panel {
    Panel::stat(
        "Attempts turned down",
        Unit::Ratio,
        "Of all attempts: refused by the receiver, blocked by the egress guard, or impossible by the integration's settings.",
    )
    .ask(
        share(sum(rate(metric("pulse_delivery_attempts_total").like("outcome", TURNED_DOWN))), sum(rate("pulse_delivery_attempts_total"))),
        "turned down",
    )
    .bad_above(0.1, 0.5)
    .when_empty("Nothing to deliver")
}

fn dead_now() -> Panel {
    Panel::stat("Jobs given up", Unit::Of("an hour"), "At the present pace. They are dead until somebody replays them: nobody was told.")
        .ask(sum(rate("pulse_delivery_jobs_failed_total")) * 3_600.0, "given up")
        .bad_above(1.0, 60.0)
}

fn latency_now() -> Panel {
    Panel::stat(
        "Device to receiver, 95 %",
        Unit::Seconds,
        "95 of 100 messages were acknowledged within this time of the receipt of the reading.",
    )
    .ask(quantile(0.95, "pulse_alert_latency_seconds"), "95 %")
    .bad_above(LATENCY_WARN, LATENCY_BAD)
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}

fn oldest_now() -> Panel {
    Panel::stat("Longest wait", Unit::Seconds, "How long the oldest job that is due has waited for its attempt.")
        .ask(max(metric("pulse_queue_oldest_age_seconds").is("service", "delivery_worker")), "oldest")
        .bad_above(60.0, 300.0)
}

fn busy_now() -> Panel {
    Panel::stat(
        "Places taken",
        Unit::Ratio,
        "Of the deliveries that may be under way at once, those that are, in the fuller of the two queues.",
    )
    .ask(max(sum_by(&["queue_name"], "pulse_delivery_in_flight") / sum_by(&["queue_name"], "pulse_delivery_concurrency")), "taken")
    .bad_above(0.8, 0.95)
}

fn latency() -> Panel {
    Panel::lines(
        "Device to receiver",
        Unit::Seconds,
        "From the receipt of a reading to the receiver's acknowledgement. 99 in 100 are to arrive within 30 s.",
    )
    .ask(quantile(0.5, "pulse_alert_latency_seconds"), "50 %")
    .ask(quantile(0.95, "pulse_alert_latency_seconds"), "95 %")
    .ask(quantile(0.99, "pulse_alert_latency_seconds"), "99 %")
    .bad_above(LATENCY_WARN, LATENCY_BAD)
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}

fn latency_by_channel() -> Panel {
    Panel::lines("Device to receiver by channel, 95 %", Unit::Seconds, "One slow kind of receiver does not hold up the others.")
        .ask(quantile_by(&["channel"], 0.95, "pulse_alert_latency_seconds"), "{{channel}}")
        .when_empty("Nothing delivered")
        .traces_of("delivery_worker")
}

fn latency_heat() -> Panel {
    Panel::heat(
        "Device to receiver, every message",
        Unit::Seconds,
        "How many messages took how long. A second band, half a minute up: first retries.",
    )
    .ask(buckets("pulse_alert_latency_seconds"), "{{le}}")
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}

fn outcomes() -> Panel {
    Panel::stack(
        "Failed attempts, by kind",
        Unit::PerSecond,
        "timeout, connect, tls and server are tried again; refused, blocked and config are not.",
    )
    .ask(sum_by(&["outcome"], rate(metric("pulse_delivery_attempts_total").is_not("outcome", "success"))), "{{outcome}}")
}

fn failures_by_channel() -> Panel {
    Panel::lines("Attempts that fail, by channel", Unit::Ratio, "Of a channel's attempts, those that failed, whatever the kind.")
        .ask(
            share(
                sum_by(&["channel"], rate(metric("pulse_delivery_attempts_total").is_not("outcome", "success"))),
                sum_by(&["channel"], rate("pulse_delivery_attempts_total")),
            ),
            "{{channel}}",
        )
        .bad_above(0.05, 0.5)
}

fn dead() -> Panel {
    Panel::lines(
        "Jobs given up, by tenant",
        Unit::PerSecond,
        "After their last attempt, or at once when no attempt can succeed. The ten tenants with most.",
    )
    .ask(top(10, sum_by(&["tenant_id"], rate("pulse_delivery_jobs_failed_total"))), "{{tenant_id}}")
}

fn depth() -> Panel {
    Panel::lines("Jobs that are due", Unit::Count, "Counted in the store. Integrations and people's notifications have a queue each.")
        .ask(max_by(&["queue_name"], metric("pulse_queue_depth").is("service", "delivery_worker")), "{{queue_name}}")
}

fn age() -> Panel {
    Panel::lines("Age of the oldest job", Unit::Seconds, "How long the oldest job that is due has waited.")
        .ask(max_by(&["queue_name"], metric("pulse_queue_oldest_age_seconds").is("service", "delivery_worker")), "{{queue_name}}")
        .bad_above(60.0, 300.0)
}

fn in_flight() -> Panel {
    Panel::lines("Deliveries under way", Unit::Count, "At the moment of each scrape. At the limit, jobs wait for slow receivers.")
        .ask(sum_by(&["queue_name"], "pulse_delivery_in_flight"), "{{queue_name}}")
        .ask_limit(sum_by(&["queue_name"], "pulse_delivery_concurrency"), "{{queue_name}}, at most")
}

fn attempts() -> Panel {
    Panel::lines("Attempts, by channel", Unit::PerSecond, "All attempts, whatever came of them.")
        .ask(sum_by(&["channel"], rate("pulse_delivery_attempts_total")), "{{channel}}")
}

fn attempt_duration() -> Panel {
    let attempt = || metric("pulse_processing_duration_seconds").is("service", "delivery_worker").is("operation", "delivery_attempt");
    Panel::lines("Time an attempt takes", Unit::Seconds, "From the connection to the receiver's answer. A click leads to traces.")
        .ask(quantile(0.5, attempt()), "50 %")
        .ask(quantile(0.95, attempt()), "95 %")
        .ask(quantile(0.99, attempt()), "99 %")
        .when_empty("Nothing to deliver")
        .traces_of("delivery_worker")
}

fn books() -> Panel {
    let books =
        metric("pulse_processing_duration_seconds").is("service", "delivery_worker").like("operation", "claim_jobs|record_attempts");
    Panel::lines(
        "Time the worker's own books take, 95 %",
        Unit::Seconds,
        "Claiming jobs from the store, and recording there what came of them.",
    )
    .ask(quantile_by(&["operation"], 0.95, books), "{{operation}}")
    .traces_of("delivery_worker")
}

fn leases() -> Panel {
    Panel::lines(
        "Claims that passed",
        Unit::PerSecond,
        "Attempts that outlived their claim, and jobs brought back because their worker did not end them. Such messages may arrive twice.",
    )
    .ask(sum(rate("pulse_delivery_leases_lost_total")), "outlived by an attempt")
    .ask(sum(rate("pulse_ops_job_leases_expired_total")), "brought back")
}
