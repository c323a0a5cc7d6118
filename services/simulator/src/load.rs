//! The load: how many readings a second a server takes. A closed loop over kept-alive connections, each sending the next request as soon
//! as the last is answered.
//!
//! It shares the machine with the server it measures, so it does as little as it can: every request is rendered beforehand, and answers
//! are read only as far as the numbers need.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use pulse_domain::reading::ReadingKind;
use pulse_runtime::Shutdown;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::fleet::{DeviceModel, FleetPlan, Message};
use crate::latency::{Latencies, LatencySummary};
use crate::wire::{BATCH_PATH, FleetAccess, TOKEN_HEADER, batch_body, single_body, single_path};

mod connection;

use connection::{Authority, Connection, Reply};

/// What to measure.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The server's base URL; `http` only.
    pub url: String,
    /// Requests in flight, each over a connection of its own.
    pub connections: usize,
    /// Readings in a request through the batch door; none: one by one through the single door.
    pub batch: Option<usize>,
    /// Not counted: lets connections and caches come up.
    pub warmup: Duration,
    /// Counted.
    pub duration: Duration,
    /// What the values are drawn from.
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadReport {
    pub connections: usize,
    pub batch: Option<usize>,
    pub elapsed_s: f64,
    /// Readings that the server said are durable.
    pub accepted: u64,
    /// Readings that it refused.
    pub rejected: u64,
    /// Accepted ones.
    pub readings_per_second: f64,
    /// Answered ones.
    pub requests_per_second: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer.
    pub errors: u64,
    /// How long answered requests took.
    pub latency: LatencySummary,
}

/// The longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The wait before a lost connection is made anew.
const RECONNECT_WAIT: Duration = Duration::from_millis(50);
/// How many readings are rendered beforehand, so that the server does not see the same few again and again.
const RENDERED_READINGS: usize = 20_000;

/// Measures until the duration has passed or shutdown is triggered.
pub async fn load(plan: &LoadPlan, access: &FleetAccess, shutdown: &Shutdown) -> Result<LoadReport> {
    let authority = Authority::parse(&plan.url)?;
    if plan.connections == 0 || plan.batch == Some(0) || access.devices.is_empty() || plan.duration.is_zero() {
        return Err(Error::Plan("a load needs at least one connection, one reading a batch, one device and some time".into()));
    }
    let requests = Arc::new(render(plan, access, &authority).map_err(|error| Error::Plan(format!("the load cannot be written: {error}")))?);
    let counted_from = Instant::now() + plan.warmup;
    let until = counted_from + plan.duration;
    let mut workers = Vec::with_capacity(plan.connections);
    for number in 0..plan.connections {
        let worker = Worker {
            authority: authority.clone(),
            requests: Arc::clone(&requests),
            next: number,
            stride: plan.connections,
            counted_from,
            until,
            counts: Counts::new()?,
        };
        workers.push(tokio::spawn(worker.run(shutdown.clone())));
    }
    let mut total = Counts::new()?;
    for counts in join_all(workers).await {
        match counts {
            Ok(counts) => total.add(&counts),
            Err(source) => return Err(Error::Ended { what: "a connection of the load", source }),
        }
    }
    Ok(total.report(plan, until.min(Instant::now()).saturating_duration_since(counted_from)))
}

/// One request, ready to be written, and how many readings it holds.
#[derive(Debug)]
struct Rendered {
    bytes: Vec<u8>,
    readings: u64,
    /// Its answer counts the accepted ones.
    is_batch: bool,
}

fn render(plan: &LoadPlan, access: &FleetAccess, authority: &Authority) -> std::result::Result<Vec<Rendered>, serde_json::Error> {
    let devices = access.devices.len();
    let readings = RENDERED_READINGS.max(devices).max(plan.batch.unwrap_or(1));
    let fleet = FleetPlan::at_rate(plan.seed, u32::try_from(devices).unwrap_or(u32::MAX), 1.0);
    let mut models: Vec<_> = (0..fleet.devices).map(|device| DeviceModel::new(&fleet, device)).collect();
    // Round and round the fleet, so that neighbours in a batch are different devices.
    let messages: Vec<Message> = (0..readings).filter_map(|number| quiet_telemetry(&mut models[number % devices])).collect();
    let device = |message: &Message| &access.devices[message.device as usize];
    let Some(batch) = plan.batch else {
        let single = |message: &Message| {
            let path = single_path(&access.tenant_id, &device(message).device_id, message);
            let token = Some((TOKEN_HEADER, device(message).token.reveal()));
            Ok(Rendered {
                bytes: authority.post(&path, token, &single_body(device(message), message, None)?),
                readings: 1,
                is_batch: false,
            })
        };
        return messages.iter().map(single).collect();
    };
    let whole = |messages: &[Message]| {
        let body = batch_body(&access.tenant_id, messages.iter().map(|message| (device(message), message, None)))?;
        Ok(Rendered { bytes: authority.post(BATCH_PATH, None, &body), readings: messages.len() as u64, is_batch: true })
    };
    messages.chunks_exact(batch).map(whole).collect()
}

