//! Faults on a file of SQLite that five processes share.

use pulse_soak::scenario::{clock, disk, kill, replicas, rolling, sink};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, to mount a small disk: run tools/test"]
async fn the_disk_is_full() {
    run(disk::is_full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libfaketime: run tools/test"]
async fn the_clock_is_stepped() {
    run(clock::is_stepped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libfaketime: run tools/test"]
async fn the_clock_of_one_replica_is_wrong() {
    run(clock::of_one_replica_is_wrong).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_work() {
    run(async |bench| Ok(replicas::share(bench, 2).await?.1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_replicas_dies() {
    run(replicas::one_of_two_dies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_count_one_depth() {
    run(replicas::count_one_depth).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_while_the_old_one_runs() {
    run(rolling::versions_side_by_side).await;
}
