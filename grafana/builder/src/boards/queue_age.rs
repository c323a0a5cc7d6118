//! How long items wait in the queues between services.

use crate::panel::Panel;
use crate::promql::{Selector, max, max_by, metric};
use crate::unit::Unit;

/// Whose queues a panel is about.
#[derive(Clone, Copy)]
pub(super) enum Queues {
    /// Those of all services.
    All,
    Evaluator,
    Dispatcher,
    DeliveryWorker,
}

impl Queues {
    fn oldest(self) -> Selector {
        let age = metric("pulse_queue_oldest_age_seconds");
        match self {
            Self::All => age,
            Self::Evaluator => age.is("service", "evaluator"),
            Self::Dispatcher => age.is("service", "dispatcher"),
            Self::DeliveryWorker => age.is("service", "delivery_worker"),
        }
    }
}

/// The age of the oldest item now.
pub(super) fn now(queues: Queues, warn: f64, bad: f64) -> Panel {
    let title = match queues {
        Queues::All => "Age of the oldest item in any queue",
        Queues::Evaluator => "Age of the oldest item, evaluator",
        Queues::Dispatcher => "Age of the oldest item, dispatcher",
        Queues::DeliveryWorker => "Age of the oldest item, delivery_worker",
    };
    Panel::stat(title, Unit::Seconds, "How long the item that has waited longest has been in its queue; 0 when nothing waits.")
        .ask(max(queues.oldest()), "oldest")
        .bad_above(warn, bad)
}

/// The age of each queue's oldest item over time.
pub(super) fn over_time(queues: Queues, warn: f64, bad: f64) -> Panel {
    let (labels, legend): (&[&str], _) = match queues {
        Queues::All => (&["service", "queue_name"], "{{service}}: {{queue_name}}"),
        Queues::Evaluator | Queues::Dispatcher | Queues::DeliveryWorker => (&["queue_name"], "{{queue_name}}"),
    };
    Panel::lines(
        "Age of the oldest item",
        Unit::Seconds,
        "How long the item that has waited longest has been in each queue; 0 when the queue is empty.",
    )
    .ask(max_by(labels, queues.oldest()), legend)
    .bad_above(warn, bad)
}
