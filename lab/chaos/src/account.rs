//! The account: what became of every reading, alert, event, job and message, and whether it adds up.
//!
//! What should have happened is worked out from the readings as they are stored, in their order: each run of readings beyond a threshold is
//! one alert, opened by the run's first reading and closed after its last. So a reading that was skipped, judged twice or judged out of order
//! shows as an alert that is missing, one too many, or one about other readings.

mod gather;
mod runs;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use pulse_simulator::sink::Sink;
use serde::Serialize;
use serde_json::Value;

use crate::api::Api;
use crate::load::Tracks;

/// Findings that are spelt out.
const FINDINGS_MAX: usize = 20;

/// Devices' readings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Readings {
    pub sent: usize,
    pub acknowledged: usize,
    /// Each counted once.
    pub stored: usize,
    /// Stored, though no acknowledgement reached the device.
    pub unacknowledged: usize,
    /// Stored again: the acknowledgement was lost and the device sent it once more.
    pub repeated: usize,
    /// Acknowledged and not stored.
    pub lost: usize,
    /// Stored after a later one of the same device, for the first time.
    pub disordered: usize,
}

/// Alerts of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Alerts {
    /// Runs of readings beyond a threshold.
    pub expected: usize,
    pub opened: usize,
    pub closed: usize,
    pub missing: usize,
    /// Alerts that no run of readings explains.
    pub surplus: usize,
    /// Fingerprints with more than one alert that is not closed.
    pub open_twice: usize,
    /// Alerts whose history is not OPEN, and CLOSED where they are closed.
    pub odd_histories: usize,
}

/// Jobs: one for each event and route that matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Jobs {
    pub events: usize,
    pub expected: usize,
    pub made: usize,
    pub missing: usize,
    pub surplus: usize,
    pub delivered: usize,
    /// Waiting, or with a worker.
    pub pending: usize,
    pub dead: usize,
}

/// What the receiver got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// By id, each once.
    pub taken: usize,
    /// Taken again: the worker did not learn that it had arrived.
    pub doubled: usize,
    /// Jobs that say delivered, whose message the receiver never took.
    pub unseen: usize,
    /// Messages of no job.
    pub strange: usize,
}

/// Everything, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    pub readings: Readings,
    pub alerts: Alerts,
    pub jobs: Jobs,
    pub messages: Messages,
    /// What devices were answered, by status; 0 where there was no answer.
    pub answers: BTreeMap<u16, u64>,
    /// What else the scenario has to tell.
    pub notes: BTreeMap<&'static str, Vec<Value>>,
    /// The first things found wrong, in words.
    pub findings: Vec<String>,
}

impl Account {
    /// Sums up.
    pub async fn of(api: &Api, tenant: &str, tracks: &Tracks, sink: &Sink) -> Result<Self> {
        let mut account = Self { answers: tracks.answers.clone(), ..Self::default() };
        let runs = gather::readings(&mut account, api, tenant, &tracks.devices).await?;
        let events = gather::alerts(&mut account, api, tenant, runs).await?;
        gather::jobs(&mut account, api, tenant, &events, sink).await?;
        Ok(account)
    }

    /// What does not add up; empty when all is well. A dead job is well: it can be replayed.
    pub fn wrongs(&self) -> Vec<String> {
        let (readings, alerts, jobs, messages) = (&self.readings, &self.alerts, &self.jobs, &self.messages);
        let never = [
            ("readings acknowledged and not stored", readings.lost),
            ("readings stored out of order", readings.disordered),
            ("alerts missing", alerts.missing),
            ("alerts that nothing explains", alerts.surplus),
            ("fingerprints open twice", alerts.open_twice),
            ("alerts with an odd history", alerts.odd_histories),
            ("jobs missing", jobs.missing),
            ("jobs that nothing explains", jobs.surplus),
            ("jobs still pending", jobs.pending),
            ("jobs delivered that the receiver never saw", messages.unseen),
            ("messages of no job", messages.strange),
        ];
        let mut wrongs: Vec<String> = never.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect();
        if readings.stored != readings.acknowledged + readings.unacknowledged - readings.lost {
            wrongs.push(format!("{readings:?} do not add up"));
        }
        if jobs.made != jobs.delivered + jobs.pending + jobs.dead {
            wrongs.push(format!("{jobs:?} do not add up"));
        }
        if readings.acknowledged == 0 || alerts.expected == 0 || jobs.delivered == 0 {
            wrongs.push("nothing happened".to_owned());
        }
        if let Some(count) = self.answers.get(&500) {
            wrongs.push(format!("{count} answers of 500"));
        }
        wrongs
    }

    /// Notes something that is wrong, within a bound.
    fn find(&mut self, what: impl FnOnce() -> String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what());
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { readings, alerts, jobs, messages, answers, notes, findings } = self;
        writeln!(
            f,
            "readings  {} sent, {} acknowledged, {} stored ({} without an acknowledgement), {} stored again, {} lost, {} out of order",
            readings.sent,
            readings.acknowledged,
            readings.stored,
            readings.unacknowledged,
            readings.repeated,
            readings.lost,
            readings.disordered
        )?;
        writeln!(
            f,
            "alerts    {} expected, {} opened, {} closed, {} missing, {} unexplained, {} open twice",
            alerts.expected, alerts.opened, alerts.closed, alerts.missing, alerts.surplus, alerts.open_twice
        )?;
        writeln!(
            f,
            "jobs      {} events, {} expected, {} made = {} delivered + {} pending + {} dead",
            jobs.events, jobs.expected, jobs.made, jobs.delivered, jobs.pending, jobs.dead
        )?;
        write!(
            f,
            "messages  {} taken, {} taken again, {} unseen, {} of no job\nanswers   {answers:?}",
            messages.taken, messages.doubled, messages.unseen, messages.strange
        )?;
        notes.iter().try_for_each(|(what, values)| write!(f, "\nnoted     {what}: {}", Value::from(values.clone())))?;
        findings.iter().try_for_each(|finding| write!(f, "\nfound     {finding}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Account {
        Account {
            readings: Readings { sent: 10, acknowledged: 9, stored: 10, unacknowledged: 1, ..Readings::default() },
            alerts: Alerts { expected: 3, opened: 3, closed: 2, ..Alerts::default() },
            jobs: Jobs { events: 5, expected: 8, made: 8, delivered: 7, dead: 1, ..Jobs::default() },
            messages: Messages { taken: 7, doubled: 1, ..Messages::default() },
            ..Account::default()
        }
    }

    #[test]
    fn what_adds_up_is_well_and_what_does_not_is_named() {
        assert_eq!(good().wrongs(), Vec::<String>::new());
        let change = |change: fn(&mut Account)| {
            let mut account = good();
            change(&mut account);
            account.wrongs().join("; ")
        };
        assert!(change(|account| account.readings.lost = 1).contains("1 readings acknowledged and not stored"));
        assert!(change(|account| account.alerts.open_twice = 2).contains("2 fingerprints open twice"));
        assert!(change(|account| account.jobs.delivered = 6).contains("do not add up"));
        assert!(change(|account| account.messages.unseen = 3).contains("never saw"));
        assert!(change(|account| *account = Account::default()).contains("nothing happened"));
        assert!(change(|account| account.answers = [(500, 4)].into()).contains("4 answers of 500"));
    }
}
