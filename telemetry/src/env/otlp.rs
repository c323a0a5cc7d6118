//! `OTEL_EXPORTER_OTLP_*` and the export's timing, for metrics.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::{Env, VariableError, invalid, pairs};

/// One of them set turns OTLP on. The first is metrics' own and wins, as in every pair below.
pub(super) const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const COMPRESSIONS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const INSECURES: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"];
const CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const CLIENT_KEYS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];
const CLIENT_CERTIFICATES: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const EXPORT_TIMEOUT: &str = "OTEL_METRIC_EXPORT_TIMEOUT";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

/// The specification's defaults.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const EXPORT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Where to push and how.
#[derive(Clone, PartialEq)]
pub(crate) struct OtlpSettings {
    pub(crate) protocol: Protocol,
    /// With the path, for HTTP.
    pub(crate) endpoint: Uri,
    /// Between two pushes.
    pub(crate) interval: Duration,
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

impl OtlpSettings {
    pub(super) fn read(env: &Env) -> Result<Self, VariableError> {
        let protocol = protocol(env)?;
        check_temporality(env)?;
        Ok(Self {
            protocol,
            endpoint: endpoint(env, protocol)?,
            interval: env.millis(&[INTERVAL], INTERVAL_DEFAULT)?,
            timeout: env.millis(&TIMEOUTS, TIMEOUT_DEFAULT)?.min(env.millis(&[EXPORT_TIMEOUT], EXPORT_TIMEOUT_DEFAULT)?),
            headers: headers(env)?,
            gzip: gzip(env)?,
            tls: tls_files(env)?,
        })
    }
}

fn protocol(env: &Env) -> Result<Protocol, VariableError> {
    let read = |value: &str| match value {
        "grpc" => Some(Protocol::Grpc),
        "http/protobuf" => Some(Protocol::HttpProtobuf),
        _ => None,
    };
    Ok(env.parsed(&PROTOCOLS, "grpc or http/protobuf", read)?.unwrap_or(Protocol::HttpProtobuf))
}

/// Metrics' own endpoint is taken as it is; the common one is a base to which HTTP adds a path. gRPC may leave the scheme out.
fn endpoint(env: &Env, protocol: Protocol) -> Result<Uri, VariableError> {
    const EXPECTED: &str = "an address such as http://localhost:4318, or for grpc http://localhost:4317; credentials belong in headers";
    let default = match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf => "http://localhost:4318",
    };
    let (name, given) = env.first(&ENDPOINTS).unwrap_or_else(|| (ENDPOINTS[1], default.to_owned()));
    let refused = || invalid(name, without_user(&given), EXPECTED);
    let mut text = given.clone();
    if protocol == Protocol::Grpc && !text.contains("://") {
        text.insert_str(0, if env.flag(&INSECURES)? { "http://" } else { "https://" });
    }
    if protocol == Protocol::HttpProtobuf && name == ENDPOINTS[1] {
        text = format!("{}/v1/metrics", text.trim_end_matches('/'));
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

fn headers(env: &Env) -> Result<Vec<(HeaderName, HeaderValue)>, VariableError> {
    let Some((name, list)) = env.first(&HEADERS) else { return Ok(Vec::new()) };
    let read = || {
        let header = |(key, value): (String, String)| {
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(key).ok()?, value))
        };
        pairs(&list)?.into_iter().map(header).collect::<Option<Vec<_>>>()
    };
    read().ok_or_else(|| invalid(name, "(not shown)", "header=value pairs, comma between them, values percent-encoded"))
}

fn gzip(env: &Env) -> Result<bool, VariableError> {
    let read = |value: &str| ["gzip", "none"].contains(&value).then_some(value == "gzip");
    Ok(env.parsed(&COMPRESSIONS, "gzip or none", read)?.unwrap_or(false))
}

fn tls_files(env: &Env) -> Result<TlsFiles, VariableError> {
    let path = |names| env.first(names).map(|(_, value)| PathBuf::from(value));
    let client = match (path(&CLIENT_CERTIFICATES), path(&CLIENT_KEYS)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => return Err(invalid(CLIENT_KEYS[1], "", "the file of the client certificate's key")),
        (None, Some(_)) => return Err(invalid(CLIENT_CERTIFICATES[1], "", "the file of the client key's certificate")),
    };
    Ok(TlsFiles { authority: path(&CERTIFICATES), client })
}

/// Both exporters show the same running totals, so another preference cannot be met; it is not an error, as other programs obey it.
fn check_temporality(env: &Env) -> Result<(), VariableError> {
    let read = |value: &str| ["cumulative", "delta", "lowmemory"].contains(&value).then_some(value == "cumulative");
    if env.parsed(&[TEMPORALITY], "cumulative", read)? == Some(false) {
        tracing::warn!("{TEMPORALITY} asks for another temporality, but metrics are exported as cumulative, the same as on /metrics");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn otlp(variables: &[(&'static str, &'static str)]) -> Result<OtlpSettings, VariableError> {
        let mut variables = variables.to_vec();
        variables.push(("OTEL_METRICS_EXPORTER", "otlp"));
        read(&variables).map(|settings| settings.otlp.expect("on"))
    }

    #[test]
    fn defaults_are_the_specifications() {
        let settings = otlp(&[]).unwrap();
        assert_eq!(settings.protocol, Protocol::HttpProtobuf);
        assert_eq!(settings.endpoint, "http://localhost:4318/v1/metrics");
        assert_eq!((settings.interval, settings.timeout), (INTERVAL_DEFAULT, TIMEOUT_DEFAULT));
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
            ("OTEL_METRIC_EXPORT_INTERVAL", "250"),
        ]);
        let settings = settings.unwrap();
        assert_eq!((settings.protocol, settings.timeout, settings.gzip), (Protocol::Grpc, Duration::from_secs(2), true));
        assert_eq!(settings.headers, [(HeaderName::from_static("x-key"), HeaderValue::from_static("b c"))]);
        assert_eq!(settings.interval, Duration::from_millis(250));
    }

    #[test]
    fn a_push_never_takes_longer_than_the_export_may() {
        let settings = otlp(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"), ("OTEL_METRIC_EXPORT_TIMEOUT", "1500")]).unwrap();
        assert_eq!(settings.timeout, Duration::from_millis(1500));
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
            ("OTEL_METRIC_EXPORT_INTERVAL", "-5", "milliseconds"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip or none"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "monthly", "cumulative"),
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
