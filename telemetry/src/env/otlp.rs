//! `OTEL_EXPORTER_OTLP_*` for one signal.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::lookup::{Env, VariableError, invalid, pairs};
use super::signal::Signal;

/// The specification's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Where one signal is pushed and how.
#[derive(Clone, PartialEq)]
pub(crate) struct OtlpSettings {
    pub(crate) protocol: Protocol,
    /// With the path, for HTTP.
    pub(crate) endpoint: Uri,
    /// Of one push, all its tries together.
    pub(crate) timeout: Duration,
    /// Secrets: not for Debug.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) gzip: bool,
    pub(crate) tls: TlsFiles,
}

impl std::fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtlpSettings").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    HttpProtobuf,
}

/// PEM files.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TlsFiles {
    /// Who may have signed the collector's certificate; the usual authorities when none.
    pub(crate) authority: Option<PathBuf>,
    /// Our certificate and its key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// The names of an option: the signal's own, which wins, and the common one.
pub(super) fn names(signal: Signal, option: &str) -> [String; 2] {
    [format!("OTEL_EXPORTER_OTLP_{}_{option}", signal.upper()), format!("OTEL_EXPORTER_OTLP_{option}")]
}

impl OtlpSettings {
    /// Whether an endpoint for the signal, or for all, is set: that turns its push on where no exporter is named.
    pub(super) fn has_endpoint(env: &Env, signal: Signal) -> bool {
        env.first(&names(signal, "ENDPOINT")).is_some()
    }

    /// `within`: what else bounds a push of this signal.
    pub(super) fn read(env: &Env, signal: Signal, within: Duration) -> Result<Self, VariableError> {
        let protocol = protocol(env, signal)?;
        Ok(Self {
            protocol,
            endpoint: endpoint(env, signal, protocol)?,
            timeout: env.millis(&names(signal, "TIMEOUT"), TIMEOUT_DEFAULT)?.min(within),
            headers: headers(env, signal)?,
            gzip: gzip(env, signal)?,
            tls: tls_files(env, signal)?,
        })
    }
}

fn protocol(env: &Env, signal: Signal) -> Result<Protocol, VariableError> {
    let read = |value: &str| match value {
        "grpc" => Some(Protocol::Grpc),
        "http/protobuf" => Some(Protocol::HttpProtobuf),
        _ => None,
    };
    Ok(env.parsed(&names(signal, "PROTOCOL"), "grpc or http/protobuf", read)?.unwrap_or(Protocol::HttpProtobuf))
}

/// A signal's own endpoint is taken as it is; the common one is a base to which HTTP adds a path. gRPC may leave the scheme out.
fn endpoint(env: &Env, signal: Signal, protocol: Protocol) -> Result<Uri, VariableError> {
    const EXPECTED: &str = "an address such as http://localhost:4318, or for grpc http://localhost:4317; credentials belong in headers";
    let default = match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf => "http://localhost:4318",
    };
    let [own, common] = names(signal, "ENDPOINT");
    let (name, given) = env.first(&[&own, &common]).unwrap_or_else(|| (common.clone(), default.to_owned()));
    let refused = || invalid(&name, without_user(&given), EXPECTED);
    let mut text = given.clone();
    if protocol == Protocol::Grpc && !text.contains("://") {
        text.insert_str(0, if env.flag(&names(signal, "INSECURE"))? { "http://" } else { "https://" });
    }
    if protocol == Protocol::HttpProtobuf && name == common {
        text = format!("{}/v1/{}", text.trim_end_matches('/'), signal.as_str());
    }
    let uri: Uri = text.parse().map_err(|_| refused())?;
    // A user and password in it would reach logs, as addresses do.
    let host = uri.host().is_some_and(|host| !host.is_empty()) && !given.contains('@');
    if host && matches!(uri.scheme_str(), Some("http" | "https")) { Ok(uri) } else { Err(refused()) }
}

/// Nor is it for an error's text.
fn without_user(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => address.to_owned(),
    }
}

fn headers(env: &Env, signal: Signal) -> Result<Vec<(HeaderName, HeaderValue)>, VariableError> {
    let Some((name, list)) = env.first(&names(signal, "HEADERS")) else { return Ok(Vec::new()) };
    let read = || {
        let header = |(key, value): (String, String)| {
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(key).ok()?, value))
        };
        pairs(&list)?.into_iter().map(header).collect::<Option<Vec<_>>>()
    };
    read().ok_or_else(|| invalid(&name, "(not shown)", "header=value pairs, comma between them, values percent-encoded"))
}

fn gzip(env: &Env, signal: Signal) -> Result<bool, VariableError> {
    let read = |value: &str| ["gzip", "none"].contains(&value).then_some(value == "gzip");
    Ok(env.parsed(&names(signal, "COMPRESSION"), "gzip or none", read)?.unwrap_or(false))
}

