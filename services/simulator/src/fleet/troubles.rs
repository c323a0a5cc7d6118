//! A device's troubles: when it breaches and how deep, and when it falls silent.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use super::sensor::SensorKind;

/// One device in this many falls silent now and then.
const SILENT_EVERY: u32 = 97;
/// The first of those.
const SILENT_FIRST: u32 = 5;
/// When they fall silent first, before the spread over devices.
const SILENT_FROM: Duration = Duration::from_secs(6);
/// A breach holds at least this many readings, so that a slow device shows it too.
const BREACH_READINGS_MIN: u32 = 5;
/// The share of a breach in which the values rise, and again in which they fall.
const RAMP: f64 = 0.15;

/// When devices breach and when they fall silent.
#[derive(Debug, Clone, PartialEq)]
pub struct Troubles {
    /// The share of devices whose first breach comes within [`Self::first_breach`], from 0 to 1; that of the others comes later.
    pub early_share: f64,
    /// Earliest and latest start of those first breaches.
    pub first_breach: (Duration, Duration),
    /// Shortest and longest breach, beyond the duration that a sensor's rule asks for; never less than a few readings.
    pub breach_length: (Duration, Duration),
    /// The mean time between two breaches of a device.
    pub breach_gap: Duration,
    /// How long a silent device stays silent. Beyond the heartbeat limit (30 s by default) it becomes STALE.
    pub silence: Duration,
    /// The time from the end of one silence to the start of the next.
    pub silence_gap: Duration,
}

impl Default for Troubles {
    fn default() -> Self {
        Self {
            early_share: 0.2,
            first_breach: (Duration::from_secs(2), Duration::from_secs(12)),
            breach_length: (Duration::from_secs(4), Duration::from_secs(7)),
            breach_gap: Duration::from_secs(180),
            silence: Duration::from_secs(45),
            silence_gap: Duration::from_secs(240),
        }
    }
}

/// Whether the device number `index` falls silent now and then.
pub fn falls_silent(index: u32) -> bool {
    index % SILENT_EVERY == SILENT_FIRST
}

/// One device's troubles. Asked in order of time.
#[derive(Debug, Clone)]
pub struct DeviceTroubles {
    breach: Span,
    breach_length: (Duration, Duration),
    breach_gap: Duration,
    silence: Option<Span>,
    silence_gap: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: Duration,
    end: Duration,
}

impl DeviceTroubles {
    /// The troubles of the device number `index`, which reports every `interval`.
    pub fn new(troubles: &Troubles, kind: SensorKind, index: u32, interval: Duration, rng: &mut impl Rng) -> Self {
        let rule = kind.rule_duration();
        let floor = rule + interval * BREACH_READINGS_MIN;
        let (shortest, longest) = troubles.breach_length;
        let breach_length = ((rule + shortest).max(floor), (rule + longest).max(floor));
        let is_early = rng.random::<f64>() < troubles.early_share;
        let (from, to) = if is_early {
            troubles.first_breach
        } else {
            let after = troubles.first_breach.1;
            (after, after + troubles.breach_gap * 2)
        };
        let start = between(from, to, rng);
        let breach = Span { start, end: start + between(breach_length.0, breach_length.1, rng) };
        let silence = falls_silent(index).then(|| {
            let start = SILENT_FROM + Duration::from_millis(500) * (index / SILENT_EVERY % 60);
            Span { start, end: start + troubles.silence }
        });
        Self { breach, breach_length, breach_gap: troubles.breach_gap, silence, silence_gap: troubles.silence_gap }
    }

    /// How deep in a breach the device is at `at`: 0 outside, 1 at the height of it.
    pub fn excursion(&mut self, at: Duration, rng: &mut impl Rng) -> f64 {
        while at >= self.breach.end {
            let start = self.breach.end + between(self.breach_gap / 2, self.breach_gap + self.breach_gap / 2, rng);
            self.breach = Span { start, end: start + between(self.breach_length.0, self.breach_length.1, rng) };
        }
        if at < self.breach.start {
            return 0.0;
        }
        let length = (self.breach.end - self.breach.start).as_secs_f64();
        let through = (at - self.breach.start).as_secs_f64() / length;
        (through / RAMP).min((1.0 - through) / RAMP).clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// The instant of the next message: `at`, or the first one of the device's rhythm after the silence that `at` falls into.
    pub fn after_silence(&mut self, at: Duration, interval: Duration) -> Duration {
        let Some(silence) = &mut self.silence else { return at };
        if at < silence.start {
            return at;
        }
        let missed = silence.end.saturating_sub(at).as_nanos().div_ceil(interval.as_nanos().max(1));
        let next = at + interval * u32::try_from(missed).unwrap_or(u32::MAX);
        let length = silence.end - silence.start;
        let start = next.max(silence.end) + self.silence_gap;
        *silence = Span { start, end: start + length };
        next
    }
}

fn between(from: Duration, to: Duration, rng: &mut impl Rng) -> Duration {
    from + to.saturating_sub(from).mul_f64(rng.random::<f64>())
}
