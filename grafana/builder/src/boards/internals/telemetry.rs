//! The panels about telemetry itself: whether metrics can be trusted, and whether what is pushed arrives.

use crate::panel::Panel;
use crate::promql::{Expr, max_by, metric, rate, since, sum_by};
use crate::unit::Unit;

const NOT_PUSHED: &str = "only of signals that are pushed over OTLP";

/// Whether what /metrics says can be trusted.
pub(super) fn metrics() -> Vec<Panel> {
    vec![scrape_duration(), scrape_size(), label_values(), overflows(), panics(), suppressed()]
}

/// Whether what is pushed over OTLP arrives.
pub(super) fn pushed() -> Vec<Panel> {
    vec![exports(), last_export(), dropped()]
}

fn scrape_duration() -> Panel {
    Panel::lines(
        "Time a scrape takes",
        Unit::Seconds,
        "How long it took to collect and write the previous answer of /metrics. Prometheus gives up after ten seconds.",
    )
    .ask(max_by(&["service", "instance"], "pulse_telemetry_scrape_duration_seconds"), "{{service}} {{instance}}")
    .bad_above(0.5, 2.5)
}

fn scrape_size() -> Panel {
    Panel::lines(
        "Size of a scrape",
        Unit::Bytes,
        "The size of the previous answer of /metrics. It grows only with the number of tenants and paths.",
    )
    .ask(max_by(&["service", "instance"], "pulse_telemetry_scrape_size_bytes"), "{{service}} {{instance}}")
}

fn label_values() -> Panel {
    Panel::lines(
        "Tenants with series of their own",
        Unit::Count,
        "How many values of an open label have series of their own. A budget limits them.",
    )
    .ask(max_by(&["service", "label"], "pulse_telemetry_label_values"), "{{service}}: {{label}}")
}

fn overflows() -> Panel {
    Panel::lines(
        "Recorded under _other",
        Unit::PerSecond,
        "Recordings under _other because the label's budget was used up. The log names the first values that found no place.",
    )
    .ask(sum_by(&["service", "label"], rate("pulse_telemetry_label_overflows_total")), "{{service}}: {{label}}")
}

fn panics() -> Panel {
    Panel::lines(
        "Gauges that could not be read",
        Unit::PerSecond,
        "Callbacks that panicked, so that their series are absent. It is an error in Pulse.",
    )
    .ask(sum_by(&["service"], rate("pulse_telemetry_callback_panics_total")), "{{service}}")
}

fn suppressed() -> Panel {
    Panel::lines(
        "Log records held back",
        Unit::PerSecond,
        "Log records held back because the same place in the code logged too many in a short time.",
    )
    .ask(sum_by(&["service"], rate("pulse_telemetry_logs_suppressed_total")), "{{service}}")
}

fn exports() -> Panel {
    Panel::lines("Pushes, by signal and outcome", Unit::PerSecond, "Metrics, traces and logs pushed to the collector.")
        .ask_if_any(sum_by(&["signal", "outcome"], rate("pulse_telemetry_exports_total")), "{{signal}} {{outcome}}", NOT_PUSHED)
        .when_empty("Nothing is pushed")
}

fn last_export() -> Panel {
    let last = Expr::from(metric("pulse_telemetry_last_export_timestamp_seconds")).above(0.0);
    Panel::lines(
        "Since the last push",
        Unit::Seconds,
        "How long ago the last push succeeded. Metrics are pushed every minute, unless set otherwise; traces and logs when there are any.",
    )
    .ask_if_any(since(max_by(&["service", "signal"], last)), "{{service}}: {{signal}}", NOT_PUSHED)
    .when_empty("Nothing is pushed")
}

fn dropped() -> Panel {
    Panel::lines(
        "Spans and log records lost",
        Unit::PerSecond,
        "queue_full: they were made faster than they could be pushed; export: their push failed. Metrics are totals and lose nothing by a failed push.",
    )
    .ask_if_any(
        sum_by(&["service", "signal", "reason"], rate("pulse_telemetry_items_dropped_total")),
        "{{service}}: {{signal}} {{reason}}",
        NOT_PUSHED,
    )
    .when_empty("Nothing is pushed")
}
