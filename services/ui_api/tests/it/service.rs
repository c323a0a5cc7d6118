//! A running service on a port of its own with a database of its own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pulse_domain::credential::{ApiToken, Role, SecretToken};
use pulse_domain::ids::{DeviceId, DeviceKey, SiteId, TenantId, TokenId};
use pulse_domain::reading::Reading;
use pulse_runtime::{Clock, Deps, Error, Listeners, Shutdown};
use pulse_store::PoolSettings;
use pulse_store::sqlite::Sqlite;
use pulse_store::{PageRequest, SharedStore};
use pulse_telemetry::Telemetry;
use pulse_telemetry::testing::KeptSpan;
use pulse_ui_api::Settings;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::net::TcpListener;

/// The longest a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Service {
    pub(crate) base: String,
    pub(crate) store: SharedStore,
    pub(crate) telemetry: Telemetry,
    pub(crate) client: reqwest::Client,
    pub(crate) operator: String,
    database: Sqlite,
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<Result<(), Error>>,
    _folder: tempfile::TempDir,
}

/// A status and a JSON body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    /// Holds that it is a problem document that fits its status, and gives its code.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16(), "{document}");
        for field in ["type", "title", "detail"] {
            assert!(!document[field].as_str().unwrap().is_empty(), "{field} in {document}");
        }
        document["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        Self::start_as(settings, Telemetry::builder("ui_api").namespace("pulse").env(|_| None).init().unwrap()).await
    }

    /// One whose spans are kept.
    pub(crate) async fn traced() -> Self {
        Self::start_as(Settings::default(), Telemetry::builder("ui_api").env(|_| None).keep_spans().init().unwrap()).await
    }

    async fn start_as(settings: Settings, telemetry: Telemetry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Sqlite::open(folder.path().join("pulse.db")).await.unwrap();
        let store: SharedStore = Arc::new(database.pool(PoolSettings::default()).await.unwrap());
        let deps = Deps::new(Arc::clone(&store), telemetry.clone(), Clock::system());
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", public.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let listeners = Listeners { public, admin: None };
        let running = tokio::spawn(pulse_ui_api::run(deps, settings, listeners, shutdown.clone()));
        let operator = make_token(&store, None, Role::Operator).await;
        Self { base, store, telemetry, client: client(), operator, database, shutdown, running, _folder: folder }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        self.shutdown.trigger();
        self.running.await.unwrap()
    }

    pub(crate) fn ask_to_stop(&self) {
        self.shutdown.trigger();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A call of the API.
    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let mut request = self.client.request(method, self.url(path)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    /// A call by the operator that must succeed.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, path, &self.operator, body).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        if answer.text.is_empty() { Value::Null } else { answer.json() }
    }

    /// A tenant with a device `d1` on `site-1`.
    pub(crate) async fn tenant(&self, tenant: &str) -> Owner {
        self.ok(Method::POST, "/api/v1/tenants", Some(&json!({"tenant_id": tenant}))).await;
        let tenant_id = TenantId::parse(tenant).unwrap();
        let owner = Owner {
            admin: make_token(&self.store, Some(&tenant_id), Role::Admin).await,
            viewer: make_token(&self.store, Some(&tenant_id), Role::Viewer).await,
            device_token: self.device(tenant, "d1").await,
            tenant_id,
        };
        assert!(owner.device_token.starts_with("pulse_dev_"));
        owner
    }

    /// Registers a device on `site-1`; its token.
    pub(crate) async fn device(&self, tenant: &str, device: &str) -> String {
        let body = json!({"device_id": device, "site_id": "site-1"});
        let made = self.ok(Method::POST, &format!("/api/v1/tenants/{tenant}/devices"), Some(&body)).await;
        made["token"].as_str().unwrap().to_owned()
    }

    /// A message at the single door.
    pub(crate) async fn send(&self, device: &str, token: &str, body: impl Into<reqwest::Body>) -> Answer {
        let url = self.url(&format!("/ingest/v1/tenant/{device}/telemetry"));
        answer(self.client.post(url).header("X-Provision-Token", token).body(body)).await
    }

    /// A message at the batch door.
    pub(crate) async fn batch(&self, body: impl Into<reqwest::Body>) -> Answer {
        answer(self.client.post(self.url("/ingest/v1/batch")).body(body)).await
    }

    pub(crate) async fn readings(&self, tenant: &str, device: &str) -> Vec<Reading> {
        let key = DeviceKey { tenant_id: TenantId::parse(tenant).unwrap(), device_id: DeviceId::parse(device).unwrap() };
        self.store.readings(&key, None, None, &PageRequest { limit: 10_000, after: None }).await.unwrap().items
    }

    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.telemetry.value(name, labels).unwrap_or_else(|| panic!("{name}{labels:?} is not there"))
    }

    /// The spans of this name, once there are so many.
    pub(crate) async fn spans(&self, name: &str, count: usize) -> Vec<KeptSpan> {
        let of_name = || self.telemetry.spans().into_iter().filter(|span| span.name == name).collect::<Vec<_>>();
        until(name, async || of_name().len() >= count).await;
        of_name()
    }

    /// Messages of a tenant with a result.
    pub(crate) fn messages(&self, tenant: &str, result: &str) -> f64 {
        self.telemetry.value("pulse_ingest_messages_total", &[("tenant_id", tenant), ("result", result)]).unwrap_or(0.0)
    }

    /// How many writes there were.
    pub(crate) fn writes(&self, outcome: &str) -> f64 {
        self.telemetry.value("pulse_processing_total", &[("operation", "ingest_write"), ("outcome", outcome)]).unwrap_or(0.0)
    }

    /// A connection to the database beside the service's own.
    pub(crate) async fn database(&self) -> SqliteConnection {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.database.path());
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Keeps the service from writing until the connection is committed.
    pub(crate) async fn hold_writes(&self) -> SqliteConnection {
        let mut connection = self.database().await;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        connection
    }
}

