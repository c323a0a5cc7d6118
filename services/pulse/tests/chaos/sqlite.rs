//! Faults on a file of SQLite that the processes share.

use pulse_chaos::database::Product;
use pulse_chaos::scenario::Scenario;

use crate::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_killed_at_once() {
    run(Product::Sqlite, Scenario::EverythingKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_misbehaves_and_is_well_again() {
    run(Product::Sqlite, Scenario::ReceiverMisbehaves).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_die_and_are_replayed() {
    run(Product::Sqlite, Scenario::JobsDie).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root, to mount a small disk: run tools/test"]
async fn the_disk_is_full() {
    run(Product::Sqlite, Scenario::DiskFull).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs libfaketime: run tools/test"]
async fn the_clock_is_stepped() {
    run(Product::Sqlite, Scenario::ClockStepped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_replicas_dies() {
    run(Product::Sqlite, Scenario::OneOfTwoDies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_while_the_old_one_runs() {
    run(Product::Sqlite, Scenario::Rolling).await;
}
