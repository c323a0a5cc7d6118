//! Overview: what a person on call opens first.

use super::queue_age::{self, Queues};
use super::{alerts, fleet, ingest, promises, uid};
use crate::board::{Board, Folder};
use crate::panel::Panel;
use crate::promql::{count, max_by, metric, quantile_by, rate, share, sum, sum_by};
use crate::subject::Subject;
use crate::unit::Unit;

pub fn board() -> Board {
    let delivered = promises::attempts_that_succeed().more_on(uid::DELIVERY);
    let longest_wait = queue_age::now(Queues::All, 60.0, 300.0).more_on(uid::ALERTS);
    let age = queue_age::over_time(Queues::All, 60.0, 300.0).more_on(uid::ALERTS);
    Board::new(
        uid::OVERVIEW,
        "Overview",
        Folder::Pulse,
        Subject::Services(".+"),
        "Is Pulse working, and if not, which part of it? Start here.",
    )
    .tagged(&["on-call"])
    .row("Is it working?", [unhealthy(), firing(), failing(), delivered, promises::latency_now(), longest_wait])
    .row("Do the services make progress?", [operations(), failures(), durations()])
    .row("How long does it take from the device to the receiver?", [promises::latency().more_on(uid::DELIVERY), promises::latency_heat()])
    .row("What waits, and where?", [depth(), age, ingest::waiting().more_on(uid::INGEST)])
    .row("What goes through?", [readings(), alerts::opened_and_closed().more_on(uid::ALERTS), deliveries()])
    .row("How is the fleet?", [fleet::devices().more_on(uid::INGEST), fleet::alerts_open().more_on(uid::ALERTS), firing_table()])
}

fn unhealthy() -> Panel {
    Panel::stat("Services that do not answer", Unit::Count, "Services that gave the ops worker an error or no answer on /health.")
        .ask(count(max_by(&["target"], "pulse_ops_service_up")) - sum(max_by(&["target"], "pulse_ops_service_up")), "not answering")
        .bad_above(1.0, 1.0)
        .more_on(uid::INTERNALS)
}

fn firing() -> Panel {
    Panel::stat("Alerts that fire", Unit::Count, "How many alerts of this Prometheus fire now. The last row names them.")
        .ask(count(metric("ALERTS").is("alertstate", "firing")).or_zero(), "firing")
        .bad_above(1.0, 1.0)
}

fn failing() -> Panel {
    Panel::stat("Operations that fail", Unit::Ratio, "The share of all services' operations that ended in an error.")
        .ask(share(sum(rate(metric("pulse_processing_total").is("outcome", "error"))), sum(rate("pulse_processing_total"))), "failing")
        .bad_above(0.01, 0.05)
}

fn operations() -> Panel {
    Panel::lines("Operations", Unit::PerSecond, "Operations that ended, whatever their outcome. A loop that has stopped falls to 0.")
        .ask(sum_by(&["service"], rate("pulse_processing_total")), "{{service}}")
        .more_on(uid::INTERNALS)
}

fn failures() -> Panel {
    Panel::lines("Operations that fail", Unit::Ratio, "The share of a service's operations that ended in an error.")
        .ask(
            share(
                sum_by(&["service"], rate(metric("pulse_processing_total").is("outcome", "error"))),
                sum_by(&["service"], rate("pulse_processing_total")),
            ),
            "{{service}}",
        )
        .bad_above(0.01, 0.05)
        .more_on(uid::INTERNALS)
}

fn durations() -> Panel {
    Panel::lines(
        "Time an operation takes, 95 %",
        Unit::Seconds,
        "95 of 100 operations of a service took no longer; waiting for work is not included. A click on a line leads to the service's traces.",
    )
    .ask(quantile_by(&["service"], 0.95, "pulse_processing_duration_seconds"), "{{service}}")
    .traces_of_the_series()
    .more_on(uid::INTERNALS)
}

fn depth() -> Panel {
    Panel::lines(
        "Items that wait",
        Unit::Count,
        "How many items wait in each queue, counted in the store. A line that ends means that the queue cannot be counted, not that it is empty.",
    )
    .ask(max_by(&["service", "queue_name"], "pulse_queue_depth"), "{{service}}: {{queue_name}}")
    .more_on(uid::ALERTS)
}

fn readings() -> Panel {
    Panel::lines("Messages of devices", Unit::PerSecond, "Messages that were made durable, and messages that were refused.")
        .ask(sum(rate(metric("pulse_ingest_messages_total").is("result", "accepted"))), "accepted")
        .ask(sum(rate(metric("pulse_ingest_messages_total").is_not("result", "accepted"))), "refused")
        .more_on(uid::INGEST)
}

fn deliveries() -> Panel {
    Panel::lines("Attempts to deliver", Unit::PerSecond, "Attempts that a receiver acknowledged, and attempts that failed.")
        .ask(sum(rate(metric("pulse_delivery_attempts_total").is("outcome", "success"))), "succeeded")
        .ask(sum(rate(metric("pulse_delivery_attempts_total").is_not("outcome", "success"))), "failed")
        .more_on(uid::DELIVERY)
}

fn firing_table() -> Panel {
    const LABELS: &[(&str, &str)] = &[("alertname", "Alert"), ("severity", "Severity"), ("job", "Job")];
    Panel::table("What fires", Unit::Count, LABELS, "Firing", "The alerts of this Prometheus that fire now, and how many times each.")
        .ask_if_any(
            sum_by(&["alertname", "severity", "job"], metric("ALERTS").is("alertstate", "firing")),
            "{{alertname}}",
            "nothing fires on a healthy system",
        )
        .when_empty("Nothing fires")
}
