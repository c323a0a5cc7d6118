//! What the domain's types look like as JSON, for the OpenAPI document only: the domain knows nothing of HTTP. The requests and answers
//! themselves are the domain's own types; a test holds each description here to what they serialize to.

#![expect(dead_code, reason = "these types are only described, never made")]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A metric's value
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum MetricValue {
    Number(f64),
    Truth(bool),
}

/// What a device sends; fields that are not known are passed over
#[derive(ToSchema)]
pub(crate) struct Message {
    /// Of the message's form; any value is taken
    version: Option<Value>,
    /// The device's own time; the receipt where there is none
    ts: Option<DateTime<Utc>>,
    /// The site of the device's registration
    site_id: String,
    /// The device's own counter, handed back to it
    seq: Option<i64>,
    /// At most 64, their names at most 128 characters; only a heartbeat may leave it out
    metrics: Option<BTreeMap<String, MetricValue>>,
}

/// A message with its sender
#[derive(ToSchema)]
pub(crate) struct BatchMessage {
    tenant_id: String,
    device_id: String,
    msg_type: ReadingKind,
    provision_token: String,
    #[serde(flatten)]
    message: Message,
}

/// Messages of any devices
#[derive(ToSchema)]
pub(crate) struct Batch {
    messages: Vec<BatchMessage>,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReadingKind {
    Telemetry,
    Heartbeat,
}

/// A message as it is kept
#[derive(ToSchema)]
pub(crate) struct Reading {
    /// Its place in the device's order: larger is later
    reading_id: i64,
    kind: ReadingKind,
    ts: DateTime<Utc>,
    received_at: DateTime<Utc>,
    site_id: String,
    seq: Option<i64>,
    metrics: BTreeMap<String, MetricValue>,
    /// The W3C `traceparent` that brought it
    #[schema(nullable = false)]
    trace: Option<String>,
}

/// A customer
#[derive(ToSchema)]
pub(crate) struct Tenant {
    tenant_id: String,
    name: String,
    created_at: DateTime<Utc>,
}

/// Where a device stands in its life. INACTIVE: its messages are taken, nothing opens. DECOMMISSIONED and REVOKED: they are refused
#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Lifecycle {
    Active,
    Inactive,
    Decommissioned,
    Revoked,
}

#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum DeviceStatus {
    Unknown,
    Online,
    Stale,
}

/// A registered device
#[derive(ToSchema)]
pub(crate) struct Device {
    tenant_id: String,
    device_id: String,
    site_id: String,
    device_type: String,
    group_ids: Vec<String>,
    lifecycle: Lifecycle,
    created_at: DateTime<Utc>,
    status: DeviceStatus,
    /// Receipt of its last message
    last_seen: Option<DateTime<Utc>>,
}

#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Operator {
    Gt,
    Gte,
    Lt,
    Lte,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MatchMode {
    All,
    Any,
}

#[derive(ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RuleType {
    Threshold,
}

/// One comparison
#[derive(ToSchema)]
pub(crate) struct Condition {
    metric_name: String,
    operator: Operator,
    threshold: f64,
    /// Every sample over so long must breach; 0: one is enough
    #[schema(maximum = 86_400, default = 0, required = false)]
    duration_seconds: u32,
}

/// What is wrong with a device. With no conditions, metric_name, operator, threshold and duration_seconds are its one condition. Empty
/// lists of sites, groups and device types each mean all
#[derive(ToSchema)]
pub(crate) struct RuleSpec {
    name: String,
    #[schema(default = true, required = false)]
    enabled: bool,
    #[schema(default = "THRESHOLD", required = false)]
    rule_type: RuleType,
    /// 5 is the most severe
    #[schema(minimum = 1, maximum = 5)]
    severity: u8,
    #[schema(nullable = false)]
    metric_name: Option<String>,
    #[schema(nullable = false)]
    operator: Option<Operator>,
    #[schema(nullable = false)]
    threshold: Option<f64>,
    #[schema(maximum = 86_400, default = 0, required = false)]
    duration_seconds: u32,
    #[schema(required = false)]
    conditions: Vec<Condition>,
    #[schema(default = "all", required = false)]
    match_mode: MatchMode,
    #[schema(required = false)]
    site_ids: Vec<String>,
    #[schema(required = false)]
    group_ids: Vec<String>,
    #[schema(required = false)]
    device_types: Vec<String>,
}

/// A rule as it is kept
#[derive(ToSchema)]
pub(crate) struct Rule {
    tenant_id: String,
    rule_id: Uuid,
    #[serde(flatten)]
    spec: RuleSpec,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Why it cannot be evaluated, when it cannot
    error: Option<String>,
}

#[derive(ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AlertType {
    Threshold,
    NoHeartbeat,
    SystemHealth,
}

