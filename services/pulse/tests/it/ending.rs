//! Services that are asked to end while their database is away: none is cut, none hangs.

use std::time::Duration;

use pulse_testbed::postgres::Cluster;
use pulse_testbed::proxy::Proxy;

use crate::process::free_ports;
use crate::running::{Running, run_to_end};

/// The drain of 7 s, and what is told and closed after it.
const END_MAX: Duration = Duration::from_secs(10);

/// Five services at work on a database, and the network between them.
async fn at_work() -> (Vec<Running>, Proxy) {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    assert_eq!(run_to_end(&["migrate"], &database.url()).0, Some(0));
    let network = Proxy::start(cluster.port()).await;
    let services = Running::start_all(&database.url_at(network.port()), free_ports());
    for service in &services {
        service.ready().await;
    }
    (services, network)
}

/// /ready of each says that the database is away.
async fn all_notice(services: &[Running]) {
    for service in services {
        service.not_ready(&["unavailable since 20", "no_answer since 20"]).await;
    }
}

/// SIGTERM to all at once; each ends by itself, well and in time.
async fn all_end(services: Vec<Running>) {
    let ended = services.into_iter().map(|service| {
        tokio::task::spawn_blocking(move || {
            let name = service.service;
            (name, service.terminate())
        })
    });
    for ended in futures::future::join_all(ended).await {
        let (name, (code, took)) = ended.unwrap();
        assert!(code == Some(0) && took < END_MAX, "{name}: {code:?} after {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn services_end_while_the_database_refuses_connections() {
    let (services, mut network) = at_work().await;
    network.cut().await;
    all_notice(&services).await;
    all_end(services).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn services_end_while_the_database_is_silent() {
    let (services, mut network) = at_work().await;
    network.stall().await;
    all_notice(&services).await;
    all_end(services).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn services_end_when_the_database_has_just_fallen_silent() {
    let (services, mut network) = at_work().await;
    network.stall().await;
    all_end(services).await;
}
