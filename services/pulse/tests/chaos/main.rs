//! The chaos suite: each fault with load running and an account at the end. The faults are in `pulse-chaos`, which `tools/soak chaos` runs
//! for minutes; here each takes seconds.
//!
//! A program of its own, so that no other test runs beside it, and one fault at a time, so that each has the machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::time::Instant;

use pulse_chaos::database::Product;
use pulse_chaos::scale::Scale;
use pulse_chaos::scenario::Scenario;
use pulse_chaos::world::Bench;

/// One fault at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs a scenario for seconds when its turn has come, and shows its account.
#[allow(clippy::print_stderr, reason = "how many came twice is reported, not judged")]
async fn run(product: Product, scenario: Scenario) {
    let _turn = TURN.lock().await;
    let program = PathBuf::from(env!("CARGO_BIN_EXE_pulse"));
    let bench = Bench { program, next_program: None, product, scale: Scale::short() };
    let started = Instant::now();
    match scenario.run(&bench).await {
        Ok(account) => eprintln!("── {scenario:?} on {product:?}, {:.1} s\n{account}", started.elapsed().as_secs_f64()),
        Err(error) => panic!("{error:#}"),
    }
}
