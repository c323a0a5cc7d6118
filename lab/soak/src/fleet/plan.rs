//! Requests made beforehand: bodies in which only a value and a number change from one report to the next, in place.

use std::time::Duration;

use pulse_domain::ids::DeviceKey;
use pulse_simulator::wire::BATCH_PATH;

use super::FleetSettings;
use crate::population::{self, Population};

/// Breaches the rule "temperature_c GT 80".
const IN_BREACH: &[u8; 5] = b"91.25";
/// Breaches nothing.
const QUIET: &[u8; 5] = b"21.50";
/// Sequence numbers all have as many digits as this one.
const FIRST_SEQ: u64 = 1_000_000;
const SEQ_DIGITS: usize = 7;

/// The fleet's requests, in the order in which they are due within a round.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) requests: Vec<Prepared>,
    /// Every device reports once in it.
    pub(super) every: Duration,
    /// In one of so many of its readings a device is in breach.
    breach_period: u64,
}

/// A request that is made again and again.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) path: String,
    /// The token of a device that reports by itself.
    pub(super) token: Option<String>,
    pub(super) body: Vec<u8>,
    messages: Vec<Place>,
}

/// Where a device's message has what changes.
#[derive(Debug)]
struct Place {
    device: u64,
    seq_at: usize,
    value_at: usize,
}

impl Prepared {
    /// How many messages it holds.
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    fn add(&mut self, number: u64, text: &str) {
        let at = self.body.len();
        self.body.extend(text.as_bytes());
        let place = |mark: &str| at + text.find(mark).map_or(0, |found| found + mark.len());
        self.messages.push(Place { device: number, seq_at: place("\"seq\":"), value_at: place("\"temperature_c\":") });
    }
}

impl Plan {
    pub(super) fn new(settings: &FleetSettings, population: &Population) -> anyhow::Result<Self> {
        let count = population.devices.len();
        let singles = count * settings.singles_per_mille as usize / 1_000;
        let numbered: Vec<(u64, &DeviceKey)> = (0..).zip(&population.devices).collect();
        let (alone, behind_gateways) = numbered.split_at(singles);
        let alone: Vec<Prepared> = alone.iter().map(|(number, key)| single(*number, key)).collect();
        let mut gateways = Vec::new();
        // A gateway stands with one tenant.
        for tenant_id in &population.tenants {
            let own: Vec<_> = behind_gateways.iter().filter(|(_, key)| key.tenant_id == *tenant_id).collect();
            gateways.extend(own.chunks(settings.batch as usize).map(gateway));
        }
        anyhow::ensure!(!alone.is_empty() || !gateways.is_empty(), "nobody reports");
        let breach_period = u64::from(1_000 / settings.breaches_per_mille.max(1)).max(2);
        Ok(Self { requests: spread(gateways, alone), every: settings.every, breach_period })
    }

    /// Makes a request's body that of the fleet's `round`; how many of its readings are in breach.
    pub(super) fn fill(&mut self, index: usize, round: u64) -> u32 {
        let seq = (FIRST_SEQ + round % FIRST_SEQ).to_string();
        let Prepared { body, messages, .. } = &mut self.requests[index];
        let mut breaches = 0;
        for Place { device, seq_at, value_at } in messages {
            let in_breach = (*device + round).is_multiple_of(self.breach_period);
            breaches += u32::from(in_breach);
            body[*seq_at..*seq_at + SEQ_DIGITS].copy_from_slice(seq.as_bytes());
            body[*value_at..*value_at + QUIET.len()].copy_from_slice(if in_breach { IN_BREACH } else { QUIET });
        }
        breaches
    }
}

/// Mixes the shorter list evenly into the longer one.
fn spread(gateways: Vec<Prepared>, alone: Vec<Prepared>) -> Vec<Prepared> {
    let place = |list: &Vec<Prepared>| {
        let count = list.len().max(1) as u64;
        move |(number, request): (u64, Prepared)| (number * 1_000_000 / count, request)
    };
    let (of_gateways, of_alone) = (place(&gateways), place(&alone));
    let mut all: Vec<(u64, Prepared)> = (0..).zip(gateways).map(of_gateways).chain((0..).zip(alone).map(of_alone)).collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, request)| request).collect()
}

/// What a message holds in both doors.
fn fields() -> String {
    let (site, quiet) = (population::SITE, "21.50");
    format!(r#""site_id":"{site}","seq":{FIRST_SEQ},"metrics":{{"temperature_c":{quiet},"humidity_pct":40,"battery_v":77.25}}"#)
}

fn single(number: u64, key: &DeviceKey) -> Prepared {
    let path = format!("/ingest/v1/tenant/{}/device/{}/telemetry", key.tenant_id, key.device_id);
    let token = Some(population::token(key).reveal().to_owned());
    let mut request = Prepared { path, token, body: Vec::new(), messages: Vec::new() };
    request.add(number, &format!("{{{}}}", fields()));
    request
}

fn gateway(devices: &[&(u64, &DeviceKey)]) -> Prepared {
    let mut request = Prepared { path: BATCH_PATH.to_owned(), token: None, body: Vec::new(), messages: Vec::new() };
    request.body.extend(br#"{"messages":["#);
    for (place, (number, key)) in devices.iter().enumerate() {
        let DeviceKey { tenant_id, device_id } = key;
        let (comma, token) = (if place == 0 { "" } else { "," }, population::token(key));
        // Names are checked where they are made: they need no escapes.
        let text = format!(
            r#"{comma}{{"tenant_id":"{tenant_id}","device_id":"{device_id}","msg_type":"telemetry","provision_token":"{}",{}}}"#,
            token.reveal(),
            fields()
        );
        request.add(*number, &text);
    }
    request.body.extend(b"]}");
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(devices: usize) -> Plan {
        #[derive(Debug, clap::Parser)]
        struct Command {
            #[command(flatten)]
            settings: FleetSettings,
        }
        let arguments = ["soak", "--batch", "7", "--singles-per-mille", "100", "--breaches-per-mille", "100"];
        let settings = <Command as clap::Parser>::try_parse_from(arguments).unwrap().settings;
        Plan::new(&settings, &Population::plan(3, devices).unwrap()).unwrap()
    }

    #[test]
    fn every_device_reports_once_a_round_and_breaches_once_a_period() {
        let mut plan = plan(100);
        assert_eq!(plan.requests.iter().map(Prepared::messages).sum::<usize>(), 100);
        assert_eq!(plan.requests.iter().filter(|request| request.token.is_some()).count(), 10);
        for round in 0..20 {
            let breaches: u32 = (0..plan.requests.len()).map(|index| plan.fill(index, round)).sum();
            assert_eq!(breaches, 10, "round {round}");
        }
    }

    #[test]
    fn what_changes_is_written_in_place() {
        let mut plan = plan(100);
        for index in 0..plan.requests.len() {
            let breaches = plan.fill(index, 10);
            let body: serde_json::Value = serde_json::from_slice(&plan.requests[index].body).unwrap();
            let messages = body.get("messages").map_or(vec![body.clone()], |messages| messages.as_array().unwrap().clone());
            let hot = messages.iter().filter(|message| message["metrics"]["temperature_c"] == 91.25).count();
            assert_eq!(hot, breaches as usize);
            assert!(messages.iter().all(|message| message["seq"] == 1_000_010), "{body}");
        }
    }
}
