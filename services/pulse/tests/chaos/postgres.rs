//! Faults on PostgreSQL. More than two replicas are for the long forms: here there are two processors.

use pulse_chaos::database::Product;
use pulse_chaos::scenario::Scenario;

use crate::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn each_service_is_killed() {
    run(Product::Postgres, Scenario::EachServiceKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn everything_is_killed_at_once() {
    run(Product::Postgres, Scenario::EverythingKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and libfaketime: run tools/test"]
async fn the_clock_of_one_replica_is_wrong() {
    run(Product::Postgres, Scenario::ClockOfOneWrong).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn two_replicas_share_the_work() {
    run(Product::Postgres, Scenario::TwoReplicas).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn one_of_two_replicas_dies() {
    run(Product::Postgres, Scenario::OneOfTwoDies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn replicas_count_one_depth() {
    run(Product::Postgres, Scenario::OneDepth).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_new_version_takes_over_while_the_old_one_runs() {
    run(Product::Postgres, Scenario::Rolling).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_server_is_killed() {
    run(Product::Postgres, Scenario::ServerKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn all_connections_are_ended() {
    run(Product::Postgres, Scenario::ConnectionsEnded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn no_connection_is_left() {
    run(Product::Postgres, Scenario::ConnectionsExhausted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn a_transaction_is_held_open() {
    run(Product::Postgres, Scenario::TransactionHeld).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_network_is_cut() {
    run(Product::Postgres, Scenario::NetworkCut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_network_is_silent() {
    run(Product::Postgres, Scenario::NetworkSilent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tools/test"]
async fn the_network_is_slow() {
    run(Product::Postgres, Scenario::NetworkSlow).await;
}
