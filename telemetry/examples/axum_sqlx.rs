//! A service of somebody else: a shop that takes orders over axum and keeps them with sqlx. The lines that the kit asks for end in `// kit`.
//!
//! `cargo run --example axum_sqlx -- 127.0.0.1:8090`, then `curl -X POST 127.0.0.1:8090/orders/apples` and `curl 127.0.0.1:8090/metrics`.
//! With `OTEL_EXPORTER_OTLP_ENDPOINT` set, metrics, spans and log records are pushed too.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use pulse_telemetry::{BoundCounter, BurstLayer, Definition, LogLayer, Operation, PoolProbe, QueueSample, Telemetry}; // kit
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static ORDERS: Definition = Definition::counter("shop_orders_total", "{order}", "Orders taken.", &[]); // kit

#[derive(Clone)]
struct Shop {
    pool: SqlitePool,
    taken: BoundCounter, // kit
    take: Operation,     // kit
}

async fn order(State(shop): State<Shop>, Path(what): Path<String>) -> Result<StatusCode, StatusCode> {
    let insert = sqlx::query("INSERT INTO orders (what) VALUES (?1)").bind(&what).execute(&shop.pool);
    shop.take.run(insert).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?; // kit
    shop.taken.add(1); // kit
    tracing::info!(what, "an order was taken");
    Ok(StatusCode::CREATED)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let subscriber = tracing_subscriber::registry().with(LevelFilter::INFO).with(lines);
    subscriber.with(BurstLayer::new()).with(LogLayer::new()).init(); // kit
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE orders (what TEXT NOT NULL, packed INTEGER NOT NULL DEFAULT 0)").execute(&pool).await?;

    let telemetry = Telemetry::builder("shop").namespace("somebody").version(env!("CARGO_PKG_VERSION")).service_name_from_env().init()?; // kit
    let [size, idle, max] = [pool.clone(), pool.clone(), pool.clone()];
    let idle = move || u32::try_from(idle.num_idle()).unwrap_or(u32::MAX);
    telemetry.observe_pool(PoolProbe::new(move || size.size(), idle, move || max.options().get_max_connections())); // kit
    let store = pool.clone();
    let _queue = telemetry.queue("unpacked_orders", Duration::from_secs(1), move || unpacked(store.clone())); // kit
    let shop = Shop { pool, taken: telemetry.counter(&ORDERS).bind(&[]), take: telemetry.operation("take_order") }; // kit

    let routes = Router::new().route("/orders/{what}", post(order)).with_state(shop).merge(telemetry.router()); // kit
    let listener = tokio::net::TcpListener::bind(address).await?;
    telemetry.scope(async { axum::serve(listener, routes).await }).await?; // kit
    Ok(telemetry.shutdown(Duration::from_secs(5)).await?) // kit
}

/// Orders that nobody has packed yet.
async fn unpacked(pool: SqlitePool) -> Result<QueueSample, sqlx::Error> {
    let depth: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE NOT packed").fetch_one(&pool).await?;
    Ok(QueueSample { depth: depth.unsigned_abs(), oldest_age: Duration::ZERO }) // kit
}
