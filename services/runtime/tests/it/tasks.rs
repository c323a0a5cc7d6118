//! No task dies unseen.

use std::time::Duration;

use pulse_runtime::{Error, Shutdown, Tasks};

const DRAIN: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_task_that_ends_early_ends_all() {
    let shutdown = Shutdown::new();
    let mut tasks = Tasks::new(shutdown.clone());
    let other = shutdown.clone();
    tasks.spawn_loop("the patient one", async move { other.triggered().await });
    tasks.spawn_loop("the hasty one", async {});
    assert_eq!(tasks.join(DRAIN).await.unwrap_err().to_string(), "the hasty one ended before it was asked to");
    assert!(shutdown.is_triggered());
}

#[tokio::test]
async fn a_panic_is_a_failure() {
    let mut tasks = Tasks::new(Shutdown::new());
    tasks.spawn_loop("the careless one", async { panic!("a defect") });
    assert!(matches!(tasks.join(DRAIN).await, Err(Error::Task { .. })));
}

#[tokio::test]
async fn tasks_that_do_not_end_are_cut() {
    let shutdown = Shutdown::new();
    let mut tasks = Tasks::new(shutdown.clone());
    tasks.spawn_loop("the stubborn one", std::future::pending());
    shutdown.trigger();
    assert!(tasks.join(DRAIN).await.unwrap_err().to_string().contains("within the drain"));
}

#[tokio::test]
async fn all_that_end_after_shutdown_are_fine() {
    let shutdown = Shutdown::new();
    let mut tasks = Tasks::new(shutdown.clone());
    let asked = shutdown.clone();
    tasks.spawn("the good one", async move {
        asked.triggered().await;
        Ok(())
    });
    shutdown.trigger();
    tasks.join(DRAIN).await.unwrap();
}