/// Lets the service write again.
pub(crate) async fn release_writes(mut connection: SqliteConnection) {
    sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A tenant and the tokens of its people and its device `d1`.
pub(crate) struct Owner {
    pub(crate) tenant_id: TenantId,
    pub(crate) admin: String,
    pub(crate) viewer: String,
    pub(crate) device_token: String,
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer { status: response.status(), headers: response.headers().clone(), text: response.text().await.unwrap() }
}

async fn make_token(store: &SharedStore, tenant_id: Option<&TenantId>, role: Role) -> String {
    let secret = SecretToken::generate("pulse_test");
    let token = ApiToken {
        token_id: TokenId::generate(),
        tenant_id: tenant_id.cloned(),
        role,
        name: format!("the {}", role.as_str()),
        created_at: Clock::system().now(),
    };
    store.insert_token(&token, &secret.hash()).await.unwrap();
    secret.reveal().to_owned()
}

fn client() -> reqwest::Client {
    // Another test of this process may have installed it before.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(40)).build().unwrap()
}

/// Waits until it holds.
pub(crate) async fn until<Fut: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> Fut) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} did not come about"));
}

/// A good body for a device on `site-1`.
pub(crate) fn body(seq: i64) -> String {
    json!({"version": "1", "ts": "2026-01-31T12:00:00Z", "site_id": "site-1", "seq": seq, "metrics": {"temp": 21.5, "door": true}})
        .to_string()
}

/// A good message of a batch.
pub(crate) fn message(tenant: &str, device: &str, token: &str, seq: i64) -> Value {
    json!({
        "tenant_id": tenant, "device_id": device, "msg_type": "telemetry", "provision_token": token,
        "site_id": "site-1", "seq": seq, "metrics": {"temp": 21.5}
    })
}

/// The name of a site, checked.
pub(crate) fn site(name: &str) -> SiteId {
    SiteId::parse(name).unwrap()
}
