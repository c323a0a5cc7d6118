//! The faults, one module each. Every scenario says what a user sees and what must hold; all end with an account that adds up.

pub mod clock;
pub mod disk;
pub mod kill;
pub mod replicas;
pub mod rolling;
pub mod server;
pub mod sink;

use anyhow::Result;

use crate::account::Account;
use crate::database::Product;
use crate::service::Service;
use crate::world::Bench;

/// All scenarios by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    UiApiKilled,
    EvaluatorKilled,
    DispatcherKilled,
    DeliveryWorkerKilled,
    OpsWorkerKilled,
    EachServiceKilled,
    EverythingKilled,
    ReceiverMisbehaves,
    JobsDie,
    DiskFull,
    ClockStepped,
    ClockOfOneWrong,
    OneReplica,
    TwoReplicas,
    FourReplicas,
    OneOfTwoDies,
    OneDepth,
    Rolling,
    ServerKilled,
    ConnectionsEnded,
    ConnectionsExhausted,
    TransactionHeld,
    NetworkCut,
    NetworkSilent,
    NetworkSlow,
}

impl Scenario {
    /// Whether it makes sense on this database.
    pub fn is_for(self, product: Product) -> bool {
        match self {
            Self::DiskFull => product == Product::Sqlite,
            Self::ServerKilled
            | Self::ConnectionsEnded
            | Self::ConnectionsExhausted
            | Self::TransactionHeld
            | Self::NetworkCut
            | Self::NetworkSilent
            | Self::NetworkSlow => product == Product::Postgres,
            _ => true,
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// What did not hold, with the account or the logs.
    pub async fn run(self, bench: &Bench) -> Result<Account> {
        match self {
            Self::UiApiKilled => kill::kill_9(bench, Service::UiApi).await,
            Self::EvaluatorKilled => kill::kill_9(bench, Service::Evaluator).await,
            Self::DispatcherKilled => kill::kill_9(bench, Service::Dispatcher).await,
            Self::DeliveryWorkerKilled => kill::kill_9(bench, Service::DeliveryWorker).await,
            Self::OpsWorkerKilled => kill::kill_9(bench, Service::OpsWorker).await,
            Self::EachServiceKilled => kill::kill_9_each(bench).await,
            Self::EverythingKilled => kill::kill_9_all(bench).await,
            Self::ReceiverMisbehaves => sink::misbehaves_then_is_well(bench).await,
            Self::JobsDie => sink::jobs_die_and_are_replayed(bench).await,
            Self::DiskFull => disk::is_full(bench).await,
            Self::ClockStepped => clock::is_stepped(bench).await,
            Self::ClockOfOneWrong => clock::of_one_replica_is_wrong(bench).await,
            Self::OneReplica => replicas::share(bench, 1).await,
            Self::TwoReplicas => replicas::share(bench, 2).await,
            Self::FourReplicas => replicas::share(bench, 4).await,
            Self::OneOfTwoDies => replicas::one_of_two_dies(bench).await,
            Self::OneDepth => replicas::count_one_depth(bench).await,
            Self::Rolling => rolling::versions_side_by_side(bench).await,
            Self::ServerKilled => server::is_killed(bench).await,
            Self::ConnectionsEnded => server::ends_all_connections(bench).await,
            Self::ConnectionsExhausted => server::has_no_connection_left(bench).await,
            Self::TransactionHeld => server::has_a_transaction_held_open(bench).await,
            Self::NetworkCut => server::is_cut_off(bench).await,
            Self::NetworkSilent => server::is_silent(bench).await,
            Self::NetworkSlow => server::is_far_away(bench).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_documentation_has_every_fault() {
        let page = include_str!("../../../docs/soak.md");
        for scenario in Scenario::value_variants() {
            let name = scenario.to_possible_value().unwrap();
            assert!(page.contains(&format!("`{}`", name.get_name())), "docs/soak.md does not tell of {}", name.get_name());
        }
    }
}
