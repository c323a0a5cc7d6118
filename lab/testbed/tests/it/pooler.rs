//! PgBouncer.

use pulse_testbed::pgbouncer::PgBouncer;
use pulse_testbed::postgres::Cluster;
use sqlx::Executor as _;

use crate::{connect, number};

#[tokio::test]
#[ignore = "needs PostgreSQL and PgBouncer: run tools/test"]
async fn more_clients_than_connections_work_through_it_by_the_transaction() {
    let cluster = Cluster::shared().await;
    let database = cluster.database().await;
    let pooler = PgBouncer::start(cluster, 1).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(connect(&database.url_at(pooler.port())).await.unwrap());
    }
    let mut servers = Vec::new();
    for client in &mut clients {
        client.execute("BEGIN").await.unwrap();
        servers.push(number(client, "SELECT pg_backend_pid()::bigint").await);
        client.execute("COMMIT").await.unwrap();
    }
    assert!(servers.iter().all(|server| *server == servers[0]), "one connection served all: {servers:?}");
}
