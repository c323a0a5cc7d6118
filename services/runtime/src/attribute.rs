//! The attributes of spans that more than one service sets. Those of the conventions are in
//! <https://opentelemetry.io/docs/specs/semconv/registry/attributes/>; Pulse's own begin with `pulse.`, and docs/tracing.md says what they hold.

pub const DB_OPERATION: &str = "db.operation.name";
pub const DB_ROWS: &str = "db.operation.batch.size";
pub const DB_SYSTEM: &str = "db.system.name";
pub const HTTP_METHOD: &str = "http.request.method";
pub const HTTP_STATUS: &str = "http.response.status_code";
pub const MESSAGE_COUNT: &str = "messaging.batch.message_count";
pub const MESSAGE_ID: &str = "messaging.message.id";
pub const MESSAGING_OPERATION: &str = "messaging.operation.name";
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
pub const MESSAGING_QUEUE: &str = "messaging.destination.name";
pub const MESSAGING_SYSTEM: &str = "messaging.system";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";
pub const URL_SCHEME: &str = "url.scheme";

pub const ALERT_ID: &str = "pulse.alert.id";
pub const DEVICE_ID: &str = "pulse.device.id";
pub const EVENT_KIND: &str = "pulse.event.kind";
/// Of a link: what the other span is to this one.
pub const LINK: &str = "pulse.link";
pub const TENANT_ID: &str = "pulse.tenant.id";
