//! Remembers when readings of breaches were sent, so that the time from the device to the receiver can be measured from outside.
//!
//! The driver notes when it began to send each reading of a breach. The sink asks with what a message says: the device, the metric and the
//! value that fired. Values are drawn to a thousandth, so that a value is nearly always that of one reading; where it is not (a truth
//! value that stays true), nothing is measured rather than something wrong.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pulse_domain::reading::MetricValue;

use crate::fleet::Message;
use crate::wire::FleetAccess;

/// How many of a device's readings in breaches are kept.
const READINGS_PER_DEVICE: usize = 32;

/// What was sent when. Bounded: the latest readings of each device.
#[derive(Debug)]
pub struct SentReadings {
    number_of: HashMap<String, usize>,
    devices: Vec<Mutex<VecDeque<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    sent: Instant,
    metrics: Vec<(&'static str, MetricValue)>,
}

impl SentReadings {
    /// An empty one for a fleet.
    pub fn new(access: &FleetAccess) -> Self {
        let number_of = access.devices.iter().enumerate().map(|(number, device)| (device.device_id.to_string(), number)).collect();
        Self { number_of, devices: access.devices.iter().map(|_| Mutex::default()).collect() }
    }

    /// The first attempt to send this reading begins now. Readings outside breaches are not kept: no alert speaks of them.
    pub fn note(&self, message: &Message, sent: Instant) {
        if !message.in_breach || message.metrics.is_empty() {
            return;
        }
        let Some(device) = self.devices.get(message.device as usize) else { return };
        let mut entries = device.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == READINGS_PER_DEVICE {
            entries.pop_front();
        }
        entries.push_back(Entry { sent, metrics: message.metrics.clone() });
    }

    /// When the reading of `device_id` was sent in which `metric` was `value`; none when no reading or more than one fits.
    pub fn sent_at(&self, device_id: &str, metric: &str, value: f64) -> Option<Instant> {
        let device = self.devices.get(*self.number_of.get(device_id)?)?;
        let entries = device.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fitting =
            entries.iter().filter(|entry| entry.metrics.iter().any(|(name, own)| *name == metric && same(own.as_f64(), value)));
        let found = fitting.next()?;
        if fitting.next().is_some() { None } else { Some(found.sent) }
    }
}

/// Equal to the thousandth that values are drawn to.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.000_5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::profile;
    use crate::wire::DeviceAccess;
    use pulse_domain::credential::SecretToken;
    use pulse_domain::ids::TenantId;
    use pulse_domain::reading::ReadingKind;
    use std::time::Duration;

    fn message(value: f64, in_breach: bool) -> Message {
        let metrics = vec![("temperature_c", MetricValue::Number(value))];
        Message { device: 0, seq: 1, at: Duration::ZERO, kind: ReadingKind::Telemetry, metrics, in_breach }
    }

    #[test]
    fn only_the_one_reading_that_fits_is_found() {
        let own = profile(0).unwrap();
        let device = DeviceAccess { device_id: own.device_id.clone(), site_id: own.site_id, token: SecretToken::from_text("t") };
        let sent_readings = SentReadings::new(&FleetAccess { tenant_id: TenantId::parse("demo").unwrap(), devices: vec![device] });
        let start = Instant::now();
        for (offset, value) in [(1, -8.125), (2, -7.5), (3, -7.5)] {
            sent_readings.note(&message(value, true), start + Duration::from_secs(offset));
        }
        sent_readings.note(&message(-18.0, false), start);
        let id = own.device_id.as_str();
        assert_eq!(sent_readings.sent_at(id, "temperature_c", -8.125), Some(start + Duration::from_secs(1)));
        assert_eq!(sent_readings.sent_at(id, "temperature_c", -7.5), None, "two readings fit");
        assert_eq!(sent_readings.sent_at(id, "temperature_c", -18.0), None, "outside a breach");
        assert_eq!(sent_readings.sent_at(id, "humidity_pct", -8.125), None);
        assert_eq!(sent_readings.sent_at("other", "temperature_c", -8.125), None);
        for step in 0..100 {
            sent_readings.note(&message(f64::from(step), true), start);
        }
        assert_eq!(sent_readings.sent_at(id, "temperature_c", -8.125), None, "the latest readings are kept, no more");
    }
}
