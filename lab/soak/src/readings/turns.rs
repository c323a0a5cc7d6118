//! A turn of a way: writers that write batches until the time is up.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use pulse_domain::ids::DeviceKey;
use pulse_store::IngestStore as _;
use pulse_store::postgres::PostgresStore;
use sqlx::PgConnection;

use super::batches::{self, Batch};
use super::{Way, bare};
use crate::database::Scratch;

/// A turn begins with this part of its time that does not count: caches fill, statements are prepared.
const WARMUP_PART: u32 = 4;

/// What the turns of one case share.
#[derive(Debug)]
pub(crate) struct Turns<'a> {
    database: &'a Scratch,
    batches: Vec<Batch>,
    connections: usize,
    turn: Duration,
}

/// What a writer writes through.
enum Door {
    Bare(bare::Bare, Box<PgConnection>),
    Store(Box<PostgresStore>),
}

impl<'a> Turns<'a> {
    pub(crate) fn new(
        database: &'a Scratch,
        devices: &[DeviceKey],
        batch: usize,
        connections: usize,
        turn: Duration,
    ) -> anyhow::Result<Self> {
        let batches = batches::of(devices, batch)?;
        anyhow::ensure!(
            (1..=batches.len()).contains(&connections),
            "{} devices make {} batches of {batch}: too few for {connections} writers with devices of their own",
            devices.len(),
            batches.len()
        );
        Ok(Self { database, batches, connections, turn })
    }

    /// Tables as before the first reading.
    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        bare::reset(&mut self.database.connect().await?).await
    }

    /// Readings a second over one turn, its last batches included.
    pub(crate) async fn take(&self, way: Way) -> anyhow::Result<f64> {
        self.reset().await?;
        let store = self.database.store(u32::try_from(self.connections)?)?;
        let mut writers = Vec::new();
        let counted_from = Instant::now() + self.turn / WARMUP_PART;
        for number in 0..self.connections {
            let door = match way {
                Way::Bare(bare) => Door::Bare(bare, Box::new(self.database.connect().await?)),
                Way::Store => Door::Store(Box::new(store.clone())),
            };
            // Each writer has batches of its own, so that no two write the same device at once.
            let own = self.batches.iter().skip(number).step_by(self.connections).cloned().collect();
            writers.push(tokio::spawn(write(door, own, counted_from, counted_from + self.turn)));
        }
        let rates: Vec<f64> = try_join_all(writers).await?.into_iter().collect::<anyhow::Result<_>>()?;
        Ok(rates.iter().sum())
    }
}

/// Writes batches until the time is up; readings a second of those begun once it counts.
async fn write(mut door: Door, mut batches: Vec<Batch>, counted_from: Instant, until: Instant) -> anyhow::Result<f64> {
    let (mut rows, mut begun) = (0_usize, None);
    for number in 0.. {
        let now = Instant::now();
        if now >= until {
            break;
        }
        if now >= counted_from && begun.is_none() {
            begun = Some(now);
        }
        let next = number % batches.len();
        let batch = &mut batches[next];
        batch.receive(chrono::Utc::now());
        match &mut door {
            Door::Bare(bare, connection) => bare.write(connection, &batch.columns).await?,
            Door::Store(store) => store.append_readings(&batch.readings).await?,
        }
        rows += if begun.is_some() { batch.readings.len() } else { 0 };
    }
    let seconds = begun.map_or(f64::INFINITY, |begun| begun.elapsed().as_secs_f64());
    Ok(f64::from(u32::try_from(rows)?) / seconds)
}
