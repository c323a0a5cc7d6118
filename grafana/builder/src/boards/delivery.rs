//! Delivery: are messages delivered, how fast, and what keeps them?

use super::promises::{self, REJECTED};
use super::queue_age::{self, Queues};
use super::uid;
use crate::board::{Board, Folder};
use crate::panel::Panel;
use crate::promql::{max, max_by, metric, quantile_by, rate, share, sum, sum_by, top};
use crate::subject::Subject;
use crate::unit::Unit;

pub fn board() -> Board {
    let oldest_now = queue_age::now(Queues::DeliveryWorker, 60.0, 300.0);
    let age = queue_age::over_time(Queues::DeliveryWorker, 60.0, 300.0);
    Board::new(
        uid::DELIVERY,
        "Delivery",
        Folder::Pulse,
        Subject::Services("delivery_worker|ops_worker"),
        "Do messages reach their receivers, how fast, and what keeps them?",
    )
    .tagged(&["delivery_worker"])
    .row(
        "Are messages delivered?",
        [promises::attempts_that_succeed(), rejected(), dead_now(), promises::latency_now(), oldest_now, busy_now()],
    )
    .row("Are the promises kept?", [promises::burn(&promises::DELIVERY), promises::burn(&promises::LATENCY)])
    .row("How long do they take?", [promises::latency(), latency_by_channel(), promises::latency_heat()])
    .row("What fails, and why?", [outcomes(), failures_by_channel(), dead()])
    .row("Where do they wait?", [depth(), age, in_flight()])
    .row("Does the worker keep up?", [attempts(), attempt_duration(), books(), leases()])
}

fn rejected() -> Panel {
    Panel::stat(
        "Attempts rejected",
        Unit::Ratio,
        "Of all attempts: refused by the receiver, blocked by the egress guard, or impossible by the integration's settings.",
    )
    .ask(
        share(sum(rate(metric("pulse_delivery_attempts_total").like("outcome", REJECTED))), sum(rate("pulse_delivery_attempts_total"))),
        "rejected",
    )
    .bad_above(0.1, 0.5)
    .when_empty("Nothing to deliver")
}

fn dead_now() -> Panel {
    Panel::stat("Jobs given up", Unit::Of("an hour"), "At the present pace. They are dead until somebody replays them: nobody was told.")
        .ask(sum(rate("pulse_delivery_jobs_failed_total")) * 3_600.0, "given up")
        .bad_above(1.0, 60.0)
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

fn latency_by_channel() -> Panel {
    Panel::lines("Device to receiver by channel, 95 %", Unit::Seconds, "One slow kind of receiver does not hold up the others.")
        .ask(quantile_by(&["channel"], 0.95, "pulse_alert_latency_seconds"), "{{channel}}")
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
    let attempt = metric("pulse_processing_duration_seconds").is("service", "delivery_worker").is("operation", "delivery_attempt");
    Panel::lines("Time an attempt takes", Unit::Seconds, "From the connection to the receiver's answer. A click leads to traces.")
        .ask_quantiles(attempt)
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
