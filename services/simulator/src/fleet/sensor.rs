//! Sensors: what each kind measures, how its values wander about their mean, and how far a breach carries them.

use std::f64::consts::TAU;
use std::time::Duration;

use pulse_domain::reading::MetricValue;
use rand::{Rng, RngExt as _};

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SensorKind {
    Freezer,
    Climate,
    Motor,
    Tracker,
    Door,
    Pump,
}

impl SensorKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Freezer, Self::Climate, Self::Motor, Self::Tracker, Self::Door, Self::Pump];

    /// The kind of the device number `index`: they take turns.
    pub fn of(index: u32) -> Self {
        Self::ALL[index as usize % Self::ALL.len()]
    }

    /// Its `device_type`.
    pub fn device_type(self) -> &'static str {
        match self {
            Self::Freezer => "freezer",
            Self::Climate => "climate",
            Self::Motor => "motor",
            Self::Tracker => "tracker",
            Self::Door => "door",
            Self::Pump => "pump",
        }
    }

    /// The group it belongs to.
    pub fn group(self) -> &'static str {
        match self {
            Self::Freezer | Self::Climate => "cold-chain",
            Self::Motor | Self::Pump => "machines",
            Self::Tracker | Self::Door => "yard",
        }
    }

    /// The duration of the demo's rule for it: a breach lasts longer.
    pub fn rule_duration(self) -> Duration {
        match self {
            Self::Freezer | Self::Door => Duration::from_secs(3),
            Self::Climate | Self::Motor | Self::Tracker | Self::Pump => Duration::ZERO,
        }
    }

    /// What it measures; a door's state is not a walk.
    pub fn walks(self) -> &'static [Walk] {
        match self {
            Self::Freezer => &[Walk { metric: "temperature_c", mean: -18.5, spread: 3.0, swing: 0.8, breach: 14.0 }],
            Self::Climate => &[
                Walk { metric: "humidity_pct", mean: 46.0, spread: 12.0, swing: 3.0, breach: 48.0 },
                Walk { metric: "temperature_c", mean: 21.0, spread: 3.0, swing: 1.0, breach: 0.0 },
            ],
            Self::Motor => &[
                Walk { metric: "vibration_mm_s", mean: 2.4, spread: 1.2, swing: 0.2, breach: 9.0 },
                Walk { metric: "bearing_c", mean: 55.0, spread: 8.0, swing: 2.0, breach: 40.0 },
            ],
            Self::Tracker => &[
                Walk { metric: "battery_v", mean: 3.85, spread: 0.2, swing: 0.05, breach: -0.85 },
                Walk { metric: "speed_kmh", mean: 42.0, spread: 30.0, swing: 10.0, breach: 0.0 },
            ],
            Self::Door => &[Walk { metric: "battery_v", mean: 3.0, spread: 0.1, swing: 0.02, breach: 0.0 }],
            Self::Pump => &[
                Walk { metric: "pressure_kpa", mean: 610.0, spread: 35.0, swing: 10.0, breach: -190.0 },
                Walk { metric: "flow_l_min", mean: 84.0, spread: 9.0, swing: 3.0, breach: -30.0 },
            ],
        }
    }
}

/// The metric of a door.
pub const DOOR_OPEN: &str = "door_open";

/// How one value wanders: back towards its mean, disturbed a little at each step, with a slow swing on top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walk {
    pub metric: &'static str,
    pub mean: f64,
    /// The walk stays this close to the mean, whatever the noise.
    pub spread: f64,
    /// The height of the slow swing.
    pub swing: f64,
    /// What a whole breach adds.
    pub breach: f64,
}

impl Walk {
    /// The least and the most that it says outside a breach.
    pub fn normal_range(&self) -> (f64, f64) {
        (self.mean - self.spread - self.swing, self.mean + self.spread + self.swing)
    }
}

/// How much of the distance to the mean one step makes up for.
const REVERSION: f64 = 0.08;
/// The most that one step disturbs, as a share of the spread.
const DISTURBANCE: f64 = 0.35;
/// The length of the slow swing.
const SWING_PERIOD_SECONDS: f64 = 600.0;
/// How often a door is opened and shut again at once, as a share of its readings. The next reading sent says that it is shut.
const DOOR_USE: f64 = 0.04;

/// One device's sensor and where its values stand.
#[derive(Debug, Clone)]
pub struct Sensor {
    kind: SensorKind,
    /// The distance from the mean, a value for each walk.
    offsets: Vec<f64>,
    /// Where in the slow swing this device is, from 0 to 1.
    phase: f64,
    door_is_open: bool,
    /// What the last reading sent said. A heartbeat says nothing of the door, so two uses around one would look like a door left open.
    door_said_open: bool,
}

impl Sensor {
    /// A sensor somewhere within its normal range.
    pub fn new(kind: SensorKind, rng: &mut impl Rng) -> Self {
        let offsets = kind.walks().iter().map(|walk| walk.spread * 0.5 * noise(rng)).collect();
        Self { kind, offsets, phase: rng.random(), door_is_open: false, door_said_open: false }
    }

    /// The values at `at`, `excursion` (0 to 1) deep in a breach.
    pub fn step(&mut self, at: Duration, excursion: f64, rng: &mut impl Rng) -> Vec<(&'static str, MetricValue)> {
        let swing = (TAU * (at.as_secs_f64() / SWING_PERIOD_SECONDS + self.phase)).sin();
        let mut values = Vec::with_capacity(3);
        for (walk, offset) in self.kind.walks().iter().zip(&mut self.offsets) {
            let disturbed = *offset * (1.0 - REVERSION) + walk.spread * DISTURBANCE * noise(rng);
            *offset = disturbed.clamp(-walk.spread, walk.spread);
            let value = walk.mean + *offset + walk.swing * swing + walk.breach * excursion;
            values.push((walk.metric, MetricValue::Number(thousandths(value))));
        }
        if self.kind == SensorKind::Door {
            let is_used = rng.random::<f64>() < DOOR_USE && !self.door_said_open;
            self.door_is_open = excursion > 0.0 || is_used;
            values.push((DOOR_OPEN, MetricValue::Bool(self.door_is_open)));
        }
        values
    }

    /// The values of the last step are sent. Not called for a step whose message is a heartbeat.
    pub fn say(&mut self) {
        self.door_said_open = self.door_is_open;
    }
}

/// From -1 to 1, mostly near 0: bounded, unlike a normal distribution, so that ranges can be promised.
fn noise(rng: &mut impl Rng) -> f64 {
    (rng.random::<f64>() + rng.random::<f64>() + rng.random::<f64>()) / 1.5 - 1.0
}

fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