#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum AlertStatus {
    Open,
    Acknowledged,
    Closed,
}

/// Something that is wrong, or was
#[derive(ToSchema)]
pub(crate) struct Alert {
    tenant_id: String,
    alert_id: Uuid,
    /// What makes two findings the same alert
    fingerprint: String,
    device_id: String,
    site_id: String,
    alert_type: AlertType,
    rule_id: Option<Uuid>,
    /// 5 is the most severe
    #[schema(minimum = 1, maximum = 5)]
    severity: u8,
    confidence: f64,
    summary: String,
    details: Value,
    status: AlertStatus,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    acknowledged_at: Option<DateTime<Utc>>,
    acknowledged_by: Option<String>,
    closed_at: Option<DateTime<Utc>>,
    escalation_level: u32,
    silenced_until: Option<DateTime<Utc>>,
}

#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum EventKind {
    Open,
    Acknowledged,
    Escalated,
    Closed,
}

/// One change in an alert's life
#[derive(ToSchema)]
pub(crate) struct AlertEvent {
    event_id: Uuid,
    kind: EventKind,
    at: DateTime<Utc>,
    /// Receipt of the reading that caused it
    origin_at: Option<DateTime<Utc>>,
    trace: Option<String>,
    /// The alert after the change
    alert: Alert,
}

/// Which events go to which integration. Every empty list means all
#[derive(ToSchema)]
pub(crate) struct RouteSpec {
    name: String,
    integration_id: Uuid,
    #[schema(default = true, required = false)]
    enabled: bool,
    /// Tried in ascending order, then by age
    #[schema(default = 100, required = false)]
    priority: i32,
    #[schema(required = false)]
    deliver_on: Vec<EventKind>,
    /// From this severity up
    #[schema(minimum = 1, maximum = 5, default = 1, required = false)]
    min_severity: u8,
    #[schema(required = false)]
    alert_types: Vec<AlertType>,
    #[schema(required = false)]
    site_ids: Vec<String>,
    #[schema(required = false)]
    device_prefixes: Vec<String>,
    /// No later route is tried once this one matched
    #[schema(default = false, required = false)]
    stop_after_match: bool,
}

/// A route as it is kept
#[derive(ToSchema)]
pub(crate) struct Route {
    tenant_id: String,
    route_id: Uuid,
    #[serde(flatten)]
    spec: RouteSpec,
    created_at: DateTime<Utc>,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Queue {
    Integration,
    Notification,
}

#[derive(ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum JobState {
    Pending,
    Leased,
    Delivered,
    Dead,
}

/// One delivery of one event over one route
#[derive(ToSchema)]
pub(crate) struct Job {
    tenant_id: String,
    job_id: Uuid,
    event_id: Uuid,
    route_id: Uuid,
    integration_id: Uuid,
    queue: Queue,
    state: JobState,
    /// Attempts begun
    attempts: u32,
    run_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    origin_at: Option<DateTime<Utc>>,
    /// What the receiver gets
    payload: Value,
    trace: Option<String>,
    last_error: Option<String>,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErrorKind {
    Timeout,
    Connect,
    Tls,
    Refused,
    Server,
    Blocked,
    Config,
}

/// One attempt at a delivery
#[derive(ToSchema)]
pub(crate) struct Attempt {
    job_id: Uuid,
    /// From 1
    attempt: u32,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    /// None: delivered
    error: Option<ErrorKind>,
    http_status: Option<u16>,
    detail: Option<String>,
}

/// A level of escalation
#[derive(ToSchema)]
pub(crate) struct Level {
    /// From the alert's opening, while nobody acknowledges it
    after_seconds: u32,
}

/// How alerts that nobody acknowledges grow louder
#[derive(ToSchema)]
pub(crate) struct PolicySpec {
    name: String,
    #[schema(default = true, required = false)]
    enabled: bool,
    /// From this severity up
    #[schema(minimum = 1, maximum = 5, default = 1, required = false)]
    min_severity: u8,
    /// 1 to 10, in ascending order of after_seconds
    levels: Vec<Level>,
}

/// A policy as it is kept
#[derive(ToSchema)]
pub(crate) struct Policy {
    tenant_id: String,
    policy_id: Uuid,
    #[serde(flatten)]
    spec: PolicySpec,
    created_at: DateTime<Utc>,
}

/// What a token may do. An operator: everything, everywhere. An admin: everything in one tenant. A viewer: read in one tenant
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Operator,
    Admin,
    Viewer,
}

/// A token without its secret
#[derive(ToSchema)]
pub(crate) struct ApiToken {
    token_id: Uuid,
    /// None for an operator
    tenant_id: Option<String>,
    role: Role,
    name: String,
    created_at: DateTime<Utc>,
}
