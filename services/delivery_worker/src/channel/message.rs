//! What is delivered: the message, and what is the same for all channels over HTTP.

use pulse_domain::Timestamp;
use pulse_domain::job::{Failure, Job};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::failure;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

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
    pub(crate) fn headers(&self) -> Result<HeaderMap, Failure> {
        let id = HeaderValue::try_from(self.id()).map_err(|_| failure::config("the message's id cannot be sent"))?;
        Ok([(CONTENT_TYPE, HeaderValue::from_static("application/json")), (WEBHOOK_ID, id)].into_iter().collect())
    }

    /// How many times it was sent before.
    pub(crate) fn resends(&self) -> u32 {
        self.job.attempts.saturating_sub(1)
    }
}

/// The URL of an integration. The error does not repeat it: it may be the secret itself.
pub(crate) fn parse_url(text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|why| failure::config(format!("the integration's URL cannot be read ({why}): correct it and replay the job")))
}
