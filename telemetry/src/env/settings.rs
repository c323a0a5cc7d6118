//! One typed struct that all variables become.

use std::time::Duration;

use super::batch::BatchSettings;
use super::lookup::{Env, VariableError, invalid, pairs};
use super::otlp::OtlpSettings;
use super::sampler::SamplerSettings;
use super::signal::Signal;

const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
const PROMETHEUS_HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PROMETHEUS_PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const METRIC_TIMEOUT: &str = "OTEL_METRIC_EXPORT_TIMEOUT";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

/// The specification's defaults.
const METRIC_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
const METRIC_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const SPAN_DELAY_DEFAULT: Duration = Duration::from_secs(5);
const RECORD_DELAY_DEFAULT: Duration = Duration::from_secs(1);
const PROMETHEUS_HOST_DEFAULT: &str = "localhost";
const PROMETHEUS_PORT_DEFAULT: u16 = 9464;

/// All that is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// None: not pushed; `/metrics` shows them all the same.
    pub(crate) metrics: Option<MetricsPush>,
    /// None: nothing is recorded.
    pub(crate) traces: Option<TracesPush>,
    /// None: not pushed.
    pub(crate) logs: Option<LogsPush>,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) service_name: Option<String>,
    /// Whether a trace is taken over from callers and handed on.
    pub(crate) propagate: bool,
    /// Where `/metrics` is to be served besides.
    pub(crate) prometheus: Option<(String, u16)>,
}

/// How metrics are pushed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricsPush {
    pub(crate) otlp: OtlpSettings,
    /// Between two pushes.
    pub(crate) interval: Duration,
}

/// How spans are recorded and pushed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TracesPush {
    pub(crate) otlp: OtlpSettings,
    pub(crate) batch: BatchSettings,
    pub(crate) sampler: SamplerSettings,
}

/// How log records are pushed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogsPush {
    pub(crate) otlp: OtlpSettings,
    pub(crate) batch: BatchSettings,
}

impl Env {
    /// Reads everything.
    ///
    /// # Errors
    /// The first variable that is not valid. Of a signal's own only when it is pushed.
    pub(crate) fn settings(&self) -> Result<Settings, VariableError> {
        Ok(Settings {
            metrics: if self.wants(Signal::Metrics)? { Some(self.metrics()?) } else { None },
            traces: if self.wants(Signal::Traces)? { Some(self.traces()?) } else { None },
            logs: if self.wants(Signal::Logs)? { Some(self.logs()?) } else { None },
            resource: self.resource()?,
            service_name: self.get(SERVICE_NAME),
            propagate: self.propagate()?,
            prometheus: self.prometheus()?,
        })
    }

    /// The exporters named decide; where none is named, an endpoint does.
    fn wants(&self, signal: Signal) -> Result<bool, VariableError> {
        if self.flag(&[SDK_DISABLED])? {
            return Ok(false);
        }
        let (known, expected): (&[&str], _) = match signal {
            Signal::Metrics => (&["otlp", "prometheus", "none"], "a list of otlp, prometheus (always on) and none"),
            Signal::Traces | Signal::Logs => (&["otlp", "none"], "otlp or none"),
        };
        let named = self.parsed(&[format!("OTEL_{}_EXPORTER", signal.upper())], expected, |list| {
            let exporters: Vec<_> = list.split(',').map(str::trim).collect();
            exporters.iter().all(|exporter| known.contains(exporter)).then(|| exporters.contains(&"otlp") && !exporters.contains(&"none"))
        })?;
        Ok(named.unwrap_or_else(|| OtlpSettings::has_endpoint(self, signal)))
    }

    fn metrics(&self) -> Result<MetricsPush, VariableError> {
        self.check_temporality()?;
        let timeout = self.millis(&[METRIC_TIMEOUT], METRIC_TIMEOUT_DEFAULT)?;
        let otlp = OtlpSettings::read(self, Signal::Metrics, timeout)?;
        Ok(MetricsPush { otlp, interval: self.millis(&[METRIC_INTERVAL], METRIC_INTERVAL_DEFAULT)? })
    }

    fn traces(&self) -> Result<TracesPush, VariableError> {
        let batch = BatchSettings::read(self, "OTEL_BSP", SPAN_DELAY_DEFAULT)?;
        Ok(TracesPush { otlp: OtlpSettings::read(self, Signal::Traces, batch.timeout)?, batch, sampler: SamplerSettings::read(self)? })
    }

    fn logs(&self) -> Result<LogsPush, VariableError> {
        let batch = BatchSettings::read(self, "OTEL_BLRP", RECORD_DELAY_DEFAULT)?;
        Ok(LogsPush { otlp: OtlpSettings::read(self, Signal::Logs, batch.timeout)?, batch })
    }

    /// Both exporters show the same running totals, so another preference cannot be met; it is not an error, as other programs obey it.
    fn check_temporality(&self) -> Result<(), VariableError> {
        let read = |value: &str| ["cumulative", "delta", "lowmemory"].contains(&value).then_some(value == "cumulative");
        if self.parsed(&[TEMPORALITY], "cumulative", read)? == Some(false) {
            tracing::warn!("{TEMPORALITY} asks for another temporality, but metrics are exported as cumulative, the same as on /metrics");
        }
        Ok(())
    }

