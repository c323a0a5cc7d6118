//! Channels: how a job's message is put for a kind of destination. One module each; the queue's loop knows only [`Channel`].

mod message;
mod slack;
mod webhook;

use pulse_domain::integration::Destination;

use crate::http_client::Http;

pub(crate) use message::{Channel, Message};

/// The channel to a destination.
pub(crate) fn open<'a>(destination: &'a Destination, http: &'a Http) -> Box<dyn Channel + 'a> {
    match destination {
        Destination::Webhook { url, headers, signing_secret } => {
            Box::new(webhook::Webhook { http, url, headers, signing_secret: signing_secret.as_deref() })
        }
        Destination::Slack { url } => Box::new(slack::Slack { http, url }),
    }
}
