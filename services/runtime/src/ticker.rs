//! The beat of a loop that does something every so often: the one ticker of all services.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much of the time between two ticks is random, so that replicas do not march in step.
const SPREAD: f64 = 0.1;

/// Ticks at once, and then each time within the given period after the tick before. A tick that is taken late delays those after it: none
/// is made up for.
#[derive(Debug)]
pub struct Ticker {
    every: Duration,
    next: Instant,
}

impl Ticker {
    /// A ticker whose first tick is due now.
    pub fn every(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    /// Waits for the next tick. A wait that is cancelled loses nothing.
    pub async fn tick(&mut self) {
        sleep_until(self.next).await;
        self.next = Instant::now() + self.every.mul_f64(1.0 - SPREAD * rand::random::<f64>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ticks_are_a_period_apart_and_a_late_one_is_not_made_up_for() {
        let (every, start) = (Duration::from_millis(50), Instant::now());
        let mut ticker = Ticker::every(every);
        ticker.tick().await;
        ticker.tick().await;
        assert!(start.elapsed() >= every.mul_f64(1.0 - SPREAD));
        tokio::time::sleep(every * 3).await;
        ticker.tick().await;
        let late = Instant::now();
        ticker.tick().await;
        assert!(late.elapsed() >= every.mul_f64(1.0 - SPREAD));
    }
}
