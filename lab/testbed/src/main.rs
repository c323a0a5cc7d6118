//! A PostgreSQL to try things on: `cargo run -p pulse-testbed` starts one, shows its URL, and it is gone when its input ends or with Ctrl-C.
#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::io::Read as _;

use pulse_testbed::postgres::{Cluster, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let cluster = Cluster::start(Settings::default()).await;
    println!("{}", cluster.database().await.url());
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
