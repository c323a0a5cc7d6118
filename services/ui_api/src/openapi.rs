//! The OpenAPI document: collected from the handlers, then completed with what holds for all of them, so that no handler has to repeat it.

pub(crate) mod schema;

use pulse_runtime::problem::Document;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{Object, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, License, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};

/// Completes the document of the router.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Pulse")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Takes the readings of a fleet in, and serves what Pulse knows of it. Errors are problem documents (RFC 9457)."))
        .license(Some(License::new("Apache-2.0")))
        .build();
    for (path, item) in &mut document.paths.paths {
        let parameters: Vec<RefOr<Parameter>> = names(path).map(|name| RefOr::T(parameter(name))).collect();
        for operation in operations(item) {
            operation.parameters.get_or_insert_default().splice(0..0, parameters.iter().cloned());
            operation.responses.responses.insert("default".to_owned(), problem());
            if path.starts_with("/api/v1/") {
                operation.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
            }
        }
    }
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Document::name().into_owned(), Document::schema());
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let device = ApiKeyValue::with_description("X-Provision-Token", "The token of the device that sends");
    components.add_security_scheme("device", SecurityScheme::ApiKey(ApiKey::Header(device)));
    document
}

/// The names in a path's braces.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str) -> Parameter {
    let mut object = Object::with_type(Type::String);
    if !matches!(name, "tenant_id" | "device_id") {
        object.format = Some(SchemaFormat::Custom("uuid".to_owned()));
    }
    ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True).schema(Some(object)).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn problem() -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Document::name()))).build();
    ResponseBuilder::new().description("What went wrong").content("application/problem+json", content).build().into()
}
