//! Channels: how a job's message is put for a kind of destination. One module each; the queue's loop knows only [`deliver`].

mod message;
mod slack;
mod webhook;

use pulse_domain::integration::Destination;
use pulse_domain::job::Failure;
use reqwest::StatusCode;

use crate::http_client::Http;

pub(crate) use message::Message;

/// A kind of destination: the closed set of the label `channel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Webhook,
    Slack,
}

impl Channel {
    pub(crate) const ALL: [Self; 2] = [Self::Webhook, Self::Slack];

    /// The channel to a destination.
    pub(crate) fn to(destination: &Destination) -> Self {
        match destination {
            Destination::Webhook { .. } => Self::Webhook,
            Destination::Slack { .. } => Self::Slack,
        }
    }

    /// The name in metrics and spans.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
        }
    }
}

/// Makes one attempt. The status is the receiver's acknowledgement.
pub(crate) async fn deliver(destination: &Destination, http: &Http, message: &Message<'_>) -> Result<StatusCode, Failure> {
    let post = match destination {
        Destination::Webhook { url, headers, signing_secret } => webhook::post(message, url, headers, signing_secret.as_deref())?,
        Destination::Slack { url } => slack::post(message, url)?,
    };
    http.post(post).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_called_like_the_destinations_kind() {
        let url = "https://example.com".to_owned();
        let webhook = Destination::Webhook { url: url.clone(), headers: Default::default(), signing_secret: None };
        for destination in [webhook, Destination::Slack { url }] {
            let channel = Channel::to(&destination);
            assert_eq!((channel.as_str(), Channel::ALL[channel as usize]), (destination.kind(), channel));
        }
    }
}
