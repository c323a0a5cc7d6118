//! The sink: a receiver of webhooks and chat messages that checks what it gets, counts it, and misbehaves when told to.
//!
//! `POST /webhook` verifies Standard Webhooks signatures and looks for a `traceparent`; `POST /slack` takes Slack's format. `POST /control`
//! with a [`behaviour::Behaviour`] changes how it answers, `GET /stats` and `GET /messages` tell what came, `GET /taken/{webhook-id}` how
//! often one message was taken. It trusts whoever can reach it: listen on 127.0.0.1.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pulse_domain::credential::SecretToken;
use pulse_runtime::Shutdown;
use standardwebhooks::Webhook;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::error::{Error, Result};
use crate::sent_readings::SentReadings;

pub mod behaviour;
mod receive;
pub mod tally;

pub use receive::{SLACK_PATH, WEBHOOK_PATH};

use behaviour::{Behaviour, Behaviours};
use receive::Receiver;
use tally::{KeptMessage, SinkStats, SinkTally};

/// The most connections at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// How long a request's head may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may take once the sink is to stop.
const DRAIN: Duration = Duration::from_secs(1);

/// Where the sink listens and what it expects.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// What webhooks are signed with: `whsec_` and base64. None: one is drawn.
    pub signing_secret: Option<SecretToken>,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), signing_secret: None }
    }
}

/// A running sink. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Sink {
    address: SocketAddr,
    secret: SecretToken,
    receiver: Arc<Receiver>,
    stop: Shutdown,
    accepting: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Sink {
    /// Listens from now on, until shutdown or [`Self::stop`].
    pub async fn start(settings: SinkSettings, shutdown: &Shutdown) -> Result<Self> {
        let secret = settings.signing_secret.unwrap_or_else(draw_secret);
        let signature = Webhook::new(secret.reveal()).map_err(|_reason| Error::SigningSecret)?;
        let receiver =
            Arc::new(Receiver { behaviours: Behaviours::default(), tally: SinkTally::new()?, signature, sent_readings: OnceLock::new() });
        let address = settings.listen;
        let bind = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let stop = shutdown.child();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&receiver), stop.clone()));
        Ok(Self { address, secret, receiver, stop, accepting: Arc::new(Mutex::new(Some(accepting))) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, from this machine.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where webhooks go.
    pub fn webhook_url(&self) -> String {
        format!("{}{WEBHOOK_PATH}", self.url())
    }

    /// Where chat messages go.
    pub fn slack_url(&self) -> String {
        format!("{}{SLACK_PATH}", self.url())
    }

    /// What webhooks must be signed with.
    pub fn signing_secret(&self) -> &SecretToken {
        &self.secret
    }

    /// Behaves like this from now on. An error says what would make sense.
    pub fn behave(&self, behaviour: &Behaviour) -> std::result::Result<(), String> {
        behaviour.validate()?;
        self.receiver.behaviours.set(behaviour);
        Ok(())
    }

    /// Measures the time from the device by these readings; the first set given counts.
    pub fn measure_with(&self, sent_readings: Arc<SentReadings>) {
        self.receiver.sent_readings.get_or_init(|| sent_readings);
    }

    /// The numbers now.
    pub fn stats(&self) -> SinkStats {
        self.receiver.tally.stats()
    }

    /// The latest messages, oldest first.
    pub fn messages(&self) -> Vec<KeptMessage> {
        self.receiver.tally.messages()
    }

    /// How often a webhook with this `webhook-id` was taken with a 200, among the latest 200,000 ids: 0 if it never came, more than 1 if it came
    /// again though it had been taken.
    pub fn times_taken(&self, webhook_id: &str) -> u32 {
        self.receiver.tally.times_taken(webhook_id)
    }

    /// Stops listening, and waits a moment for requests under way.
    pub async fn stop(&self) {
        self.stop.trigger();
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(accepting) = accepting
            && let Err(error) = accepting.await
        {
            tracing::error!(%error, "the sink ended early");
        }
    }
}

fn draw_secret() -> SecretToken {
    let bytes: [u8; 32] = rand::random();
    SecretToken::from_text(format!("whsec_{}", STANDARD.encode(bytes)))
}

async fn accept(listener: TcpListener, receiver: Arc<Receiver>, stop: Shutdown) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.triggered() => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _peer)) => {
                    connections.spawn(converse(stream, Arc::clone(&receiver), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the sink could not take a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, until either end is done with it.
async fn converse(stream: TcpStream, receiver: Arc<Receiver>, stop: Shutdown) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the sink's connection keeps its delay");
    }
    let service = service_fn(move |request| {
        let receiver = Arc::clone(&receiver);
        async move { receiver.receive(request).await }
    });
    let mut connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = stop.triggered() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            tokio::time::timeout(DRAIN, &mut connection).await.unwrap_or(Ok(()))
        }
    };
    if ended.is_err_and(|error| is_reset(&error))
        && let Err(error) = connection.into_parts().io.into_inner().set_zero_linger()
    {
        tracing::debug!(%error, "the sink's connection closes without a reset");
    }
}

/// Whether the receiver asked for a reset: with nothing to linger for, closing the socket sends one.
fn is_reset(error: &hyper::Error) -> bool {
    let cut = std::error::Error::source(error).and_then(|source| source.downcast_ref::<receive::Cut>());
    cut.is_some_and(|cut| cut.with_reset)
}
