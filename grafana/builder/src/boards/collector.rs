//! The collector: does it accept, keep and pass on what services push?

use super::uid;
use crate::board::{Board, Folder};
use crate::panel::Panel;
use crate::promql::{Expr, max, max_by, min, rate, rate_of_count, rate_of_sum, share, sum, sum_by};
use crate::subject::Subject;
use crate::unit::Unit;

/// The collector counts each signal's items under names of their own.
struct Signal {
    items: &'static str,
    /// Why a healthy system may push none.
    may_be_none: Option<&'static str>,
    accepted: &'static str,
    refused: &'static str,
    failed: &'static str,
    sent: &'static str,
    send_failed: &'static str,
    enqueue_failed: &'static str,
}

const SIGNALS: [Signal; 3] = [
    Signal {
        items: "metric points",
        may_be_none: None,
        accepted: "otelcol_receiver_accepted_metric_points",
        refused: "otelcol_receiver_refused_metric_points",
        failed: "otelcol_receiver_failed_metric_points",
        sent: "otelcol_exporter_sent_metric_points",
        send_failed: "otelcol_exporter_send_failed_metric_points",
        enqueue_failed: "otelcol_exporter_enqueue_failed_metric_points",
    },
    Signal {
        items: "spans",
        may_be_none: None,
        accepted: "otelcol_receiver_accepted_spans",
        refused: "otelcol_receiver_refused_spans",
        failed: "otelcol_receiver_failed_spans",
        sent: "otelcol_exporter_sent_spans",
        send_failed: "otelcol_exporter_send_failed_spans",
        enqueue_failed: "otelcol_exporter_enqueue_failed_spans",
    },
    Signal {
        items: "log records",
        may_be_none: Some("a healthy system logs next to nothing"),
        accepted: "otelcol_receiver_accepted_log_records",
        refused: "otelcol_receiver_refused_log_records",
        failed: "otelcol_receiver_failed_log_records",
        sent: "otelcol_exporter_sent_log_records",
        send_failed: "otelcol_exporter_send_failed_log_records",
        enqueue_failed: "otelcol_exporter_enqueue_failed_log_records",
    },
];

pub fn board() -> Board {
    Board::new(
        uid::COLLECTOR,
        "Collector",
        Folder::Internals,
        Subject::Collector,
        "Does the OpenTelemetry Collector accept, keep and pass on what services push?",
    )
    .tagged(&["telemetry"])
    .row("Is it working?", [uptime(), refused_now(), fill_now(), memory_now()])
    .row("Does it accept what is pushed?", [accepted(), refused(), failed()])
    .row("Does it pass it on?", [sent(), send_failed(), enqueue_failed()])
    .row("Where does it wait?", [fill(), in_flight(), batches(), swallowed()])
    .row("Has it enough resources?", [cpu(), memory()])
}

/// One query a signal.
fn each(panel: Panel, name: &str, query: impl Fn(&Signal) -> Expr) -> Panel {
    SIGNALS.iter().fold(panel, |panel, signal| {
        let legend = format!("{name}{}", signal.items);
        match signal.may_be_none {
            None => panel.ask(query(signal), legend),
            Some(reason) => panel.ask_if_any(query(signal), legend, reason),
        }
    })
}

fn received(panel: Panel, counter: impl Fn(&Signal) -> &'static str) -> Panel {
    each(panel, "{{receiver}}: ", |signal| sum_by(&["receiver"], rate(counter(signal))))
}

fn sent_of(signal: &Signal) -> Expr {
    sum_by(&["exporter"], rate(signal.sent))
}

/// The collector shows a failure's counter only from the first failure on; until then the panel shows 0 where something was sent.
fn failures(panel: Panel, counter: impl Fn(&Signal) -> &'static str) -> Panel {
    each(panel, "{{exporter}}: ", |signal| sum_by(&["exporter"], rate(counter(signal))).or(sent_of(signal) * 0.0))
}

fn uptime() -> Panel {
    Panel::stat("Since the start", Unit::Seconds, "The uptime of the collector that started last.")
        .ask(min("otelcol_process_uptime"), "since")
}

