//! Lets a client that is still sending hear why it was refused.
//!
//! A server that answers and closes while the client still sends makes the client's system throw the answer away. So what a handler left
//! unread of a body is read and thrown away on the side, within bounds, while the answer goes out.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use http::header;
use http_body::{Frame, SizeHint};

/// How much of a body is read and thrown away at most, in bytes.
const LINGER_MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long the rest of a body is read at most.
const LINGER_MAX: Duration = Duration::from_secs(3);

/// Wraps the body of a request, unless the client waits for leave before it sends (`Expect: 100-continue`).
pub(crate) fn linger(request: Request) -> Request {
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return request;
    }
    request.map(|body| Body::new(Lingering(body)))
}

struct Lingering(Body);

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.0).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = Body::empty();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.0.is_end_stream() {
            return;
        }
        let rest = std::mem::take(&mut self.0);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Whether the bound was met or not, the client had its chance.
                drop(tokio::time::timeout(LINGER_MAX, throw_away(rest)).await);
            });
        }
    }
}

async fn throw_away(body: Body) {
    let mut body = pin!(body);
    let mut seen = 0;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > LINGER_MAX_BYTES {
            break;
        }
    }
}
