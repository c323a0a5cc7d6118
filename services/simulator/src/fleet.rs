//! The fleet: which devices there are and what each of them says, from a seed. Pure: no clock, no network.
//!
//! What device `i` says depends on the plan and on `i` alone, never on timing or on other devices, so a run can be repeated and one device
//! can be looked at by itself.

use std::time::Duration;

use pulse_domain::ids::{DeviceId, GroupId, InvalidName, SiteId};
use pulse_domain::reading::{MetricValue, ReadingKind};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

pub mod rules;
pub mod sensor;
pub mod troubles;

pub use troubles::Troubles;

use sensor::{Sensor, SensorKind};
use troubles::DeviceTroubles;

/// The shape of a fleet and of its troubles.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetPlan {
    pub seed: u64,
    /// At least 1.
    pub devices: u32,
    /// How far apart the messages of one device are.
    pub interval: Duration,
    /// The share of messages that are heartbeats, from 0 to 1.
    pub heartbeat_share: f64,
    pub troubles: Troubles,
}

impl FleetPlan {
    /// `devices` (at least 1) that make `rate` readings a second in all; `rate` is held between one reading an hour and 1,000 a second for
    /// each device.
    pub fn at_rate(seed: u64, devices: u32, rate: f64) -> Self {
        let devices = devices.max(1);
        let seconds = (f64::from(devices) / rate.max(f64::MIN_POSITIVE)).clamp(0.001, 3_600.0);
        Self { seed, devices, interval: Duration::from_secs_f64(seconds), heartbeat_share: 0.05, troubles: Troubles::default() }
    }

    /// Readings a second in all, silences apart.
    pub fn rate(&self) -> f64 {
        f64::from(self.devices) / self.interval.as_secs_f64().max(0.001)
    }
}

/// Who a device is, as it is registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub device_id: DeviceId,
    pub site_id: SiteId,
    pub group_id: GroupId,
    pub kind: SensorKind,
}

/// How many devices stand at one site.
const DEVICES_PER_SITE: u32 = 24;

/// The device number `index` of any fleet: kinds take turns, and a site holds some of each.
pub fn profile(index: u32) -> Result<Profile, InvalidName> {
    let kind = SensorKind::of(index);
    Ok(Profile {
        device_id: DeviceId::parse(&format!("{}-{index:05}", kind.device_type()))?,
        site_id: SiteId::parse(&format!("site-{:03}", site_number(index)))?,
        group_id: GroupId::parse(kind.group())?,
        kind,
    })
}

/// The site of the device number `index`, from 0.
pub fn site_number(index: u32) -> u32 {
    index / DEVICES_PER_SITE
}

/// One message of a device, before it is put into words.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The device's number.
    pub device: u32,
    /// Counts up from 1.
    pub seq: i64,
    /// When it is due, from the start of the run.
    pub at: Duration,
    pub kind: ReadingKind,
    pub metrics: Vec<(&'static str, MetricValue)>,
    /// Part of a breach.
    pub in_breach: bool,
}

/// One device's endless sequence of messages, in order of time.
#[derive(Debug, Clone)]
pub struct DeviceModel {
    device: u32,
    seq: i64,
    at: Duration,
    interval: Duration,
    heartbeat_share: f64,
    sensor: Sensor,
    troubles: DeviceTroubles,
    rng: Pcg64Mcg,
}

impl DeviceModel {
    /// The device number `index` of the plan.
    pub fn new(plan: &FleetPlan, index: u32) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(device_seed(plan.seed, index));
        let interval = plan.interval.max(Duration::from_millis(1));
        let phase = interval.mul_f64(rng.random::<f64>());
        let kind = SensorKind::of(index);
        let troubles = DeviceTroubles::new(&plan.troubles, kind, index, interval, &mut rng);
        let sensor = Sensor::new(kind, &mut rng);
        Self { device: index, seq: 0, at: phase, interval, heartbeat_share: plan.heartbeat_share, sensor, troubles, rng }
    }

    /// The device's number.
    pub fn device(&self) -> u32 {
        self.device
    }

    /// When the next message is due.
    pub fn next_at(&self) -> Duration {
        self.at
    }

    /// The next message.
    pub fn advance(&mut self) -> Message {
        let at = self.at;
        let excursion = self.troubles.excursion(at, &mut self.rng);
        let readings = self.sensor.step(at, excursion, &mut self.rng);
        let is_heartbeat = self.rng.random::<f64>() < self.heartbeat_share;
        if !is_heartbeat {
            self.sensor.say();
        }
        self.seq += 1;
        self.at = self.troubles.after_silence(at + self.interval, self.interval);
        Message {
            device: self.device,
            seq: self.seq,
            at,
            kind: if is_heartbeat { ReadingKind::Heartbeat } else { ReadingKind::Telemetry },
            metrics: if is_heartbeat { Vec::new() } else { readings },
            in_breach: excursion > 0.0,
        }
    }
}

impl Iterator for DeviceModel {
    type Item = Message;
    fn next(&mut self) -> Option<Message> {
        Some(self.advance())
    }
}

/// Spreads the device's number over all bits, so that neighbours have nothing in common (the finaliser of SplitMix64).
fn device_seed(seed: u64, index: u32) -> u64 {
    let mut z = seed.wrapping_add(u64::from(index).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
