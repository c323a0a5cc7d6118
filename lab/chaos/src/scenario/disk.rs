//! The disk under a file of SQLite is full, then has room again.

use anyhow::{Context as _, Result, ensure};

use crate::account::Account;
use crate::small_disk::SmallDisk;
use crate::world::{Bench, Setup, World};

/// The disk's size: enough for the log before it is carried into the file, and for a short load.
const DISK_MB: u64 = 96;

/// The disk is full under load.
///
/// A user sees: devices are answered 503 and keep their readings, /ready of ui_api says that readings cannot be written, no service ends. Once
/// there is room again all goes on by itself. What must hold: the account; nothing is acknowledged that was not kept.
pub async fn is_full(bench: &Bench) -> Result<Account> {
    let disk = SmallDisk::mount(DISK_MB)?;
    let mut world = World::start(bench, Setup { folder: Some(disk.path()), ..Setup::default() }).await?;
    for _ in 0..bench.scale.rounds {
        disk.fill()?;
        let refused = world.answers(503);
        let look = async |world: &World| if world.answers(503) > refused { Ok(()) } else { Err("no 503 yet".to_owned()) };
        world.wait(bench.scale.hold * 5, "devices are refused while the disk is full", look).await?;
        tokio::time::sleep(bench.scale.hold / 2).await;
        world.check().context("the disk is full")?;
        disk.free()?;
        world.steady().await?;
    }
    ensure!(world.answers(503) > 0, "nothing was refused");
    world.finish().await
}
