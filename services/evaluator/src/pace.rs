//! The pace of wake-ups: under a stream of readings, cycles keep a short pause between them. Batches form meanwhile, and the store's one
//! writer is free for ingest. The first reading after a quiet time is let through at once.

use std::time::Duration;

use pulse_store::Wake;
use tokio::sync::watch;
use tokio::time::Instant;

/// Since when no cycle is under way; none while one is.
type Resting = Option<Instant>;

/// Knows when cycles are under way.
#[derive(Debug)]
pub(crate) struct Pace {
    min_interval: Duration,
    resting: watch::Sender<Resting>,
}

impl Pace {
    pub(crate) fn new(min_interval: Duration) -> Self {
        let long_ago = Instant::now().checked_sub(min_interval);
        Self { min_interval, resting: watch::Sender::new(Some(long_ago.unwrap_or_else(Instant::now))) }
    }

    /// A wake-up that follows `source` at this pace, as long as the returned [`Pacing`] is run.
    pub(crate) fn slow(&self, source: Wake) -> (Wake, Pacing) {
        let (signals, slowed) = watch::channel(0);
        (Wake::new(slowed), Pacing { source, signals, min_interval: self.min_interval, resting: self.resting.subscribe() })
    }

    /// A cycle is under way until the guard is dropped.
    pub(crate) fn cycle(&self) -> impl Drop + Send + '_ {
        self.resting.send_replace(None);
        Under(self)
    }
}

struct Under<'a>(&'a Pace);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.resting.send_replace(Some(Instant::now()));
    }
}

/// Hands signals on.
#[derive(Debug)]
pub(crate) struct Pacing {
    source: Wake,
    signals: watch::Sender<u64>,
    min_interval: Duration,
    resting: watch::Receiver<Resting>,
}

impl Pacing {
    /// Runs until the [`Pace`] is gone.
    pub(crate) async fn run(mut self) {
        loop {
            self.source.signalled().await;
            if self.rested().await.is_err() {
                return;
            }
            // What is signalled from here on asks for a further cycle.
            self.source.arm();
            self.signals.send_modify(|count| *count += 1);
        }
    }

    /// Waits until the last cycle has been over for the pause.
    async fn rested(&mut self) -> Result<(), watch::error::RecvError> {
        loop {
            let resting = *self.resting.borrow_and_update();
            match resting {
                None => self.resting.changed().await?,
                Some(since) => tokio::select! {
                    biased;
                    changed = self.resting.changed() => changed?,
                    () = tokio::time::sleep_until(since + self.min_interval) => return Ok(()),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(50);

    struct World {
        pace: Pace,
        readings: watch::Sender<u64>,
        wake: Wake,
    }

    fn world() -> World {
        let (readings, source) = watch::channel(0);
        let pace = Pace::new(PAUSE);
        let (wake, pacing) = pace.slow(Wake::new(source));
        tokio::spawn(pacing.run());
        World { pace, readings, wake }
    }

    /// How long after `start` the next wake-up comes.
    async fn woken(world: &mut World, start: Instant) -> Duration {
        world.wake.signalled().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_after_a_quiet_time_is_let_through_at_once() {
        let mut world = world();
        let start = Instant::now();
        world.readings.send_modify(|count| *count += 1);
        assert!(woken(&mut world, start).await < Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_signals_is_one_wake_up_a_pause() {
        let mut world = world();
        let readings = world.readings.clone();
        let stream = tokio::spawn(async move {
            for _ in 0..1_000 {
                readings.send_modify(|count| *count += 1);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let mut wakes = 0;
        while !stream.is_finished() {
            if tokio::time::timeout(Duration::from_secs(1), world.wake.signalled()).await.is_err() {
                break;
            }
            world.wake.arm();
            wakes += 1;
            let cycle = world.pace.cycle();
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(cycle);
        }
        assert!((16..=19).contains(&wakes), "{wakes}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_signalled_during_a_cycle_waits_for_its_end_and_the_pause() {
        let mut world = world();
        let start = Instant::now();
        let cycle = world.pace.cycle();
        world.readings.send_modify(|count| *count += 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(cycle);
        let woken = woken(&mut world, start).await;
        assert!((250..=252).contains(&woken.as_millis()), "{woken:?}");
    }
}
