//! A new version takes over, one process at a time.

use anyhow::{Context as _, Result, ensure};

use crate::account::Account;
use crate::scenario::replicas::of_each;
use crate::service::Service;
use crate::world::{Bench, Setup, World};

/// Two of each service are replaced one after the other by the next version, on a schema that is one expanding migration ahead, with both
/// versions side by side for a while.
///
/// A user sees: a device that posts to the process that ends is answered 503 or refused a connection, and the other process takes its reading;
/// alerts and messages go on. What must hold: each process ends well on SIGTERM within its bound; the account.
pub async fn versions_side_by_side(bench: &Bench) -> Result<Account> {
    let mut world = World::start(bench, Setup { replicas: of_each(2), ..Setup::default() }).await?;
    let next = bench.next_program.as_ref().unwrap_or(&bench.program);
    world.database.expand().await.context("the next version's migration")?;
    world.steady().await?;
    for replica in 0..2 {
        for service in Service::ALL {
            let instance = world.system.of(service).nth(replica).with_context(|| format!("there is no {service} {replica}"))?;
            instance.terminate().await?;
            instance.program.clone_from(next);
            world.system.resume().await?;
        }
        world.steady().await?;
    }
    let account = world.finish().await?;
    ensure!(!account.answers.contains_key(&500), "a device was answered 500");
    Ok(account)
}
