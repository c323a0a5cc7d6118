//! What the sink counts and keeps, all of it bounded.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pulse_domain::Timestamp;
use serde::Serialize;

use super::behaviour::Target;
use crate::error::Result;
use crate::latency::{Latencies, LatencySummary};

/// How many message ids are remembered. A double that comes after so many others is taken for new.
const IDS_MAX: usize = 200_000;
/// How many messages are kept.
const MESSAGES_MAX: usize = 100;
/// How much of a message's body is kept, in bytes.
const BODY_KEPT_MAX: usize = 16 * 1024;

/// The sink's numbers at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SinkStats {
    /// Webhooks that arrived, whatever became of them.
    pub webhooks: u64,
    /// Webhooks that were taken with a 200 for the first time: messages delivered.
    pub delivered: u64,
    /// Webhooks that were taken again though an earlier one with their id had been.
    pub duplicates: u64,
    /// Delivered messages by event: OPEN, CLOSED, ESCALATED, ACKNOWLEDGED; any other counts as OTHER.
    pub delivered_by_event: BTreeMap<&'static str, u64>,
    /// Webhooks with a signature that is missing, wrong or too old; answered 401.
    pub bad_signatures: u64,
    /// Webhooks without a well-formed `traceparent`.
    pub missing_trace: u64,
    /// Webhooks and chat messages that are not what they should be; answered 400.
    pub malformed: u64,
    /// Chat messages that arrived, whatever became of them.
    pub chats: u64,
    /// Chat messages that were taken.
    pub chats_delivered: u64,
    /// Messages refused, cut or left hanging because the sink was told to.
    pub misbehaved: u64,
    /// From the first attempt to send the reading that opened an alert to the arrival of the alert's message, for messages of the kind OPEN
    /// delivered for the first time whose reading is known ([`crate::sent_readings`]).
    pub device_to_delivery: LatencySummary,
    /// Delivered messages of the kind OPEN that came from a rule and whose reading is not known.
    pub unmatched: u64,
    /// From an alert's `created_at` to the arrival of its message, for messages of the kind OPEN delivered for the first time. Measured by
    /// two clocks when the server is another machine.
    pub alert_to_delivery: LatencySummary,
}

/// A message as it is kept for `GET /messages`.
#[derive(Debug, Clone, Serialize)]
pub struct KeptMessage {
    pub received_at: Timestamp,
    pub path: Target,
    /// Header names in lower case. Those of unknown names may stand here too.
    pub headers: BTreeMap<String, String>,
    /// The body as text, cut where it is long.
    pub body: String,
}

/// What a webhook told, once it has been read.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) event: &'static str,
    pub(super) device_to_delivery: Option<Duration>,
    pub(super) alert_to_delivery: Option<Duration>,
    /// It opened an alert from a rule.
    pub(super) is_open_by_rule: bool,
}

/// The sink's counters.
#[derive(Debug)]
pub(super) struct SinkTally(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    stats: SinkStats,
    seen: SeenIds,
    messages: VecDeque<KeptMessage>,
    device_to_delivery: Latencies,
    alert_to_delivery: Latencies,
}

impl SinkTally {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Mutex::new(Counts {
            stats: SinkStats::default(),
            seen: SeenIds::default(),
            messages: VecDeque::with_capacity(MESSAGES_MAX),
            device_to_delivery: Latencies::new()?,
            alert_to_delivery: Latencies::new()?,
        })))
    }

    /// The numbers now.
    pub(super) fn stats(&self) -> SinkStats {
        let counts = self.lock();
        SinkStats {
            device_to_delivery: counts.device_to_delivery.summary(),
            alert_to_delivery: counts.alert_to_delivery.summary(),
            ..counts.stats.clone()
        }
    }

    /// The latest messages, oldest first.
    pub(super) fn messages(&self) -> Vec<KeptMessage> {
        self.lock().messages.iter().cloned().collect()
    }

    /// A message came in.
    pub(super) fn arrived(&self, path: Target, headers: &http::HeaderMap, body: &[u8]) {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let body = String::from_utf8_lossy(&body[..body.len().min(BODY_KEPT_MAX)]).into_owned();
        let kept = KeptMessage { received_at: chrono::Utc::now(), path, headers: headers.collect(), body };
        let mut counts = self.lock();
        match path {
            Target::Slack => counts.stats.chats += 1,
            Target::Webhook | Target::All => counts.stats.webhooks += 1,
        }
        if counts.messages.len() == MESSAGES_MAX {
            counts.messages.pop_front();
        }
        counts.messages.push_back(kept);
    }

    /// A webhook is about to be answered with a 200.
    pub(super) fn delivered(&self, delivery: &Delivery) {
        let mut counts = self.lock();
        if !counts.seen.insert(&delivery.id) {
            counts.stats.duplicates += 1;
            return;
        }
        counts.stats.delivered += 1;
        *counts.stats.delivered_by_event.entry(delivery.event).or_default() += 1;
        match delivery.device_to_delivery {
            Some(latency) => counts.device_to_delivery.record(latency),
            None if delivery.is_open_by_rule => counts.stats.unmatched += 1,
            None => {}
        }
        if let Some(latency) = delivery.alert_to_delivery {
            counts.alert_to_delivery.record(latency);
        }
    }

    /// How often a webhook with this id was taken with a 200, as far as its id is still remembered.
    pub(super) fn times_taken(&self, id: &str) -> u32 {
        self.lock().seen.times(id)
    }

    /// Changes the plain counters.
    pub(super) fn count(&self, change: impl FnOnce(&mut SinkStats)) {
        change(&mut self.lock().stats);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ids of the latest messages, as hashes of 64 bits: among so few, two that meet by chance are not to be expected.
#[derive(Debug, Default)]
struct SeenIds {
    hasher: RandomState,
    /// How often each came.
    known: HashMap<u64, u32>,
    in_order: VecDeque<u64>,
}

impl SeenIds {
    /// Whether the id is new.
    fn insert(&mut self, id: &str) -> bool {
        let hash = self.hasher.hash_one(id);
        match self.known.entry(hash) {
            Entry::Occupied(mut times) => {
                *times.get_mut() = times.get().saturating_add(1);
                return false;
            }
            Entry::Vacant(new) => {
                new.insert(1);
            }
        }
        self.in_order.push_back(hash);
        if self.in_order.len() > IDS_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    fn times(&self, id: &str) -> u32 {
        self.known.get(&self.hasher.hash_one(id)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_remembered_within_the_bound() {
        let mut seen = SeenIds::default();
        assert!(seen.insert("first"));
        assert!(!seen.insert("first"));
        assert_eq!((seen.times("first"), seen.times("second")), (2, 0));
        for number in 0..IDS_MAX {
            assert!(seen.insert(&number.to_string()));
        }
        assert_eq!(seen.known.len(), IDS_MAX);
        assert!(seen.insert("first"), "forgotten");
    }

    #[test]
    fn messages_are_kept_within_the_bound() {
        let tally = SinkTally::new().unwrap();
        for _ in 0..MESSAGES_MAX + 5 {
            tally.arrived(Target::Webhook, &http::HeaderMap::new(), &vec![b'x'; BODY_KEPT_MAX + 1]);
        }
        let messages = tally.messages();
        assert_eq!(messages.len(), MESSAGES_MAX);
        assert!(messages.iter().all(|message| message.body.len() == BODY_KEPT_MAX));
        assert_eq!(tally.stats().webhooks, 105);
    }
}
