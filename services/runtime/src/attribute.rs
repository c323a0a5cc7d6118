//! The attributes of spans that more than one service sets. Those of the conventions are in
//! <https://opentelemetry.io/docs/specs/semconv/registry/attributes/>; Pulse's own begin with `pulse.`, and docs/tracing.md says what they hold.

/// The call to the store.
pub const DB_OPERATION: &str = "db.operation.name";
/// How many rows the call concerns, where there are more than one.
pub const DB_ROWS: &str = "db.operation.batch.size";
/// The database's product.
pub const DB_SYSTEM: &str = "db.system.name";
/// The method of a request.
pub const HTTP_METHOD: &str = "http.request.method";
/// The status of the answer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// How many messages a batch holds.
pub const MESSAGE_COUNT: &str = "messaging.batch.message_count";
/// The message: an event or a job.
pub const MESSAGE_ID: &str = "messaging.message.id";
/// What is done with the messages, in Pulse's words.
pub const MESSAGING_OPERATION: &str = "messaging.operation.name";
/// What is done with the messages, in the conventions' words.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// The queue, called as in the label `queue_name`.
pub const MESSAGING_QUEUE: &str = "messaging.destination.name";
/// Whose queue it is: Pulse's own.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// The host that a request goes to.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port that a request goes to.
pub const SERVER_PORT: &str = "server.port";
/// http or https.
pub const URL_SCHEME: &str = "url.scheme";

/// The alert that the work is about.
pub const ALERT_ID: &str = "pulse.alert.id";
/// The device that the work is about.
pub const DEVICE_ID: &str = "pulse.device.id";
/// What happened to the alert.
pub const EVENT_KIND: &str = "pulse.event.kind";
/// What the other span of a link is to this one.
pub const LINK: &str = "pulse.link";
/// The tenant whose work it is.
pub const TENANT_ID: &str = "pulse.tenant.id";
