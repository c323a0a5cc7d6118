//! Who exports: the resource over OTLP.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::env::Settings;

const NAME: &str = "service.name";

/// The service's own attributes, over them `OTEL_RESOURCE_ATTRIBUTES`, but never its name unless `name_from_env`.
pub(crate) fn resource(
    service: &'static str,
    namespace: Option<&'static str>,
    version: Option<&'static str>,
    settings: &Settings,
    name_from_env: bool,
) -> Resource {
    let own = [("service.namespace", namespace), ("service.version", version)];
    let own = own.into_iter().filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
    let given = settings.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let in_attributes = || settings.resource.iter().find(|(key, _)| key == NAME).map(|(_, value)| value.clone());
    let name = if name_from_env { settings.service_name.clone().or_else(in_attributes) } else { None };
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new("service.instance.id", instance_id()))
        .with_attributes(own)
        .with_attributes(given)
        .with_service_name(name.unwrap_or_else(|| service.to_owned()))
        .build()
}

/// A random UUID (version 4): unique for each start.
fn instance_id() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = opentelemetry::TraceId::from_bytes(bytes).to_string();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let resource = [("service.name", "from_attributes"), ("service.namespace", "other"), ("team", "blue")];
        Settings {
            metrics: None,
            traces: None,
            logs: None,
            resource: resource.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            service_name: Some("from_env".to_owned()),
            propagate: true,
            prometheus: None,
        }
    }

    fn get(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&key.into()).map(|value| value.to_string())
    }

    #[test]
    fn several_services_in_a_process_keep_their_names() {
        let resource = resource("ui_api", Some("pulse"), Some("1.2.3"), &settings(), false);
        for (key, value) in [
            ("service.name", "ui_api"),
            ("service.namespace", "other"),
            ("service.version", "1.2.3"),
            ("team", "blue"),
            ("telemetry.sdk.language", "rust"),
        ] {
            assert_eq!(get(&resource, key).as_deref(), Some(value), "{key}");
        }
    }

    #[test]
    fn a_service_alone_may_be_named_from_outside() {
        assert_eq!(get(&resource("x", None, None, &settings(), true), NAME).as_deref(), Some("from_env"));
        let unnamed = Settings { service_name: None, ..settings() };
        assert_eq!(get(&resource("x", None, None, &unnamed, true), NAME).as_deref(), Some("from_attributes"));
    }

    #[test]
    fn instance_ids_are_uuids_and_differ() {
        let id = instance_id();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!("89ab".contains(&id[19..20]), "{id}");
        assert_ne!(id, instance_id());
    }
}