    /// W3C trace context is the one that the kit speaks; baggage, which the specification's default holds, is let pass and not carried.
    fn propagate(&self) -> Result<bool, VariableError> {
        let named = self.parsed(&[PROPAGATORS], "a list of tracecontext, baggage (not carried) and none", |list| {
            let named: Vec<_> = list.split(',').map(str::trim).collect();
            let known = named.iter().all(|name| ["tracecontext", "baggage", "none"].contains(name));
            known.then(|| named.contains(&"tracecontext") && !named.contains(&"none"))
        })?;
        Ok(named.unwrap_or(true))
    }

    fn prometheus(&self) -> Result<Option<(String, u16)>, VariableError> {
        let host = self.get(PROMETHEUS_HOST);
        let port = self.parsed(&[PROMETHEUS_PORT], "a port, 1 to 65535", |port| port.parse().ok().filter(|port| *port > 0))?;
        if host.is_none() && port.is_none() {
            return Ok(None);
        }
        Ok(Some((host.unwrap_or_else(|| PROMETHEUS_HOST_DEFAULT.to_owned()), port.unwrap_or(PROMETHEUS_PORT_DEFAULT))))
    }

    fn resource(&self) -> Result<Vec<(String, String)>, VariableError> {
        let Some(list) = self.get(RESOURCE_ATTRIBUTES) else { return Ok(Vec::new()) };
        pairs(&list).ok_or_else(|| invalid(RESOURCE_ATTRIBUTES, list, "key=value pairs, comma between them, values percent-encoded"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::env) fn read(variables: &[(&'static str, &'static str)]) -> Result<Settings, VariableError> {
        let variables = variables.to_vec();
        Env::from_fn(move |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())).settings()
    }

    #[test]
    fn a_signal_is_pushed_when_it_is_asked_for() {
        const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        // Metrics, traces, logs.
        for (variables, on) in [
            (&[][..], [false; 3]),
            (&[ENDPOINT], [true; 3]),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://c:4318/m")], [true, false, false]),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/t")], [false, true, false]),
            (&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://c:4318/l")], [false, false, true]),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], [false; 3]),
            (&[("OTEL_METRICS_EXPORTER", "otlp")], [true, false, false]),
            (&[("OTEL_METRICS_EXPORTER", "prometheus, otlp"), ("OTEL_TRACES_EXPORTER", "OTLP")], [true, true, false]),
            (&[("OTEL_METRICS_EXPORTER", "none"), ENDPOINT], [false, true, true]),
            (&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none"), ENDPOINT], [true, false, false]),
            (&[("OTEL_METRICS_EXPORTER", "prometheus"), ENDPOINT], [false, true, true]),
            (&[("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp")], [false; 3]),
            (&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "not read")], [false; 3]),
            (&[("OTEL_SDK_DISABLED", "false"), ENDPOINT], [true; 3]),
        ] {
            let settings = read(variables).unwrap();
            assert_eq!([settings.metrics.is_some(), settings.traces.is_some(), settings.logs.is_some()], on, "{variables:?}");
        }
    }

    #[test]
    fn metrics_are_pushed_at_their_interval() {
        let interval = |variables| read(variables).unwrap().metrics.unwrap().interval;
        assert_eq!(interval(&[("OTEL_METRICS_EXPORTER", "otlp")]), METRIC_INTERVAL_DEFAULT);
        let set = [("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_METRIC_EXPORT_INTERVAL", "250")];
        assert_eq!(interval(&set), Duration::from_millis(250));
    }

    #[test]
    fn traces_are_carried_on_unless_told_otherwise() {
        for (value, on) in [
            ("", true),
            ("tracecontext,baggage", true),
            ("TraceContext", true),
            ("baggage", false),
            ("none", false),
            ("none,tracecontext", false),
        ] {
            assert_eq!(read(&[("OTEL_PROPAGATORS", value)]).unwrap().propagate, on, "{value}");
        }
    }

    #[test]
    fn metrics_are_served_at_an_address_of_their_own_when_one_is_set() {
        for (variables, at) in [
            (&[][..], None),
            (&[("OTEL_EXPORTER_PROMETHEUS_PORT", "9500")], Some(("localhost", 9500))),
            (&[("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0")], Some(("0.0.0.0", 9464))),
        ] {
            assert_eq!(read(variables).unwrap().prometheus, at.map(|(host, port)| (host.to_owned(), port)), "{variables:?}");
        }
    }

    #[test]
    fn resource_attributes_are_decoded() {
        let settings =
            read(&[("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test, team=a%2Cb%20c,"), ("OTEL_SERVICE_NAME", "x")]);
        let settings = settings.unwrap();
        let wanted = [("deployment.environment.name", "test"), ("team", "a,b c")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(settings.resource, wanted);
        assert_eq!(settings.service_name.as_deref(), Some("x"));
    }

    #[test]
    fn what_is_not_valid_is_named_with_what_would_be_right() {
        for (variable, value, expected) in [
            ("OTEL_SDK_DISABLED", "yes", "true or false"),
            ("OTEL_METRICS_EXPORTER", "console", "otlp, prometheus"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"),
            ("OTEL_LOGS_EXPORTER", "console", "otlp or none"),
            ("OTEL_PROPAGATORS", "b3", "tracecontext, baggage"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "0", "1 to 65535"),
            ("OTEL_RESOURCE_ATTRIBUTES", "novalue", "key=value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=x", "key=value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=%ff", "percent-encoded"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(value) && error.contains(expected), "{error}");
        }
        for (variable, value, expected) in [
            ("OTEL_METRIC_EXPORT_INTERVAL", "-5", "milliseconds"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "monthly", "cumulative"),
        ] {
            let error = read(&[("OTEL_METRICS_EXPORTER", "otlp"), (variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(value) && error.contains(expected), "{error}");
        }
    }
}
