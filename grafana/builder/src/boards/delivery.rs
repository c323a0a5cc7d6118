//! Delivery: are messages delivered, how fast, and what delays them?

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
        "Do messages reach their receivers, how fast, and what delays them?",
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
        "The share of all attempts that the receiver refused, the egress guard blocked, or the integration's settings made impossible. They are not retried.",
    )
    .ask(
        share(sum(rate(metric("pulse_delivery_attempts_total").like("outcome", REJECTED))), sum(rate("pulse_delivery_attempts_total"))),
        "rejected",
    )
    .bad_above(0.1, 0.5)
    .when_empty("Nothing to deliver")
}

fn dead_now() -> Panel {
    Panel::stat("Jobs given up", Unit::Of("an hour"), "At the present rate. A dead job's message reached nobody; it can be replayed.")
        .ask(sum(rate("pulse_delivery_jobs_failed_total")) * 3_600.0, "given up")
        .bad_above(1.0, 60.0)
}

fn busy_now() -> Panel {
    Panel::stat(
        "Places taken",
        Unit::Ratio,
        "The share of the places for deliveries under way that are taken, in the fuller of the two queues.",
    )
    .ask(max(sum_by(&["queue_name"], "pulse_delivery_in_flight") / sum_by(&["queue_name"], "pulse_delivery_concurrency")), "taken")
    .bad_above(0.8, 0.95)
}

fn latency_by_channel() -> Panel {
    Panel::lines(
        "Device to receiver by channel, 95 %",
        Unit::Seconds,
        "95 of 100 messages of each channel were acknowledged within this time. A slow channel does not delay the others.",
    )
    .ask(quantile_by(&["channel"], 0.95, "pulse_alert_latency_seconds"), "{{channel}}")
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}

fn outcomes() -> Panel {
    Panel::stack(
        "Failed attempts, by kind",
        Unit::PerSecond,
        "Attempts that end in timeout, connect, tls and server are retried; refused, blocked and config are not.",
    )
    .ask(sum_by(&["outcome"], rate(metric("pulse_delivery_attempts_total").is_not("outcome", "success"))), "{{outcome}}")
}

fn failures_by_channel() -> Panel {
    Panel::lines("Attempts that fail, by channel", Unit::Ratio, "The share of a channel's attempts that failed, whatever the kind.")
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
        "Jobs given up after their last attempt, or at once when no attempt can succeed; the ten tenants with the most.",
    )
    .ask(top(10, sum_by(&["tenant_id"], rate("pulse_delivery_jobs_failed_total"))), "{{tenant_id}}")
}

fn depth() -> Panel {
    Panel::lines(
        "Jobs that are due",
        Unit::Count,
        "How many jobs are due, counted in the store. Integrations and people's notifications have a queue each.",
    )
    .ask(max_by(&["queue_name"], metric("pulse_queue_depth").is("service", "delivery_worker")), "{{queue_name}}")
}

fn in_flight() -> Panel {
    Panel::lines(
        "Deliveries under way",
        Unit::Count,
        "How many deliveries are under way at each scrape. At the limit, jobs wait for slow receivers.",
    )
    .ask(sum_by(&["queue_name"], "pulse_delivery_in_flight"), "{{queue_name}}")
    .ask_limit(sum_by(&["queue_name"], "pulse_delivery_concurrency"), "{{queue_name}}, at most")
}

fn attempts() -> Panel {
    Panel::lines("Attempts, by channel", Unit::PerSecond, "All attempts, whatever their outcome.")
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
        "Time to claim and to record, 95 %",
        Unit::Seconds,
        "How long the store takes for 95 of 100 claims of jobs and records of attempts.",
    )
    .ask(quantile_by(&["operation"], 0.95, books), "{{operation}}")
    .traces_of("delivery_worker")
}

fn leases() -> Panel {
    Panel::lines(
        "Leases that expired",
        Unit::PerSecond,
        "Attempts that took longer than their job's lease, and jobs returned to the queue because their worker did not finish them. Such messages may arrive twice.",
    )
    .ask(sum(rate("pulse_delivery_leases_lost_total")), "before the attempt ended")
    .ask(sum(rate("pulse_ops_job_leases_expired_total")), "returned to the queue")
}
