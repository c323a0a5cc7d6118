//! The chaos suite: each fault with load running and an account at the end. The faults are in `pulse-soak`, whose long forms `tools/soak` runs;
//! here each takes seconds.
//!
//! A program of its own, so that no other test runs beside it, and one fault at a time, so that each has the machine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod sqlite;

use std::path::PathBuf;

use pulse_soak::account::Account;
use pulse_soak::scale::Scale;
use pulse_soak::world::Bench;

/// One fault at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The program of this build, for seconds.
fn bench() -> Bench {
    Bench { program: PathBuf::from(env!("CARGO_BIN_EXE_pulse")), next_program: None, scale: Scale::short() }
}

/// Runs a scenario when its turn has come, and shows its account.
#[allow(clippy::print_stderr, reason = "how many came twice is reported, not judged")]
async fn run(scenario: impl AsyncFnOnce(&Bench) -> anyhow::Result<Account>) {
    let _turn = TURN.lock().await;
    match scenario(&bench()).await {
        Ok(account) => eprintln!("{account}"),
        Err(error) => panic!("{error:#}"),
    }
}