fn tls_files(env: &Env, signal: Signal) -> Result<TlsFiles, VariableError> {
    let path = |option| env.first(&names(signal, option)).map(|(_, value)| PathBuf::from(value));
    let client = match (path("CLIENT_CERTIFICATE"), path("CLIENT_KEY")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => return Err(invalid("OTEL_EXPORTER_OTLP_CLIENT_KEY", "", "the file of the client certificate's key")),
        (None, Some(_)) => return Err(invalid("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "", "the file of the client key's certificate")),
    };
    Ok(TlsFiles { authority: path("CERTIFICATE"), client })
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::read;
    use super::*;

    fn otlp(variables: &[(&'static str, &'static str)]) -> Result<OtlpSettings, VariableError> {
        let mut variables = variables.to_vec();
        variables.push(("OTEL_METRICS_EXPORTER", "otlp"));
        read(&variables).map(|settings| settings.metrics.expect("on").otlp)
    }

    /// The same of each signal.
    fn each(variables: &[(&'static str, &'static str)]) -> [OtlpSettings; 3] {
        let mut variables = variables.to_vec();
        variables.extend([("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp")]);
        let settings = read(&variables).unwrap();
        [settings.metrics.unwrap().otlp, settings.traces.unwrap().otlp, settings.logs.unwrap().otlp]
    }

    #[test]
    fn defaults_are_the_specifications() {
        let settings = otlp(&[]).unwrap();
        assert_eq!(settings.protocol, Protocol::HttpProtobuf);
        assert_eq!(settings.endpoint, "http://localhost:4318/v1/metrics");
        assert_eq!(settings.timeout, TIMEOUT_DEFAULT);
        assert!(!settings.gzip && settings.headers.is_empty() && settings.tls == TlsFiles::default());
        assert_eq!(otlp(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC")]).unwrap().endpoint, "http://localhost:4317");
    }

    #[test]
    fn endpoints_are_resolved_as_the_specification_says() {
        const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        for (variables, endpoint) in [
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/")][..], "http://c:4318/v1/metrics"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/base")], "https://c/base/v1/metrics"),
            (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m/x"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")], "http://m/x"),
            (&[GRPC, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")], "http://c:4317/"),
            (&[GRPC, ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317")], "https://c:4317/"),
            (&[GRPC, ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")], "http://c:4317/"),
        ] {
            assert_eq!(otlp(variables).unwrap().endpoint, endpoint, "{variables:?}");
        }
    }

    #[test]
    fn each_signal_has_its_own_path_and_its_own_variables() {
        let endpoints = each(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]).map(|settings| settings.endpoint.to_string());
        assert_eq!(endpoints, ["http://c:4318/v1/metrics", "http://c:4318/v1/traces", "http://c:4318/v1/logs"]);
        let settings = each(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/x"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=t"),
        ]);
        assert_eq!(settings.each_ref().map(|own| own.endpoint.host().unwrap()), ["localhost", "t", "localhost"]);
        assert_eq!(settings.each_ref().map(|own| own.protocol == Protocol::Grpc), [false, false, true]);
        assert_eq!(settings.each_ref().map(|own| own.tls.authority.is_some()), [false, false, true]);
        assert_eq!(settings.each_ref().map(|own| own.headers.len()), [0, 1, 0]);
    }

    #[test]
    fn metrics_own_variables_win_over_the_common_ones() {
        let settings = otlp(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "9000"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-key=b%20c"),
        ]);
        let settings = settings.unwrap();
        assert_eq!((settings.protocol, settings.timeout, settings.gzip), (Protocol::Grpc, Duration::from_secs(2), true));
        assert_eq!(settings.headers, [(HeaderName::from_static("x-key"), HeaderValue::from_static("b c"))]);
    }

    #[test]
    fn a_push_never_takes_longer_than_the_export_may() {
        let settings = otlp(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"), ("OTEL_METRIC_EXPORT_TIMEOUT", "1500")]).unwrap();
        assert_eq!(settings.timeout, Duration::from_millis(1500));
        let [_, traces, logs] = each(&[("OTEL_BSP_EXPORT_TIMEOUT", "700"), ("OTEL_BLRP_EXPORT_TIMEOUT", "800")]);
        assert_eq!((traces.timeout, logs.timeout), (Duration::from_millis(700), Duration::from_millis(800)));
    }

    #[test]
    fn what_is_not_valid_is_named_with_what_would_be_right() {
        for (variable, value, expected) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "grpc or http/protobuf"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "tcp", "grpc or http/protobuf"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://", "http://localhost:4318"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "above 0"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip or none"),
        ] {
            let error = otlp(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(value) && error.contains(expected), "{error}");
        }
        let half = otlp(&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem")]).unwrap_err().to_string();
        assert!(half.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "{half}");
    }

    #[test]
    fn secrets_stay_out_of_errors_and_debug() {
        let error = otlp(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hunter2\u{7}")]).unwrap_err();
        let address = otlp(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@c")]).unwrap_err();
        let settings = otlp(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2")]).unwrap();
        let shown = format!("{error} {error:?} {address} {address:?} {settings:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
