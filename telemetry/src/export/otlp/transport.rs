//! How OTLP travels: one setup for the exporters of all signals.

use std::collections::HashMap;

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{Compression, WithExportConfig, WithHttpConfig, WithTonicConfig};

use crate::env::OtlpSettings;
use crate::export::error::InitError;
use crate::export::tls::Tls;

/// Within a runtime, which drives the channel.
pub(super) fn grpc<B: WithExportConfig + WithTonicConfig>(builder: B, settings: &OtlpSettings) -> Result<B, InitError> {
    // The channel is driven by the runtime that it is made in, and panics without one.
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(InitError::NoRuntime);
    }
    let mut builder = builder
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .with_metadata(MetadataMap::from_headers(settings.headers.iter().cloned().collect()));
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    if settings.endpoint.scheme_str() == Some("https") {
        builder = builder.with_tls_config(Tls::read(&settings.tls)?.for_tonic()?);
    }
    Ok(builder)
}

pub(super) fn http<B: WithExportConfig + WithHttpConfig>(builder: B, settings: &OtlpSettings) -> Result<B, InitError> {
    let headers = settings.headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let mut builder = builder
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .with_headers(headers.collect::<HashMap<_, _>>())
        .with_http_client(blocking_client(settings)?);
    if settings.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder)
}

/// Blocking, because the exporters' threads have no reactor; made on a thread of its own, because it may not be made within a runtime. Named
/// explicitly, because the exporter would otherwise take an asynchronous one as soon as any crate in the graph turns that feature on.
fn blocking_client(settings: &OtlpSettings) -> Result<reqwest::blocking::Client, InitError> {
    let tls = Tls::read(&settings.tls)?.for_reqwest()?;
    let timeout = settings.timeout;
    let build = move || {
        reqwest::blocking::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(timeout)
            // A redirect would carry the headers, which are secrets, elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
    };
    let failed = |error: String| InitError::Exporter(format!("the HTTP client cannot be built: {error}"));
    let thread = std::thread::Builder::new().name("otlp-http-client".to_owned()).spawn(build).map_err(|error| failed(error.to_string()))?;
    thread.join().map_err(|_| failed("it panicked".to_owned()))?.map_err(|error| failed(error.to_string()))
}
