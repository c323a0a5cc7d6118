//! Faults on a file of SQLite that five processes share.

use pulse_soak::scenario::{kill, sink};
use pulse_soak::service::Service;

use crate::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_api_is_killed() {
    run(async |bench| kill::kill_9(bench, Service::UiApi).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_evaluator_is_killed() {
    run(async |bench| kill::kill_9(bench, Service::Evaluator).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dispatcher_is_killed() {
    run(async |bench| kill::kill_9(bench, Service::Dispatcher).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_delivery_worker_is_killed() {
    run(async |bench| kill::kill_9(bench, Service::DeliveryWorker).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ops_worker_is_killed() {
    run(async |bench| kill::kill_9(bench, Service::OpsWorker).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_killed_at_once() {
    run(kill::kill_9_all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_misbehaves_and_is_well_again() {
    run(sink::misbehaves_then_is_well).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_die_and_are_replayed() {
    run(sink::jobs_die_and_are_replayed).await;
}
