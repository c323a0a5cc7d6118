//! Devices that report all the while, as real ones do: each in order, one reading at a time, again until it is acknowledged.
//!
//! A reading's values say which it is (`1000 + seq` where it breaches, `-seq` where it does not), so that an alert tells which readings it is
//! about. A reading may be stored twice, when the acknowledgement was lost on its way; what may not happen is that an acknowledged one is
//! not stored.

mod gateway;
mod pattern;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures::future::try_join_all;
use pulse_runtime::Shutdown;
use serde::Serialize;
use tokio::task::JoinHandle;

use gateway::Gateway;
pub use pattern::{METRICS, Metric, THRESHOLD, is_breach, seq_of};

/// A device and its token.
#[derive(Debug, Clone)]
pub struct Device {
    pub device_id: String,
    pub token: String,
}

/// What became of a device's readings as the device sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Track {
    pub device_id: String,
    /// Readings 0 to this one, exclusive, were sent.
    pub sent: i64,
    /// Of these, which were acknowledged.
    pub acknowledged: Vec<i64>,
}

/// How the devices report.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    pub tenant: String,
    /// Where they may post; each gateway goes on to the next when one does not answer.
    pub urls: Vec<String>,
    /// The devices of each gateway.
    pub gateways: Vec<Vec<Device>>,
    /// Between two readings of a device.
    pub interval: Duration,
}

/// What all gateways count.
#[derive(Debug, Default)]
struct Counts {
    acknowledged: AtomicU64,
    /// Answers by status; 0 where there was none.
    answers: Mutex<BTreeMap<u16, u64>>,
    /// Why a gateway gave up, the first time one did.
    gave_up: OnceLock<String>,
}

impl Counts {
    fn answered(&self, status: u16) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
    }
}

/// Devices under way.
#[derive(Debug)]
pub struct Load {
    stop: Shutdown,
    counts: Arc<Counts>,
    gateways: Vec<JoinHandle<Result<Vec<Track>>>>,
}

/// What the devices can tell at the end.
#[derive(Debug, Clone)]
pub struct Tracks {
    pub devices: Vec<Track>,
    /// Answers by status; 0 where there was none.
    pub answers: BTreeMap<u16, u64>,
}

impl Load {
    /// Begins to report.
    pub fn start(plan: &LoadPlan) -> Result<Self> {
        ensure!(!plan.urls.is_empty(), "there is nowhere to post to");
        let (stop, counts) = (Shutdown::new(), Arc::new(Counts::default()));
        let gateways = plan.gateways.iter().enumerate().map(|(number, devices)| {
            let gateway = Gateway::new(plan, number, devices.clone(), Arc::clone(&counts), stop.clone())?;
            Ok(tokio::spawn(gateway.run()))
        });
        Ok(Self { stop: stop.clone(), counts: Arc::clone(&counts), gateways: gateways.collect::<Result<_>>()? })
    }

    /// Readings acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.counts.acknowledged.load(Ordering::Relaxed)
    }

    /// Posts answered with this status so far; 0 is for those without an answer.
    pub fn answers(&self, status: u16) -> u64 {
        self.counts.answers.lock().unwrap_or_else(PoisonError::into_inner).get(&status).copied().unwrap_or_default()
    }

    /// Fails when a gateway has given up: it was answered something that no retry can mend.
    pub fn check(&self) -> Result<()> {
        self.counts.gave_up.get().map_or(Ok(()), |why| bail!("{why}"))
    }

    /// Ends it. What is under way is not tried again.
    pub async fn stop(&mut self) -> Result<Tracks> {
        self.stop.trigger();
        let mut devices = Vec::new();
        for tracks in try_join_all(self.gateways.drain(..)).await? {
            devices.extend(tracks?);
        }
        let answers = self.counts.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Tracks { devices, answers })
    }
}
