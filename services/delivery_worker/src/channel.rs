//! Channels: how a job's message is put for a kind of destination. One module each; the queue's loop knows only [`Channel`].

mod slack;
mod webhook;

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::integration::Destination;
use pulse_domain::job::{Failure, Job};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};

use crate::failure;
use crate::http::Http;

pub(crate) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// A kind of destination.
#[async_trait]
pub(crate) trait Channel: Send + Sync {
    /// Makes one attempt. The status is the receiver's acknowledgement.
    async fn deliver(&self, message: &Message<'_>) -> Result<StatusCode, Failure>;
}

/// The channel to a destination.
pub(crate) fn open<'a>(destination: &'a Destination, http: &'a Http) -> Box<dyn Channel + 'a> {
    match destination {
        Destination::Webhook { url, headers, signing_secret } => {
            Box::new(webhook::Webhook { http, url, headers, signing_secret: signing_secret.as_deref() })
        }
        Destination::Slack { url } => Box::new(slack::Slack { http, url }),
    }
}

/// What is to be delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) job: &'a Job,
    /// When this attempt began.
    pub(crate) at: Timestamp,
}

impl Message<'_> {
    /// The id by which receivers drop doubles: made of the event and the route, so the same at every attempt and replay.
    pub(crate) fn id(&self) -> String {
        format!("msg_{}_{}", self.job.event_id.0.simple(), self.job.route_id.0.simple())
    }

    /// What every channel over HTTP sends along.
    fn headers(&self) -> Result<HeaderMap, Failure> {
        let id = HeaderValue::try_from(self.id()).map_err(|_| failure::config("the message's id cannot be sent"))?;
        Ok([(CONTENT_TYPE, HeaderValue::from_static("application/json")), (WEBHOOK_ID, id)].into_iter().collect())
    }

    /// How often it was sent before.
    fn resends(&self) -> u32 {
        self.job.attempts.saturating_sub(1)
    }
}

/// The URL of an integration. The error does not repeat it: it may be the secret itself.
fn parse_url(text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|why| failure::config(format!("the integration's URL cannot be read ({why}): correct it and replay the job")))
}