/// The device's next message that carries metrics and is no breach: the load is about taking readings in, not about alerts.
fn quiet_telemetry(model: &mut DeviceModel) -> Option<Message> {
    model.find(|message| message.kind == ReadingKind::Telemetry && !message.in_breach)
}

#[derive(Debug)]
struct Worker {
    authority: Authority,
    requests: Arc<Vec<Rendered>>,
    next: usize,
    stride: usize,
    counted_from: Instant,
    until: Instant,
    counts: Counts,
}

impl Worker {
    async fn run(mut self, shutdown: Shutdown) -> Counts {
        let requests = Arc::clone(&self.requests);
        let mut connection = None;
        while Instant::now() < self.until && !shutdown.is_triggered() {
            let request = &requests[self.next % requests.len()];
            self.next += self.stride;
            let started = Instant::now();
            let counts = started >= self.counted_from;
            let answer = timeout(ANSWER_TIMEOUT, exchange(&mut connection, &self.authority, request)).await;
            match answer {
                Ok(Ok(reply)) if counts && Instant::now() <= self.until => self.counts.answered(request, &reply, started.elapsed()),
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => {
                    connection = None;
                    self.counts.errors += u64::from(counts);
                    tokio::time::sleep(RECONNECT_WAIT).await;
                }
            }
        }
        self.counts
    }
}

/// One request over the connection, which is made first if there is none.
async fn exchange(connection: &mut Option<Connection>, authority: &Authority, request: &Rendered) -> std::io::Result<Reply> {
    let mut own = match connection.take() {
        Some(own) => own,
        None => authority.connect().await?,
    };
    let reply = own.exchange(&request.bytes).await?;
    if !reply.closes {
        *connection = Some(own);
    }
    Ok(reply)
}

#[derive(Debug)]
struct Counts {
    accepted: u64,
    rejected: u64,
    requests: u64,
    errors: u64,
    statuses: BTreeMap<u16, u64>,
    latencies: Latencies,
}

impl Counts {
    fn new() -> Result<Self> {
        Ok(Self { accepted: 0, rejected: 0, requests: 0, errors: 0, statuses: BTreeMap::new(), latencies: Latencies::new()? })
    }

    fn answered(&mut self, request: &Rendered, reply: &Reply, latency: Duration) {
        self.requests += 1;
        *self.statuses.entry(reply.status).or_default() += 1;
        self.latencies.record(latency);
        let accepted = match reply.status {
            200..300 if request.is_batch => accepted_of(&reply.body),
            200..300 => request.readings,
            _ => 0,
        };
        self.accepted += accepted;
        self.rejected += request.readings.saturating_sub(accepted);
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.requests += other.requests;
        self.errors += other.errors;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.latencies.add(&other.latencies);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of one run stay far below 2^52")]
    fn report(&self, plan: &LoadPlan, elapsed: Duration) -> LoadReport {
        let seconds = elapsed.as_secs_f64().max(f64::EPSILON);
        LoadReport {
            connections: plan.connections,
            batch: plan.batch,
            elapsed_s: seconds,
            accepted: self.accepted,
            rejected: self.rejected,
            readings_per_second: self.accepted as f64 / seconds,
            requests_per_second: self.requests as f64 / seconds,
            statuses: self.statuses.clone(),
            errors: self.errors,
            latency: self.latencies.summary(),
        }
    }
}

/// How many readings of a batch were accepted, as its answer says; the results for each are skipped.
fn accepted_of(body: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct BatchAnswer {
        accepted: u64,
    }
    serde_json::from_slice::<BatchAnswer>(body).map_or(0, |answer| answer.accepted)
}
