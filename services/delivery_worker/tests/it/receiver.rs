//! A receiver of deliveries that keeps what it gets and answers as it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::world::PATIENCE;

/// What it got.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Clone)]
pub(crate) struct Receiver {
    url: Arc<str>,
    state: Arc<Shared>,
}

/// Status, headers, body.
type Answer = (StatusCode, Vec<(&'static str, String)>, &'static str);

struct Shared {
    received: watch::Sender<Vec<Received>>,
    answer: Mutex<Answer>,
    /// A request is answered once it has a permit.
    gate: Semaphore,
    under_way: watch::Sender<(usize, usize)>,
}

impl Receiver {
    /// Answers 200 at once.
    pub(crate) async fn open() -> Self {
        let receiver = Self::closed().await;
        receiver.let_pass(Semaphore::MAX_PERMITS / 2);
        receiver
    }

    /// Answers nobody until it is told to let some pass.
    pub(crate) async fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap()).into();
        let state = Arc::new(Shared {
            received: watch::Sender::new(Vec::new()),
            answer: Mutex::new((StatusCode::OK, Vec::new(), "ok")),
            gate: Semaphore::new(0),
            under_way: watch::Sender::new((0, 0)),
        });
        let app = Router::new().fallback(take).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn answer(&self, status: u16, headers: &[(&'static str, &str)], body: &'static str) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *self.state.answer.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), headers, body);
    }

    pub(crate) fn let_pass(&self, requests: usize) {
        self.state.gate.add_permits(requests);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.borrow().clone()
    }

    /// Waits for so many requests in all, answered or not.
    pub(crate) async fn got(&self, count: usize) -> Vec<Received> {
        let mut watching = self.state.received.subscribe();
        let got = tokio::time::timeout(PATIENCE, watching.wait_for(|received| received.len() >= count)).await;
        let got = got.unwrap_or_else(|_| panic!("got {} of {count} requests", self.received().len()));
        got.unwrap().clone()
    }

    /// The most requests that were under way at once.
    pub(crate) fn under_way_max(&self) -> usize {
        self.state.under_way.borrow().1
    }
}

async fn take(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    state.under_way.send_modify(|(now, max)| {
        *now += 1;
        *max = (*max).max(*now);
    });
    state.received.send_modify(|received| received.push(Received { headers, body }));
    state.gate.acquire().await.unwrap().forget();
    state.under_way.send_modify(|(now, _)| *now -= 1);
    let (status, headers, body) = state.answer.lock().unwrap().clone();
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }
    response
}
