//! A service is killed, and comes back.

use std::time::Duration;

use anyhow::Result;
use pulse_simulator::sink::behaviour::{Behaviour, Mode};

use crate::account::Account;
use crate::service::Service;
use crate::world::{Bench, Setup, World};

/// Of how long a fault lasts: how long the service is away. With the tests' settings it is half a second.
const AWAY: f64 = 0.125;
/// How long the receiver takes, so that the killed worker has messages under way.
const RECEIVER_DELAY_MS: u64 = 100;

/// kill -9 of one service under load.
///
/// A user sees: while ui_api is away devices are refused a connection and try again; while another is away alerts or messages come late, by
/// the lease of what the killed process had in hand at the most. What must hold: the account. Messages that the receiver has taken and
/// the killed worker had not yet recorded come twice.
pub async fn kill_9(bench: &Bench, service: Service) -> Result<Account> {
    kill_each(bench, &vec![service; bench.scale.rounds as usize]).await
}

/// The same of every service in turn.
pub async fn kill_9_each(bench: &Bench) -> Result<Account> {
    kill_each(bench, &Service::ALL).await
}

async fn kill_each(bench: &Bench, services: &[Service]) -> Result<Account> {
    let mut world = World::start(bench, Setup::default()).await?;
    world.behave(&Behaviour { delay_ms: Some(RECEIVER_DELAY_MS), ..Behaviour::new(Mode::Slow) })?;
    for service in services {
        for instance in world.system.of(*service) {
            instance.kill()?;
        }
        tokio::time::sleep(bench.scale.hold.mul_f64(AWAY)).await;
        world.system.resume().await?;
        world.steady().await?;
    }
    world.finish().await
}

/// kill -9 of everything at once, again and again, at moments that follow no clock of the system's: what a power cut leaves behind.
///
/// A user sees: nothing answers for a moment. What must hold: the account.
pub async fn kill_9_all(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup::default()).await?;
    for round in 0..bench.scale.rounds * 3 {
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 37 % 300)).await;
        for instance in &mut world.system.instances {
            instance.kill()?;
        }
        world.system.resume().await?;
    }
    world.steady().await?;
    world.finish().await
}
