//! Reading the account through the API.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use pulse_simulator::sink::Sink;
use serde_json::Value;

use super::Account;
use super::runs::{Run, Runs, compare, runs};
use crate::api::Api;
use crate::load::{METRICS, Track, seq_of};
use crate::registry::Route;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// An event as far as routes look at it.
#[derive(Debug)]
pub(super) struct Event {
    event_id: String,
    kind: String,
    severity: u64,
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

/// Every device's readings in the order in which they were stored; the alerts that there must be.
pub(super) async fn readings(account: &mut Account, api: &Api, tenant: &str, tracks: &[Track]) -> Result<Runs> {
    let stored = futures::stream::iter(tracks).map(|track| async move {
        let path = format!("/api/v1/tenants/{tenant}/devices/{}/readings", track.device_id);
        let mut readings = api.all(&path).await?;
        readings.reverse();
        anyhow::Ok((track, readings))
    });
    let stored: Vec<(&Track, Vec<Value>)> = stored.buffered(AT_ONCE).try_collect().await?;
    let mut expected = Runs::new();
    for (track, readings) in stored {
        let seqs = readings.iter().map(|reading| reading["seq"].as_i64().context("a reading has no seq")).collect::<Result<Vec<i64>>>()?;
        count_readings(account, track, &seqs);
        for metric in &METRICS {
            let values = readings.iter().filter_map(|reading| reading["metrics"][metric.name].as_f64());
            expected.insert((track.device_id.clone(), metric.name), runs(values));
        }
    }
    account.alerts.expected = expected.values().map(Vec::len).sum();
    Ok(expected)
}

fn count_readings(account: &mut Account, track: &Track, seqs: &[i64]) {
    let mut seen = BTreeSet::new();
    let (mut repeated, mut disordered) = (0, 0);
    for seq in seqs {
        let is_late = seen.last().is_some_and(|last| seq < last);
        match seen.insert(*seq) {
            false => repeated += 1,
            true if is_late => disordered += 1,
            true => {}
        }
    }
    let lost: Vec<i64> = track.acknowledged.iter().filter(|seq| !seen.contains(seq)).copied().collect();
    if !lost.is_empty() {
        account.find(|| format!("{} lost {lost:?}", track.device_id));
    }
    let sums = &mut account.readings;
    sums.sent += usize::try_from(track.sent).unwrap_or_default();
    sums.acknowledged += track.acknowledged.len();
    sums.stored += seen.len();
    sums.unacknowledged += seen.len() + lost.len() - track.acknowledged.len();
    sums.repeated += repeated;
    sums.lost += lost.len();
    sums.disordered += disordered;
}

/// Holds the alerts of rules against what there must be; all events.
pub(super) async fn alerts(account: &mut Account, api: &Api, tenant: &str, expected: Runs) -> Result<Vec<Event>> {
    let alerts = api.all(&format!("/api/v1/tenants/{tenant}/alerts")).await?;
    let mut open = HashSet::new();
    for alert in alerts.iter().filter(|alert| alert["status"] != "CLOSED") {
        if !open.insert(text(&alert["fingerprint"])?.to_owned()) {
            account.alerts.open_twice += 1;
        }
    }
    let histories = futures::stream::iter(&alerts).map(|alert| async move {
        let path = format!("/api/v1/tenants/{tenant}/alerts/{}/events", text(&alert["alert_id"])?);
        let mut history = api.get(&path).await?;
        let Value::Array(history) = history["items"].take() else { anyhow::bail!("{path} has no items") };
        Ok((alert, history))
    });
    let histories: Vec<(&Value, Vec<Value>)> = histories.buffered(AT_ONCE).try_collect().await?;
    let mut found = Runs::new();
    let mut events = Vec::new();
    for (alert, history) in &histories {
        match run(alert, history)? {
            Some((place, run)) => found.entry(place).or_default().push(run),
            None => {
                account.alerts.odd_histories += 1;
                account.find(|| format!("{alert} with the history {history:?}"));
            }
        }
        for event in history {
            let severity = event["alert"]["severity"].as_u64().context("an event's alert has no severity")?;
            events.push(Event { event_id: text(&event["event_id"])?.to_owned(), kind: text(&event["kind"])?.to_owned(), severity });
        }
    }
    account.alerts.opened = alerts.len();
    account.alerts.closed = alerts.len() - open.len() - account.alerts.open_twice;
    account.jobs.events = events.len();
    judge_runs(account, expected, found);
    Ok(events)
}

/// Which readings an alert was opened and closed by. None: its history is not that of one opening and at most one closing.
fn run(alert: &Value, history: &[Value]) -> Result<Option<((String, &'static str), Run)>> {
    let name = alert["details"]["metric_name"].as_str();
    let metric = METRICS.iter().find(|metric| Some(metric.name) == name);
    let value_of = |event: &Value| event["alert"]["details"]["metric_value"].as_f64().map(seq_of).context("an alert has no value");
    let kinds: Vec<&str> = history.iter().filter_map(|event| event["kind"].as_str()).collect();
    let run = match (kinds.as_slice(), alert["status"] == "CLOSED") {
        (["OPEN"], false) => (value_of(&history[0])?, None),
        (["OPEN", "CLOSED"], true) => (value_of(&history[0])?, Some(value_of(&history[1])?)),
        _ => return Ok(None),
    };
    let device = text(&alert["device_id"])?.to_owned();
    Ok(metric.map(|metric| ((device, metric.name), run)))
}

fn judge_runs(account: &mut Account, expected: Runs, mut found: Runs) {
    for (place, expected) in expected {
        let (missing, surplus) = compare(expected, found.remove(&place).unwrap_or_default());
        account.alerts.missing += missing.len();
        account.alerts.surplus += surplus.len();
        if !missing.is_empty() || !surplus.is_empty() {
            account.find(|| format!("{place:?}: no alert of {missing:?}, and unexplained ones of {surplus:?}"));
        }
    }
    account.alerts.surplus += found.values().map(Vec::len).sum::<usize>();
}

/// Holds the jobs against the events and routes, and the messages against the jobs.
pub(super) async fn jobs(account: &mut Account, api: &Api, tenant: &str, events: &[Event], sink: &Sink) -> Result<()> {
    let routes = api.all(&format!("/api/v1/tenants/{tenant}/routes")).await?;
    let routes = routes.iter().map(|route| Ok((text(&route["route_id"])?.to_owned(), Route::named(text(&route["name"])?)?)));
    let routes: BTreeMap<String, Route> = routes.collect::<Result<_>>()?;
    let mut expected: HashSet<(&str, &str)> = HashSet::new();
    for event in events {
        let wanted = routes.iter().filter(|(_, route)| route.wants(&event.kind, event.severity));
        expected.extend(wanted.map(|(route_id, _)| (event.event_id.as_str(), route_id.as_str())));
    }
    let jobs = api.all(&format!("/api/v1/tenants/{tenant}/jobs")).await?;
    let mut made: HashMap<(&str, &str), usize> = HashMap::new();
    for job in &jobs {
        *made.entry((text(&job["event_id"])?, text(&job["route_id"])?)).or_default() += 1;
        count_job(account, job, sink)?;
    }
    let sums = &mut account.jobs;
    sums.expected = expected.len();
    sums.made = jobs.len();
    sums.missing = expected.iter().filter(|key| !made.contains_key(*key)).count();
    sums.surplus = jobs.len() - (expected.len() - sums.missing);
    let (stats, messages) = (sink.stats(), &mut account.messages);
    messages.doubled = usize::try_from(stats.duplicates)?;
    messages.strange = usize::try_from(stats.delivered)?.saturating_sub(messages.taken);
    Ok(())
}

fn count_job(account: &mut Account, job: &Value, sink: &Sink) -> Result<()> {
    let id = format!("msg_{}_{}", text(&job["event_id"])?.replace('-', ""), text(&job["route_id"])?.replace('-', ""));
    let was_taken = sink.times_taken(&id) > 0;
    account.messages.taken += usize::from(was_taken);
    match text(&job["state"])? {
        "DELIVERED" => {
            account.jobs.delivered += 1;
            if !was_taken {
                account.messages.unseen += 1;
                account.find(|| format!("delivered and never seen: {job}"));
            }
        }
        "DEAD" => account.jobs.dead += 1,
        _ => {
            account.jobs.pending += 1;
            account.find(|| format!("still pending: {job}"));
        }
    }
    Ok(())
}
