//! Reports for some devices, in order and one request at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use pulse_runtime::Backoff;

use super::door::{Answer, Verdict};
use super::run::Run;
use super::tally::count;
use crate::fleet::{DeviceModel, FleetPlan, Message};
use crate::wire;

/// A device forgets what it could not begin to send for this long.
const LAG_MAX: Duration = Duration::from_secs(30);
/// A message is tried again for this long.
const RETRY_FOR: Duration = Duration::from_secs(60);
/// The longest wait before another attempt that the server did not ask for.
const BACKOFF_MAX: Duration = Duration::from_secs(3);
/// How long a request under way may still take once the run is to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How a reporter's messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each by itself, through the single door.
    Single,
    /// Those of a window together, through the batch door.
    Gateway { window: Duration, batch_max: usize },
}

/// Some devices, and when each has something to say.
#[derive(Debug)]
pub(super) struct Reporter {
    number: usize,
    shape: Shape,
    models: Vec<DeviceModel>,
    /// The next message of each device: when, and the device's place in `models`.
    due: BinaryHeap<Reverse<(Duration, usize)>>,
}

impl Reporter {
    pub(super) fn new(number: usize, shape: Shape, fleet: &FleetPlan, devices: &[u32]) -> Self {
        let models: Vec<_> = devices.iter().map(|device| DeviceModel::new(fleet, *device)).collect();
        let due = models.iter().enumerate().map(|(place, model)| Reverse((model.next_at(), place))).collect();
        Self { number, shape, models, due }
    }

    #[cfg(test)]
    pub(super) fn devices(&self) -> Vec<u32> {
        self.models.iter().map(DeviceModel::device).collect()
    }

    #[cfg(test)]
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Sends until the end of the run.
    pub(super) async fn run(mut self, run: Arc<Run>) {
        while let Some(Reverse((first, _))) = self.due.peek().copied() {
            let (at, most) = match self.shape {
                Shape::Single => (first, 1),
                Shape::Gateway { window, batch_max } => (first + window, batch_max),
            };
            if run.end.is_some_and(|end| first >= end) {
                break;
            }
            let at = run.end.map_or(at, |end| at.min(end));
            if run.stop.unless_triggered(tokio::time::sleep_until((run.start + at).into())).await.is_none() {
                break;
            }
            run.tally.busy(self.number, at);
            let messages = self.take(run.start.elapsed(), most, &run);
            if !messages.is_empty() {
                run.deliver(self.shape, messages).await;
            }
            run.tally.idle(self.number);
        }
    }

    /// The messages due by `now`, at most so many. Those that have been due for too long are counted and forgotten.
    fn take(&mut self, now: Duration, most: usize, run: &Run) -> Vec<Message> {
        let mut messages = Vec::with_capacity(most.min(self.models.len()));
        while messages.len() < most
            && let Some(Reverse((at, place))) = self.due.peek().copied()
            && at <= now
            && run.end.is_none_or(|end| at < end)
        {
            self.due.pop();
            let model = &mut self.models[place];
            let message = model.advance();
            self.due.push(Reverse((model.next_at(), place)));
            if now - at > LAG_MAX {
                count(&run.tally.skipped, 1);
            } else {
                messages.push(message);
            }
        }
        messages
    }
}

impl Run {
    /// Sends the messages, and sends again what the server does not take now, until it does or time is up.
    async fn deliver(&self, shape: Shape, mut messages: Vec<Message>) {
        let begun = Instant::now();
        count(&self.tally.sent, messages.len());
        for message in &messages {
            self.sent_readings.note(message, begun);
        }
        let mut backoff = Backoff::up_to(BACKOFF_MAX);
        loop {
            let asked = match self.attempt(shape, &messages).await {
                Ok(answer) => self.sort(&mut messages, answer),
                Err(Unanswered::Stopped) => break,
                Err(Unanswered::Lost) => None,
            };
            if messages.is_empty() {
                return;
            }
            // Devices that were told the same wait come back one after the other.
            let wait = asked.unwrap_or_default() + backoff.failed();
            if begun.elapsed() + wait > RETRY_FOR {
                break;
            }
            if self.stop.unless_triggered(tokio::time::sleep(wait)).await.is_none() {
                break;
            }
            count(&self.tally.retried, messages.len());
        }
        count(&self.tally.given_up, messages.len());
    }

    /// Counts what is settled and leaves what is not. Gives the wait that the server asked for.
    fn sort(&self, messages: &mut Vec<Message>, answer: Answer) -> Option<Duration> {
        let mut verdicts = answer.verdicts.into_iter();
        messages.retain(|_| match verdicts.next() {
            Some(Verdict::Accepted) => {
                self.tally.accepted.fetch_add(1, Ordering::Relaxed);
                false
            }
            Some(Verdict::Rejected(reason)) => {
                self.tally.rejected(reason);
                false
            }
            Some(Verdict::Retry) | None => true,
        });
        answer.retry_after
    }

    /// One request, over a connection of its own.
    async fn attempt(&self, shape: Shape, messages: &[Message]) -> Result<Answer, Unanswered> {
        tokio::select! {
            biased;
            () = self.stop.overdue(STOP_GRACE) => Err(Unanswered::Stopped),
            answer = self.request(shape, messages) => answer,
        }
    }

    async fn request(&self, shape: Shape, messages: &[Message]) -> Result<Answer, Unanswered> {
        let _permit = self.in_flight.acquire().await.map_err(|_closed| Unanswered::Stopped)?;
        let body = self.body(shape, messages).map_err(|error| {
            tracing::error!(%error, "a simulated reading cannot be written");
            Unanswered::Stopped
        })?;
        let started = Instant::now();
        let answer = match (shape, messages) {
            (Shape::Single, [message]) => {
                let device = &self.access.devices[message.device as usize];
                self.door.single(&self.access, device, message, body).await
            }
            _ => self.door.batch(messages.len(), body).await,
        };
        match answer {
            Ok(answer) => {
                self.tally.answered(started.elapsed());
                Ok(answer)
            }
            Err(error) => {
                count(&self.tally.connection_errors, 1);
                tracing::debug!(error = %error.without_url(), "no answer to a simulated reading");
                Err(Unanswered::Lost)
            }
        }
    }

    fn body(&self, shape: Shape, messages: &[Message]) -> Result<Bytes, serde_json::Error> {
        let device = |message: &Message| &self.access.devices[message.device as usize];
        let ts = |message: &Message| Some(self.start_wall + message.at);
        match (shape, messages) {
            (Shape::Single, [message]) => wire::single_body(device(message), message, ts(message)),
            _ => {
                let entries = messages.iter().map(|message| (device(message), message, ts(message)));
                wire::batch_body(&self.access.tenant_id, entries)
            }
        }
    }
}

/// Why a request has no answer.
enum Unanswered {
    /// The run ends.
    Stopped,
    /// No server, or lost on the way.
    Lost,
}
