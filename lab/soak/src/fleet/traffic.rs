//! The traffic: requests at their times, whether or not earlier ones are answered. It runs on the machine that it measures, so bodies are
//! made beforehand and connections are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pulse_runtime::Shutdown;
use pulse_simulator::latency::{LatencySummary, SharedLatencies};
use pulse_simulator::wire::TOKEN_HEADER;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::plan::Plan;

/// Requests under way at once; when so many are, later ones wait and the fleet falls behind.
const IN_FLIGHT_MAX: usize = 256;
/// The longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What was sent and how it was answered.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sent {
    pub(super) readings: u64,
    pub(super) breaches: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// Readings in requests that were not answered.
    pub(super) unanswered: u64,
    pub(super) requests: u64,
    /// The most that a request was sent after its time.
    pub(super) behind_max_s: f64,
    /// From a request's beginning to its answer.
    pub(super) latency: LatencySummary,
}

#[derive(Debug)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
    latency: SharedLatencies,
}

/// Reports until it is told to stop, then waits for the answers that are due.
pub(super) async fn run(mut plan: Plan, url: String, stop: Shutdown) -> anyhow::Result<Sent> {
    let client = pulse_simulator::client::build(|builder| builder.timeout(ANSWER_TIMEOUT).pool_max_idle_per_host(IN_FLIGHT_MAX))?;
    let latency = SharedLatencies::new()?;
    let counts = Arc::new(Counts { accepted: AtomicU64::new(0), refused: AtomicU64::new(0), unanswered: AtomicU64::new(0), latency });
    let mut sent = Sent {
        readings: 0,
        breaches: 0,
        accepted: 0,
        refused: 0,
        unanswered: 0,
        requests: 0,
        behind_max_s: 0.0,
        latency: LatencySummary::default(),
    };
    let mut under_way = JoinSet::new();
    let begun = Instant::now();
    let requests = plan.requests.len() as u64;
    for number in 0_u64.. {
        let (round, index) = (number / requests, usize::try_from(number % requests)?);
        let due = begun + plan.every.mul_f64(round as f64 + index as f64 / requests as f64);
        tokio::select! {
            () = stop.triggered() => break,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        while under_way.len() >= IN_FLIGHT_MAX {
            under_way.join_next().await.context("nothing is under way")??;
        }
        while let Some(ended) = under_way.try_join_next() {
            ended?;
        }
        sent.behind_max_s = sent.behind_max_s.max(due.elapsed().as_secs_f64());
        sent.breaches += u64::from(plan.fill(index, round));
        let prepared = &plan.requests[index];
        sent.requests += 1;
        sent.readings += prepared.messages() as u64;
        let mut request =
            client.post(format!("{url}{}", prepared.path)).header(CONTENT_TYPE, "application/json").body(prepared.body.clone());
        if let Some(token) = &prepared.token {
            request = request.header(TOKEN_HEADER, token);
        }
        under_way.spawn(exchange(request, prepared.messages() as u64, Arc::clone(&counts)));
    }
    while let Some(ended) = under_way.join_next().await {
        ended?;
    }
    sent.accepted = counts.accepted.load(Ordering::Relaxed);
    sent.refused = counts.refused.load(Ordering::Relaxed);
    sent.unanswered = counts.unanswered.load(Ordering::Relaxed);
    sent.latency = counts.latency.summary();
    Ok(sent)
}

async fn exchange(request: reqwest::RequestBuilder, messages: u64, counts: Arc<Counts>) {
    let begun = Instant::now();
    let answer = async { answered(request.send().await?, messages).await }.await;
    match answer {
        Ok(accepted) => {
            counts.latency.record(begun.elapsed());
            counts.accepted.fetch_add(accepted, Ordering::Relaxed);
            counts.refused.fetch_add(messages - accepted.min(messages), Ordering::Relaxed);
        }
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "a request was not answered");
            counts.unanswered.fetch_add(messages, Ordering::Relaxed);
        }
    }
}

/// How many messages were accepted.
async fn answered(response: reqwest::Response, messages: u64) -> reqwest::Result<u64> {
    #[derive(Deserialize)]
    struct OfBatch {
        accepted: u64,
    }
    let status = response.status();
    let body = response.bytes().await?;
    if !status.is_success() {
        return Ok(0);
    }
    // The door for one message answers 202 and no count.
    Ok(serde_json::from_slice::<OfBatch>(&body).map_or(messages, |answer| answer.accepted))
}
