//! Overview: what a person on call opens first.

use super::{LATENCY_BAD, LATENCY_WARN, alerts, delivery, ingest, internals};
use crate::board::{Board, Folder, Of};
use crate::panel::Panel;
use crate::promql::{buckets, count, max, max_by, metric, quantile, quantile_by, rate, share, sum, sum_by};
use crate::unit::Unit;

pub const UID: &str = "pulse-overview";

pub fn board() -> Board {
    Board::new(UID, "Overview", Folder::Pulse, Of::Services(".+"), "Is Pulse working, and if not, which part of it? Start here.")
        .tagged(&["on-call"])
        .row("Is it working?", [unhealthy(), firing(), failing(), delivered(), latency_now(), longest_wait()])
        .row("Do the services do their work?", [operations(), failures(), durations()])
        .row("How long does it take from the device to the receiver?", [latency(), latency_heat()])
        .row("What waits, and where?", [depth(), age(), readings_waiting()])
        .row("What goes through?", [readings(), alerts_changed(), deliveries()])
        .row("How is the fleet?", [devices(), alerts_open(), firing_table()])
}

fn unhealthy() -> Panel {
    Panel::stat("Services that do not answer", Unit::Count, "Services whose /health the ops worker asked and that did not answer well.")
        .ask(count(max_by(&["target"], "pulse_ops_service_up")) - sum(max_by(&["target"], "pulse_ops_service_up")), "not answering")
        .bad_above(1.0, 1.0)
        .more_on(internals::UID)
}

fn firing() -> Panel {
    Panel::stat("Alerts that fire", Unit::Count, "Alert rules of this Prometheus that fire now. The last row names them.")
        .ask(count(metric("ALERTS").is("alertstate", "firing")).or_zero(), "firing")
        .bad_above(1.0, 1.0)
}

fn failing() -> Panel {
    Panel::stat("Operations that fail", Unit::Ratio, "Of all operations of all services, those that ended in an error.")
        .ask(share(sum(rate(metric("pulse_processing_total").is("outcome", "error"))), sum(rate("pulse_processing_total"))), "failing")
        .bad_above(0.01, 0.05)
}

fn delivered() -> Panel {
    Panel::stat(
        "Deliveries that succeed",
        Unit::Ratio,
        "Of the attempts to deliver, those that a receiver acknowledged. What receivers or tenants' settings turned down is left out: no retry mends it.",
    )
    .ask(
        share(
            sum(rate(metric("pulse_delivery_attempts_total").is("outcome", "success"))),
            sum(rate(metric("pulse_delivery_attempts_total").unlike("outcome", "refused|blocked|config"))),
        ),
        "succeeding",
    )
    .bad_below(0.99, 0.9)
    .when_empty("Nothing to deliver")
    .more_on(delivery::UID)
}

