//! Ingest and devices: HTTP requests, the readings that they bring, and which are refused.

use super::{fleet, uid};
use crate::board::{Board, Folder};
use crate::panel::Panel;
use crate::promql::{metric, quantile, quantile_by, rate, share, sum, sum_by, top};
use crate::subject::Subject;
use crate::unit::Unit;

const WRITE: &str = "pulse_processing_duration_seconds";

pub fn board() -> Board {
    Board::new(
        uid::INGEST,
        "Ingest and devices",
        Folder::Pulse,
        Subject::Services("ui_api"),
        "Are the readings of devices accepted, and if not, whose are refused and why?",
    )
    .tagged(&["ui_api"])
    .row("Are readings accepted?", [accepted_now(), refused_now(), dropped_now(), errors_now(), latency_now(), waiting_now()])
    .row("Which messages are refused, and why?", [by_result(), by_tenant(), by_reason(), dropped()])
    .row("How does HTTP do?", [requests(), errors(), latency_by_path(), latency()])
    .row("How long until a reading is durable?", [write_duration(), writes(), waiting()])
    .row("How is the fleet?", [fleet::devices().more_on(uid::OVERVIEW), fleet::alerts_open().more_on(uid::ALERTS)])
}

fn accepted_now() -> Panel {
    Panel::stat("Messages accepted", Unit::PerSecond, "Messages of devices that were made durable.")
        .ask(sum(rate(metric("pulse_ingest_messages_total").is("result", "accepted"))), "accepted")
}

fn refused_now() -> Panel {
    Panel::stat("Messages refused", Unit::Ratio, "The share of the devices' messages that were refused, whatever the reason.")
        .ask(
            share(sum(rate(metric("pulse_ingest_messages_total").is_not("result", "accepted"))), sum(rate("pulse_ingest_messages_total"))),
            "refused",
        )
        .bad_above(0.02, 0.1)
        .when_empty("No messages")
}

fn dropped_now() -> Panel {
    Panel::stat("Readings refused, queue full", Unit::PerSecond, "Readings answered with 503 because too many waited for the database.")
        .ask(sum(rate("pulse_ingest_records_dropped_total")), "refused")
        .bad_above(0.001, 1.0)
}

fn errors_now() -> Panel {
    Panel::stat("Requests that fail", Unit::Ratio, "The share of all requests that were answered with a 5xx, an error of Pulse's own.")
        .ask(
            share(sum(rate(metric("pulse_http_requests_total").like("status_code", "5.."))), sum(rate("pulse_http_requests_total"))),
            "5xx",
        )
        .bad_above(0.01, 0.05)
        .when_empty("No requests")
}

fn latency_now() -> Panel {
    Panel::stat("Answer to a device, 95 %", Unit::Seconds, "95 of 100 messages of devices are durable and answered within this time.")
        .ask(quantile(0.95, metric("pulse_http_request_duration_seconds").like("path_template", "/ingest/.+")), "95 %")
        .bad_above(0.5, 2.5)
        .when_empty("No messages")
        .traces_of("ui_api")
}

fn waiting_now() -> Panel {
    Panel::stat("Readings that wait", Unit::Count, "Readings in ui_api's memory that wait to be written, the ones being written included.")
        .ask(sum("pulse_ingest_queue_depth"), "waiting")
}

fn by_result() -> Panel {
    Panel::lines("Messages refused, by reason", Unit::PerSecond, "Messages that were not accepted, by what is wrong with them.")
        .ask(sum_by(&["result"], rate(metric("pulse_ingest_messages_total").is_not("result", "accepted"))), "{{result}}")
}

fn by_tenant() -> Panel {
    Panel::lines(
        "Messages accepted, by tenant",
        Unit::PerSecond,
        "The ten tenants that send the most. _other is the sum of the tenants beyond the budget of series.",
    )
    .ask(top(10, sum_by(&["tenant_id"], rate(metric("pulse_ingest_messages_total").is("result", "accepted")))), "{{tenant_id}}")
}

fn by_reason() -> Panel {
    Panel::lines(
        "Tokens refused, by reason",
        Unit::PerSecond,
        "Requests of devices and people whose token is missing, wrong or made for another purpose. A sudden rise means an attack or a changed token.",
    )
    .ask(sum_by(&["reason"], rate("pulse_auth_failures_total")), "{{reason}}")
}

fn dropped() -> Panel {
    Panel::lines(
        "Readings refused, queue full",
        Unit::PerSecond,
        "Readings answered with 503 and Retry-After before they were accepted, because the database does not keep up.",
    )
    .ask(sum_by(&["instance"], rate("pulse_ingest_records_dropped_total")), "{{instance}}")
}

fn requests() -> Panel {
    Panel::stack("Requests, by status", Unit::RequestsPerSecond, "All requests. 499 means that the client left before the answer.")
        .ask(sum_by(&["status_code"], rate("pulse_http_requests_total")), "{{status_code}}")
}

fn errors() -> Panel {
    Panel::lines("Requests that fail, by path", Unit::Ratio, "The share of the requests to a path that were answered with a 5xx.")
        .ask(
            share(
                sum_by(&["path_template"], rate(metric("pulse_http_requests_total").like("status_code", "5.."))),
                sum_by(&["path_template"], rate("pulse_http_requests_total")),
            ),
            "{{path_template}}",
        )
        .bad_above(0.01, 0.05)
        .traces_of("ui_api")
}

fn latency_by_path() -> Panel {
    Panel::lines("Time to answer by path, 95 %", Unit::Seconds, "From a request's head to its answer's head, for 95 of 100 requests.")
        .ask(quantile_by(&["method", "path_template"], 0.95, "pulse_http_request_duration_seconds"), "{{method}} {{path_template}}")
        .traces_of("ui_api")
}

fn latency() -> Panel {
    let doors = metric("pulse_http_request_duration_seconds").like("path_template", "/ingest/.+");
    Panel::lines("Answer to a device", Unit::Seconds, "From a message's head to the answer that it is durable.")
        .ask_quantiles(doors)
        .when_empty("No messages")
        .traces_of("ui_api")
}

fn write_duration() -> Panel {
    let write = metric(WRITE).is("service", "ui_api").is("operation", "ingest_write");
    Panel::lines("Time a write takes", Unit::Seconds, "One write commits the readings of many requests.")
        .ask_quantiles(write)
        .when_empty("No writes")
        .traces_of("ui_api")
}

fn writes() -> Panel {
    Panel::lines(
        "Writes, by outcome",
        Unit::PerSecond,
        "Commits of readings. Readings that an error leaves unwritten are answered with a 5xx.",
    )
    .ask(
        sum_by(&["outcome"], rate(metric("pulse_processing_total").is("service", "ui_api").is("operation", "ingest_write"))),
        "{{outcome}}",
    )
}

pub(super) fn waiting() -> Panel {
    Panel::lines(
        "Readings that wait to be written",
        Unit::Count,
        "Readings in ui_api's memory, the ones being written included. Their devices wait for the answer.",
    )
    .ask(sum_by(&["instance"], "pulse_ingest_queue_depth"), "{{instance}}")
}
