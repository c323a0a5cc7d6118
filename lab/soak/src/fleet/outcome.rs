//! The fleet's report: what must hold, and what it cost.

use std::collections::BTreeMap;

use pulse_simulator::sink::tally::SinkStats;
use serde_json::json;

use super::FleetSettings;
use super::account::Account;
use super::samples::{Course, INGEST, QUEUES, Sample, growth};
use super::traffic::Sent;
use crate::report::{Report, Verdict, median, number};

/// From a reading to its alert, for all but a twentieth of them.
const P95_MAX_S: f64 = 2.0;
/// By how much the age of a queue's oldest entry may grow from beginning to end.
const AGE_GROWTH_MAX_S: f64 = 1.0;
/// The traffic is not the one asked for when requests go out later than this.
const BEHIND_MAX_S: f64 = 1.0;

pub(super) fn report(
    settings: &FleetSettings,
    course: &Course,
    sent: &Sent,
    account: &Account,
    received: &SinkStats,
) -> anyhow::Result<Report> {
    let mut report = Report::new("fleet", "", settings, Vec::new())?;
    let thousands = number(account.readings_measured) / 1_000.0;
    anyhow::ensure!(thousands > 0.0, "no reading was received while it was measured");
    report.verdicts = queues(course, thousands * 1_000.0 / course.seconds, number(account.events) / course.seconds);
    report.verdicts.extend([
        Verdict::at_most("p95 from a reading to its judgement, s", account.to_judgement.p95_s, P95_MAX_S),
        Verdict::at_most("p95 from a reading to its alert's job, s", account.to_job.p95_s, P95_MAX_S),
        Verdict::at_most("requests sent behind their time, s", sent.behind_max_s, BEHIND_MAX_S),
        Verdict::equal("readings accepted, of those sent", sent.accepted, sent.readings),
        Verdict::equal("readings stored, of those accepted", account.readings, sent.accepted),
        Verdict::equal("devices unjudged at the end", account.devices_left, 0_u64),
        Verdict::equal("alerts opened, of readings in breach", account.opened, sent.breaches),
        Verdict::equal("events delivered", account.delivered, account.events),
        Verdict::equal("deliveries received by the sink", received.delivered, account.events),
    ]);
    let per_thousand: BTreeMap<&str, f64> = course.cpu_s.iter().map(|(name, cpu_s)| (*name, cpu_s * 1_000.0 / thousands)).collect();
    let load_averages: Vec<f64> = course.samples.iter().map(|sample| sample.load_average).collect();
    report.lines = lines(course, account, &per_thousand, thousands, median(&load_averages));
    report.details = json!({
        "seconds": course.seconds,
        "readings_per_second": thousands * 1_000.0 / course.seconds,
        "load_average": median(&load_averages),
        "cpu_ms_per_1000_readings": per_thousand,
        "cpu_of_a_core": course.cpu_s.iter().map(|(name, cpu_s)| (*name, cpu_s / course.seconds)).collect::<BTreeMap<_, _>>(),
        "memory_mib_max": memory(&course.samples),
        "wal_bytes_per_1000_readings": course.wal_bytes / thousands,
        "database_bytes_per_1000_readings": course.database_bytes / thousands,
        "sent": sent,
        "account": account,
        "sink": received,
        "samples": course.samples,
    });
    Ok(report)
}

/// No queue may grow by more over the whole course than comes in within a second; `readings` and `events` come in a second.
fn queues(course: &Course, readings: f64, events: f64) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let points = |of: &dyn Fn(&Sample) -> Option<f64>| -> Vec<(f64, f64)> {
        course.samples.iter().filter_map(|sample| Some((sample.at_s, of(sample)?))).collect()
    };
    for queue in QUEUES.iter().map(|(_, queue)| *queue).chain([INGEST]) {
        let input = if [INGEST, "devices_to_evaluate"].contains(&queue) { readings } else { events };
        let depths = points(&|sample| sample.depths.get(queue).copied());
        verdicts.push(Verdict::at_most(&format!("growth of {queue}"), growth(&depths, course.seconds), input.max(1.0)));
        if queue != INGEST {
            let ages = points(&|sample| sample.oldest_ages_s.get(queue).copied());
            let what = format!("growth of the oldest age of {queue}, s");
            verdicts.push(Verdict::at_most(&what, growth(&ages, course.seconds), AGE_GROWTH_MAX_S));
        }
        let seen = Verdict {
            what: format!("samples of {queue}"),
            found: number(depths.len()),
            wanted: format!("at least {}", course.samples.len() / 2),
            holds: depths.len() * 2 >= course.samples.len() && !depths.is_empty(),
        };
        verdicts.push(seen);
    }
    verdicts
}

fn lines(course: &Course, account: &Account, per_thousand: &BTreeMap<&str, f64>, thousands: f64, load_average: f64) -> Vec<String> {
    let mut lines =
        vec![format!("{:.0} readings/s for {:.0} s, load average {load_average:.1}", thousands * 1_000.0 / course.seconds, course.seconds)];
    let memory = memory(&course.samples);
    for (name, milliseconds) in per_thousand {
        let memory = memory.get(name).copied().unwrap_or_default();
        let share = course.cpu_s.get(name).copied().unwrap_or_default() / course.seconds;
        lines.push(format!("{name:<16} {milliseconds:>8.1} ms of CPU per 1,000 readings, {share:.2} cores, {memory:.0} MiB at most"));
    }
    let (wal, database) = (course.wal_bytes / thousands / 1_024.0, course.database_bytes / thousands / 1_024.0);
    lines.push(format!("{wal:.0} KiB of WAL and {database:.0} KiB of database per 1,000 readings"));
    for (what, latency) in
        [("judgement", &account.to_judgement), ("its alert's job", &account.to_job), ("acknowledgement", &account.to_delivery)]
    {
        lines.push(format!(
            "reading to {what:<16} p50 {:.3} s, p95 {:.3} s, p99 {:.3} s, max {:.3} s, of {}",
            latency.p50_s, latency.p95_s, latency.p99_s, latency.max_s, latency.count
        ));
    }
    for queue in QUEUES.iter().map(|(_, queue)| *queue).chain([INGEST]) {
        let depths: Vec<f64> = course.samples.iter().filter_map(|sample| sample.depths.get(queue).copied()).collect();
        let highest = depths.iter().copied().fold(0.0, f64::max);
        lines.push(format!("{queue:<20} depth {:.0} in the middle, {highest:.0} at most", median(&depths)));
    }
    lines
}

/// The most that each process had.
fn memory(samples: &[Sample]) -> BTreeMap<&'static str, f64> {
    let mut most = BTreeMap::new();
    for (name, memory_mib) in samples.iter().flat_map(|sample| &sample.memory_mib) {
        let own: &mut f64 = most.entry(*name).or_default();
        *own = own.max(*memory_mib);
    }
    most
}