fn latency_now() -> Panel {
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

fn longest_wait() -> Panel {
    Panel::stat("Longest wait in a queue", Unit::Seconds, "The age of the oldest item in any queue between two services.")
        .ask(max("pulse_queue_oldest_age_seconds"), "oldest")
        .bad_above(60.0, 300.0)
        .more_on(alerts::UID)
}

fn operations() -> Panel {
    Panel::lines("Operations", Unit::PerSecond, "Operations that ended, whatever their outcome. A loop that stops turning goes to 0.")
        .ask(sum_by(&["service"], rate("pulse_processing_total")), "{{service}}")
        .more_on(internals::UID)
}

fn failures() -> Panel {
    Panel::lines("Operations that fail", Unit::Ratio, "Of a service's operations, those that ended in an error.")
        .ask(
            share(
                sum_by(&["service"], rate(metric("pulse_processing_total").is("outcome", "error"))),
                sum_by(&["service"], rate("pulse_processing_total")),
            ),
            "{{service}}",
        )
        .bad_above(0.01, 0.05)
        .more_on(internals::UID)
}

fn durations() -> Panel {
    Panel::lines(
        "Time an operation takes, 95 %",
        Unit::Seconds,
        "95 of 100 operations of a service took no longer; waiting for work is not in it. A click on a line leads to the service's traces.",
    )
    .ask(quantile_by(&["service"], 0.95, "pulse_processing_duration_seconds"), "{{service}}")
    .traces_of_the_series()
    .more_on(internals::UID)
}

fn latency() -> Panel {
    Panel::lines(
        "Device to receiver",
        Unit::Seconds,
        "From the receipt of a reading to the receiver's acknowledgement of the message about it. 99 in 100 are to arrive within 30 s.",
    )
    .ask(quantile(0.5, "pulse_alert_latency_seconds"), "50 %")
    .ask(quantile(0.95, "pulse_alert_latency_seconds"), "95 %")
    .ask(quantile(0.99, "pulse_alert_latency_seconds"), "99 %")
    .bad_above(LATENCY_WARN, LATENCY_BAD)
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
    .more_on(delivery::UID)
}

fn latency_heat() -> Panel {
    Panel::heat(
        "Device to receiver, every message",
        Unit::Seconds,
        "How many messages took how long. Two bands are two kinds of message, for example first attempts and retries.",
    )
    .ask(buckets("pulse_alert_latency_seconds"), "{{le}}")
    .when_empty("Nothing delivered")
    .traces_of("delivery_worker")
}

fn depth() -> Panel {
    Panel::lines(
        "Items that wait",
        Unit::Count,
        "Counted in the store, all of them. A line that ends means that the queue cannot be counted, not that it is empty.",
    )
    .ask(max_by(&["service", "queue_name"], "pulse_queue_depth"), "{{service}}: {{queue_name}}")
    .more_on(alerts::UID)
}

fn age() -> Panel {
    Panel::lines("Age of the oldest item", Unit::Seconds, "How long the oldest item of each queue has waited; 0 when the queue is empty.")
        .ask(max_by(&["service", "queue_name"], "pulse_queue_oldest_age_seconds"), "{{service}}: {{queue_name}}")
        .bad_above(60.0, 300.0)
        .more_on(alerts::UID)
}

fn readings_waiting() -> Panel {
    Panel::lines(
        "Readings that wait to be written",
        Unit::Count,
        "In ui_api's memory, before the database. Their devices wait for the answer.",
    )
    .ask(sum_by(&["instance"], "pulse_ingest_queue_depth"), "{{instance}}")
    .more_on(ingest::UID)
}

fn readings() -> Panel {
    Panel::lines("Messages of devices", Unit::PerSecond, "Those that are durable, and those that were refused.")
        .ask(sum(rate(metric("pulse_ingest_messages_total").is("result", "accepted"))), "accepted")
        .ask(sum(rate(metric("pulse_ingest_messages_total").is_not("result", "accepted"))), "refused")
        .more_on(ingest::UID)
}

fn alerts_changed() -> Panel {
    Panel::lines("Alerts", Unit::PerSecond, "Opened and closed by evaluation.")
        .ask(sum(rate("pulse_evaluator_alerts_created_total")), "opened")
        .ask(sum(rate("pulse_evaluator_alerts_closed_total")), "closed")
        .more_on(alerts::UID)
}

fn deliveries() -> Panel {
    Panel::lines("Attempts to deliver", Unit::PerSecond, "Those that a receiver acknowledged, and those that failed.")
        .ask(sum(rate(metric("pulse_delivery_attempts_total").is("outcome", "success"))), "succeeded")
        .ask(sum(rate(metric("pulse_delivery_attempts_total").is_not("outcome", "success"))), "failed")
        .more_on(delivery::UID)
}

fn devices() -> Panel {
    Panel::stack("Devices", Unit::Count, "Devices in service by what their messages say of them.")
        .ask(sum_by(&["status"], max_by(&["tenant_id", "status"], "pulse_fleet_devices_by_status")), "{{status}}")
        .more_on(ingest::UID)
}

fn alerts_open() -> Panel {
    Panel::stack("Alerts open", Unit::Count, "Open and acknowledged alerts of each tenant.")
        .ask(max_by(&["tenant_id"], "pulse_fleet_active_alerts"), "{{tenant_id}}")
        .more_on(alerts::UID)
}

fn firing_table() -> Panel {
    const LABELS: &[(&str, &str)] = &[("alertname", "Alert"), ("severity", "Severity"), ("job", "Job")];
    Panel::table("What fires", Unit::Count, LABELS, "Firing", "Alert rules of this Prometheus that fire now, and for how many things each.")
        .ask_if_any(
            sum_by(&["alertname", "severity", "job"], metric("ALERTS").is("alertstate", "firing")),
            "{{alertname}}",
            "nothing fires on a healthy system",
        )
        .when_empty("Nothing fires")
}