fn refused_now() -> Panel {
    let panel = Panel::stat(
        "Refused",
        Unit::Ratio,
        "The share of pushed items that the collector refuses because its memory or a queue is full. Services retry.",
    )
    .bad_above(0.001, 0.01);
    each(panel, "", |signal| {
        let (refused, accepted) = (sum(rate(signal.refused)), sum(rate(signal.accepted)));
        share(refused.clone(), accepted + refused)
    })
}

fn fill_now() -> Panel {
    Panel::stat(
        "Fullest queue",
        Unit::Ratio,
        "How full the fullest exporter's queue on disk is. When it is full, new items are refused or lost.",
    )
    .ask(max(Expr::from("otelcol_exporter_queue_size") / "otelcol_exporter_queue_capacity"), "full")
    .bad_above(0.5, 0.8)
}

fn memory_now() -> Panel {
    Panel::stat("Resident memory", Unit::Bytes, "The memory of the collector that uses the most. Above its limit it refuses new items.")
        .ask(max("otelcol_process_memory_rss"), "memory")
}

fn accepted() -> Panel {
    received(
        Panel::lines("Accepted", Unit::PerSecond, "Metric points, spans and log records that receivers accepted, per second."),
        |signal| signal.accepted,
    )
}

fn refused() -> Panel {
    received(Panel::lines("Refused", Unit::PerSecond, "Items refused because there is no room. The sender is told to retry."), |signal| {
        signal.refused
    })
}

fn failed() -> Panel {
    received(
        Panel::lines("Failed inside", Unit::PerSecond, "Items not accepted because of an internal error of the collector."),
        |signal| signal.failed,
    )
}

fn sent() -> Panel {
    let description = "Items that each exporter sent. When far fewer are sent than accepted, the rest waits on disk.";
    each(Panel::lines("Passed on", Unit::PerSecond, description), "{{exporter}}: ", sent_of)
}

fn send_failed() -> Panel {
    let description = "Items lost because the backend rejected them permanently; everything else is retried without end.";
    failures(Panel::lines("Given up", Unit::PerSecond, description), |signal| signal.send_failed)
}

fn enqueue_failed() -> Panel {
    failures(Panel::lines("Found no room in the queue", Unit::PerSecond, "Items lost because an exporter's queue was full."), |signal| {
        signal.enqueue_failed
    })
}

fn fill() -> Panel {
    let per = &["exporter", "data_type"];
    Panel::lines("Queues on disk", Unit::Ratio, "How full each exporter's queue is. It fills while the backend does not answer.")
        .ask(max_by(per, Expr::from("otelcol_exporter_queue_size") / "otelcol_exporter_queue_capacity"), "{{exporter}}: {{data_type}}")
        .bad_above(0.5, 0.8)
}

fn in_flight() -> Panel {
    Panel::lines("Requests under way", Unit::Count, "Requests of each exporter that wait for the backend's answer or for a retry.")
        .ask(sum_by(&["exporter", "data_type"], "otelcol_exporter_in_flight_requests"), "{{exporter}}: {{data_type}}")
}

fn batches() -> Panel {
    let size = "otelcol_processor_batch_batch_send_size";
    Panel::lines("Size of a batch", Unit::Of("items"), "The average size of a batch. Small batches mean many requests.")
        .ask(sum_by(&["processor"], rate_of_sum(size)) / sum_by(&["processor"], rate_of_count(size)), "{{processor}}")
}

fn swallowed() -> Panel {
    let per = &["processor", "otel_signal"];
    Panel::lines("Swallowed by processors", Unit::PerSecond, "Items that went into a processor and did not come out of it.").ask(
        sum_by(per, rate("otelcol_processor_incoming_items")) - sum_by(per, rate("otelcol_processor_outgoing_items")),
        "{{processor}}: {{otel_signal}}",
    )
}

fn cpu() -> Panel {
    Panel::lines("Processor", Unit::Of("cores"), "The processor time that each collector uses.")
        .ask(sum_by(&["instance"], rate("otelcol_process_cpu_seconds")), "{{instance}}")
}

fn memory() -> Panel {
    Panel::lines("Memory", Unit::Bytes, "Resident memory, and the part of it that is on the program's heap.")
        .ask(max_by(&["instance"], "otelcol_process_memory_rss"), "{{instance}} resident")
        .ask(max_by(&["instance"], "otelcol_process_runtime_heap_alloc_bytes"), "{{instance}} heap")
}
