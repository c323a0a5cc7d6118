//! Every `OTEL_*` variable that the kit reads, as its documentation tells it. A test holds the list against what is really read.

/// One variable, for documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whether each signal has one of its own as well, which wins: `OTEL_EXPORTER_OTLP_TRACES_…`, `…_METRICS_…`, `…_LOGS_…`.
    pub per_signal: bool,
    /// What holds when it is unset or empty.
    pub default: &'static str,
    /// What it does, and which values it takes.
    pub effect: &'static str,
}

const fn plain(name: &'static str, default: &'static str, effect: &'static str) -> Variable {
    Variable { name, per_signal: false, default, effect }
}

const fn each(name: &'static str, default: &'static str, effect: &'static str) -> Variable {
    Variable { name, per_signal: true, default, effect }
}

/// All of them. A value that is not valid stops [`init`](crate::TelemetryBuilder::init) with an error that says what would be right.
pub static VARIABLES: &[Variable] = &[
    plain("OTEL_SDK_DISABLED", "`false`", "`true`: nothing is pushed and no span is recorded. `/metrics` stays."),
    plain(
        "OTEL_METRICS_EXPORTER",
        "`otlp` when an endpoint is set",
        "A list of `otlp` (pushed), `prometheus` (always on, as `/metrics` is served anyway) and `none` (not pushed).",
    ),
    plain(
        "OTEL_TRACES_EXPORTER",
        "`otlp` when an endpoint is set",
        "`otlp` or `none`. Without it no span is recorded; traces are carried on.",
    ),
    plain("OTEL_LOGS_EXPORTER", "`otlp` when an endpoint is set", "`otlp` or `none`. Log lines on standard error are not touched by it."),
    each(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "`http://localhost:4318`, for grpc `http://localhost:4317`",
        "The collector. Over HTTP it is a base to which `/v1/traces`, `/v1/metrics` or `/v1/logs` is added; a signal's own is taken as it is. One that is set turns its push on.",
    ),
    each("OTEL_EXPORTER_OTLP_PROTOCOL", "`http/protobuf`", "`http/protobuf` or `grpc`, whatever the port."),
    each(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "none",
        "`name=value` pairs with commas between, values percent-encoded. Secrets: they are shown nowhere.",
    ),
    each("OTEL_EXPORTER_OTLP_TIMEOUT", "`10000`", "Milliseconds that one push may take, its retries included."),
    each("OTEL_EXPORTER_OTLP_COMPRESSION", "`none`", "`gzip` or `none`."),
    each("OTEL_EXPORTER_OTLP_INSECURE", "`false`", "`true`: no TLS, for a grpc endpoint without `http://` or `https://`."),
    each("OTEL_EXPORTER_OTLP_CERTIFICATE", "the usual authorities", "A PEM file: who may have signed the collector's certificate."),
    each("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "none", "A PEM file: the certificate shown to the collector. Needs the key too."),
    each("OTEL_EXPORTER_OTLP_CLIENT_KEY", "none", "A PEM file: that certificate's key."),
    plain(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "`cumulative`",
        "`delta` and `lowmemory` are understood but not followed, and the log says so: metrics are always cumulative.",
    ),
    plain("OTEL_METRIC_EXPORT_INTERVAL", "`60000`", "Milliseconds between two pushes of metrics."),
    plain(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "`30000`",
        "Milliseconds that a push of metrics may take; the shorter of this and the exporter's holds.",
    ),
    plain("OTEL_BSP_SCHEDULE_DELAY", "`5000`", "Milliseconds that a span waits at most before its push."),
    plain("OTEL_BSP_MAX_QUEUE_SIZE", "`2048`", "Spans that may wait; more are dropped and counted."),
    plain("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "`512`", "Spans in one push, at most the queue's size."),
    plain(
        "OTEL_BSP_EXPORT_TIMEOUT",
        "`30000`",
        "Milliseconds that a push of spans may take; the shorter of this and the exporter's holds.",
    ),
    plain("OTEL_BLRP_SCHEDULE_DELAY", "`1000`", "Milliseconds that a log record waits at most before its push."),
    plain("OTEL_BLRP_MAX_QUEUE_SIZE", "`2048`", "Log records that may wait; more are dropped and counted."),
    plain("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "`512`", "Log records in one push, at most the queue's size."),
    plain(
        "OTEL_BLRP_EXPORT_TIMEOUT",
        "`30000`",
        "Milliseconds that a push of log records may take; the shorter of this and the exporter's holds.",
    ),
    plain(
        "OTEL_TRACES_SAMPLER",
        "`parentbased_always_on`",
        "Which traces are recorded: `always_on`, `always_off`, `traceidratio`, or each with `parentbased_` before it, which follows the caller's decision.",
    ),
    plain("OTEL_TRACES_SAMPLER_ARG", "`1.0`", "The share of traces that `traceidratio` records, from 0 to 1."),
    plain(
        "OTEL_PROPAGATORS",
        "`tracecontext,baggage`",
        "A list of `tracecontext`, `baggage` (let pass, not carried) and `none`. Without `tracecontext` no caller's trace is taken over and none is handed on.",
    ),
    plain(
        "OTEL_RESOURCE_ATTRIBUTES",
        "none",
        "`name=value` pairs, values percent-encoded, added to what is pushed, but never as the service's name.",
    ),
    plain(
        "OTEL_SERVICE_NAME",
        "the service's own name",
        "The resource's `service.name`, where one process is one service. Of several in one process all would get it, so there it is passed over.",
    ),
    plain(
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "`localhost`",
        "With the port: an address at which `/metrics`, `/health` and `/ready` are served besides. Unless one of the two is set there is none.",
    ),
    plain("OTEL_EXPORTER_PROMETHEUS_PORT", "`9464`", "The port of that address."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::super::lookup::Env;
    use super::super::signal::Signal;
    use super::*;

    /// The names that are looked up when everything is on.
    fn read_names() -> BTreeSet<String> {
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        // Twice: what one value of a variable hides, another shows.
        for protocol in ["grpc", "http/protobuf"] {
            let names = Arc::clone(&seen);
            let env = Env::from_fn(move |name| {
                names.lock().unwrap().insert(name.to_owned());
                let value = match name {
                    "OTEL_METRICS_EXPORTER" | "OTEL_TRACES_EXPORTER" | "OTEL_LOGS_EXPORTER" => "otlp",
                    "OTEL_EXPORTER_OTLP_PROTOCOL" => protocol,
                    "OTEL_EXPORTER_OTLP_ENDPOINT" if protocol == "grpc" => "collector:4317",
                    "OTEL_TRACES_SAMPLER" => "traceidratio",
                    _ => return None,
                };
                Some(value.to_owned())
            });
            env.settings().unwrap();
        }
        Arc::into_inner(seen).unwrap().into_inner().unwrap()
    }

    #[test]
    fn the_list_is_what_is_read() {
        let own = |variable: &Variable, signal: Signal| variable.name.replace("_OTLP_", &format!("_OTLP_{}_", signal.upper()));
        let listed: BTreeSet<String> = VARIABLES
            .iter()
            .flat_map(|variable| {
                let signals = Signal::ALL.iter().filter(|_| variable.per_signal).map(move |signal| own(variable, *signal));
                signals.chain([variable.name.to_owned()])
            })
            .collect();
        assert_eq!(listed, read_names());
    }
}
