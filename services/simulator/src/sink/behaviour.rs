//! How the sink behaves: well, or as badly as it was told to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the sink does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Takes it: 200.
    #[default]
    Ok,
    /// Takes it late: 200 after `delay_ms`, 2 s unless told.
    Slow,
    /// Answers an error that may pass: `status`, 503 unless told, with Retry-After if told.
    Fail,
    /// Refuses it for good: `status`, 400 unless told.
    Reject,
    /// Never answers.
    Hang,
    /// Cuts the connection with a TCP reset instead of an answer.
    Reset,
    /// Takes it and then cuts the connection, as a receiver does that dies before its answer: a good sender sends it again.
    Lose,
}

/// Which messages behaviour is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    #[default]
    All,
    Webhook,
    Slack,
}

/// A mode and its particulars: the body of `POST /control`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    pub mode: Mode,
    /// Whom it is about.
    #[serde(default)]
    pub target: Target,
    /// Waits this long before it answers, in any mode that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The status of `fail` and `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The Retry-After of `fail` and `reject`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Back to `ok` after so many messages; none: until told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// The longest delay that can be asked for.
const DELAY_MAX: Duration = Duration::from_secs(600);
/// The delay of `slow` where none was given.
const SLOW_DELAY: Duration = Duration::from_secs(2);

impl Behaviour {
    /// A behaviour of this mode, with its defaults, until told otherwise.
    pub fn new(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// Whether it makes sense; the text says what would.
    pub fn validate(&self) -> Result<(), String> {
        let in_range = |range: std::ops::Range<u16>| self.status.is_none_or(|status| range.contains(&status));
        match self.mode {
            Mode::Reject if !in_range(400..500) => Err("the status of reject must be 400 to 499".into()),
            Mode::Fail if !in_range(400..600) => Err("the status of fail must be 400 to 599".into()),
            Mode::Ok | Mode::Slow | Mode::Hang | Mode::Reset | Mode::Lose if self.status.is_some() => {
                Err("only fail and reject have a status".into())
            }
            _ if self.delay_ms.is_some_and(|ms| Duration::from_millis(ms) > DELAY_MAX) => {
                Err(format!("delay_ms must be at most {}", DELAY_MAX.as_millis()))
            }
            _ => Ok(()),
        }
    }

    /// How long to wait before the answer.
    pub(super) fn delay(&self) -> Duration {
        let unless_told = if self.mode == Mode::Slow { SLOW_DELAY } else { Duration::ZERO };
        self.delay_ms.map_or(unless_told, Duration::from_millis)
    }

    /// The status of the answer.
    pub(super) fn status(&self) -> u16 {
        self.status.unwrap_or(match self.mode {
            Mode::Fail => 503,
            Mode::Reject => 400,
            Mode::Ok | Mode::Slow | Mode::Hang | Mode::Reset | Mode::Lose => 200,
        })
    }

    fn is_about(&self, target: Target) -> bool {
        self.target == Target::All || self.target == target
    }
}

/// The behaviours in force, one for each path.
#[derive(Debug, Default)]
pub(super) struct Behaviours(Mutex<[Behaviour; 2]>);

const PATHS: [Target; 2] = [Target::Webhook, Target::Slack];

impl Behaviours {
    /// Sets how a path behaves from now on.
    pub(super) fn set(&self, behaviour: &Behaviour) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (own, path) in all.iter_mut().zip(PATHS) {
            if behaviour.is_about(path) {
                own.clone_from(behaviour);
            }
        }
    }

    /// What to do with the next message on a path; one of `times` is used up.
    pub(super) fn next(&self, path: Target) -> Behaviour {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(own) = all.iter_mut().zip(PATHS).find(|(_, own)| *own == path).map(|(own, _)| own) else {
            return Behaviour::default();
        };
        match own.times {
            None => own.clone(),
            Some(0) => {
                *own = Behaviour::default();
                Behaviour::default()
            }
            Some(left) => {
                own.times = Some(left - 1);
                own.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behaviour_is_about_its_path_and_ends_after_its_times() {
        let behaviours = Behaviours::default();
        behaviours.set(&Behaviour { target: Target::Webhook, times: Some(2), ..Behaviour::new(Mode::Fail) });
        let modes: Vec<_> = (0..4).map(|_| behaviours.next(Target::Webhook).mode).collect();
        assert_eq!(modes, [Mode::Fail, Mode::Fail, Mode::Ok, Mode::Ok]);
        assert_eq!(behaviours.next(Target::Slack).mode, Mode::Ok);
        behaviours.set(&Behaviour::new(Mode::Hang));
        assert_eq!(behaviours.next(Target::Slack).mode, Mode::Hang);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (bad, says) in [
            (r#"{"mode":"reject","status":500}"#, "400 to 499"),
            (r#"{"mode":"fail","status":200}"#, "400 to 599"),
            (r#"{"mode":"ok","status":204}"#, "only fail and reject"),
            (r#"{"mode":"slow","delay_ms":99999999}"#, "at most 600000"),
        ] {
            let error = serde_json::from_str::<Behaviour>(bad).unwrap().validate().unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
        assert!(serde_json::from_str::<Behaviour>(r#"{"mode":"ok","nonsense":1}"#).is_err());
    }
}
