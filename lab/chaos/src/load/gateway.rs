//! A gateway: posts a batch with one reading of each of its devices, and again those that were not taken, until all are.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use pulse_runtime::Shutdown;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

use super::pattern::values;
use super::{Counts, Device, LoadPlan, Track};

/// How long a post may take before the device asks again: longer than a write may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The first wait before a post is made again, doubling up to the longest.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Reasons for which a message of a batch is sent again.
const REASONS_TO_RETRY: [&str; 2] = ["UNAVAILABLE", "RATE_LIMITED"];

/// Some devices behind one sender.
#[derive(Debug)]
pub(super) struct Gateway {
    client: reqwest::Client,
    tenant: String,
    urls: Vec<String>,
    /// Which of them is posted to.
    at: usize,
    /// The number of the first device among all.
    first: usize,
    devices: Vec<Device>,
    tracks: Vec<Track>,
    interval: Duration,
    /// Gateways do not post in step.
    begin_after: Duration,
    counts: Arc<Counts>,
    stop: Shutdown,
}

/// What became of a post.
enum Posted {
    /// These places of the devices are done with.
    Taken(Vec<usize>),
    /// Not now; wait at least so long.
    Later(Duration),
}

impl Gateway {
    pub(super) fn new(plan: &LoadPlan, number: usize, devices: Vec<Device>, counts: Arc<Counts>, stop: Shutdown) -> Result<Self> {
        let client = pulse_simulator::client::build(|builder| builder.timeout(TIMEOUT))?;
        let first = plan.gateways[..number].iter().map(Vec::len).sum();
        let tracks =
            devices.iter().map(|device| Track { device_id: device.device_id.clone(), sent: 0, acknowledged: Vec::new() }).collect();
        let (tenant, urls, interval) = (plan.tenant.clone(), plan.urls.clone(), plan.interval);
        let begin_after = interval.mul_f64(share(number, plan.gateways.len()));
        Ok(Self { client, tenant, at: number % urls.len(), urls, first, devices, tracks, interval, begin_after, counts, stop })
    }

    /// Reports until told to stop.
    pub(super) async fn run(mut self) -> Result<Vec<Track>> {
        self.report_all().await.inspect_err(|error| drop(self.counts.gave_up.set(format!("{error:#}"))))?;
        Ok(self.tracks)
    }

    async fn report_all(&mut self) -> Result<()> {
        tokio::time::sleep(self.begin_after).await;
        for seq in 0.. {
            self.tracks.iter_mut().for_each(|track| track.sent = seq + 1);
            if !self.report(seq).await? {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = self.stop.triggered() => break,
            }
        }
        Ok(())
    }

    /// Posts one reading of each device until all are taken; not true when told to stop before that.
    async fn report(&mut self, seq: i64) -> Result<bool> {
        let mut waiting: Vec<usize> = (0..self.devices.len()).collect();
        let mut backoff = BACKOFF;
        loop {
            let wait = match self.post(seq, &waiting).await? {
                Posted::Taken(places) => {
                    for place in &places {
                        self.tracks[*place].acknowledged.push(seq);
                    }
                    self.counts.acknowledged.fetch_add(places.len() as u64, Ordering::Relaxed);
                    waiting.retain(|place| !places.contains(place));
                    Duration::ZERO
                }
                Posted::Later(wait) => wait,
            };
            if waiting.is_empty() {
                return Ok(true);
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.max(wait.min(BACKOFF_MAX))) => {}
                () = self.stop.triggered() => return Ok(false),
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn post(&mut self, seq: i64, places: &[usize]) -> Result<Posted> {
        let answer = match self.request(seq, places).send().await {
            Ok(answer) => answer,
            Err(_lost) => return Ok(self.lost()),
        };
        let status = answer.status().as_u16();
        self.counts.answered(status);
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        match status {
            202 if self.devices.len() == 1 => Ok(Posted::Taken(places.to_vec())),
            202 => match answer.json::<Value>().await {
                Ok(summary) => taken(&summary, places),
                Err(_lost) => Ok(self.lost()),
            },
            429 | 500.. => Ok(Posted::Later(Duration::from_secs(retry_after.unwrap_or_default()))),
            _ => bail!("a reading is refused: {status} {}", answer.text().await.unwrap_or_default()),
        }
    }

    /// No answer: the next address is tried.
    fn lost(&mut self) -> Posted {
        self.counts.answered(0);
        self.at = (self.at + 1) % self.urls.len();
        Posted::Later(Duration::ZERO)
    }

    /// A device that is alone uses the door for one reading.
    fn request(&self, seq: i64, places: &[usize]) -> reqwest::RequestBuilder {
        let url = &self.urls[self.at];
        if let [device] = self.devices.as_slice() {
            let body = json!({"site_id": "s1", "seq": seq, "metrics": values(self.first, seq)});
            let path = format!("/ingest/v1/tenant/{}/device/{}/telemetry", self.tenant, device.device_id);
            return self.client.post(format!("{url}{path}")).header("x-provision-token", &device.token).json(&body);
        }
        let message = |place: &usize| {
            let (device, values) = (&self.devices[*place], values(self.first + place, seq));
            json!({"tenant_id": self.tenant, "device_id": device.device_id, "msg_type": "telemetry", "provision_token": device.token,
                   "site_id": "s1", "seq": seq, "metrics": values})
        };
        let messages: Vec<Value> = places.iter().map(message).collect();
        self.client.post(format!("{url}/ingest/v1/batch")).json(&json!({"messages": messages}))
    }
}

#[allow(clippy::cast_precision_loss, reason = "there are few gateways")]
fn share(number: usize, of: usize) -> f64 {
    number as f64 / of as f64
}

/// The places whose messages the server has taken.
fn taken(summary: &Value, places: &[usize]) -> Result<Posted> {
    let results = summary["results"].as_array().context("a batch's answer has no results")?;
    anyhow::ensure!(results.len() == places.len(), "{} results for {} messages", results.len(), places.len());
    let mut taken = Vec::with_capacity(places.len());
    for (place, result) in places.iter().zip(results) {
        match (result["status"].as_str(), result["reason"].as_str()) {
            (Some("accepted"), _) => taken.push(*place),
            (_, Some(reason)) if REASONS_TO_RETRY.contains(&reason) => {}
            _ => bail!("a reading is refused: {result}"),
        }
    }
    Ok(Posted::Taken(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_batch_what_was_taken_is_done_with_and_what_was_refused_for_good_is_an_error() {
        let result = |status: &str, reason: Option<&str>| json!({"status": status, "reason": reason});
        let summary = json!({"results": [result("accepted", None), result("rejected", Some("UNAVAILABLE")), result("accepted", None)]});
        assert!(matches!(taken(&summary, &[3, 5, 7]).unwrap(), Posted::Taken(places) if places == [3, 7]));
        assert!(taken(&summary, &[3]).is_err());
        let refused = json!({"results": [result("rejected", Some("TOKEN_INVALID"))]});
        assert!(taken(&refused, &[0]).err().unwrap().to_string().contains("TOKEN_INVALID"));
    }
}
