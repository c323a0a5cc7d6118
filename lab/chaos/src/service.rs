//! The five services by name.

use std::fmt;

/// A service of Pulse, as `pulse run` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    UiApi,
    Evaluator,
    Dispatcher,
    DeliveryWorker,
    OpsWorker,
}

impl Service {
    /// In the order of the flow.
    pub const ALL: [Self; 5] = [Self::UiApi, Self::Evaluator, Self::Dispatcher, Self::DeliveryWorker, Self::OpsWorker];

    /// The name on the command line and in the label `service`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UiApi => "ui_api",
            Self::Evaluator => "evaluator",
            Self::Dispatcher => "dispatcher",
            Self::DeliveryWorker => "delivery_worker",
            Self::OpsWorker => "ops_worker",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
