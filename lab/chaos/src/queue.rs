//! The queues between services, as their services count them.

use std::time::Duration;

use anyhow::Result;

use crate::service::Service;
use crate::system::System;
use crate::wait::until;

/// A queue that load goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    Devices,
    Alerts,
    Jobs,
}

impl Queue {
    /// In the order of the flow.
    pub const EVERY: [Self; 3] = [Self::Devices, Self::Alerts, Self::Jobs];

    /// Who takes from it, and counts it.
    pub fn service(self) -> Service {
        match self {
            Self::Devices => Service::Evaluator,
            Self::Alerts => Service::Dispatcher,
            Self::Jobs => Service::DeliveryWorker,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Devices => "queue_name=\"devices_to_evaluate\"",
            Self::Alerts => "queue_name=\"pending_alerts\"",
            Self::Jobs => "queue_name=\"pending_jobs\"",
        }
    }

    /// The depth as each process counts it; none where the count failed.
    pub async fn depths(self, system: &System) -> Result<Vec<Option<f64>>> {
        let scrapes = system.scrape(self.service()).await?;
        Ok(scrapes.iter().map(|scrape| scrape.sum("pulse_queue_depth", &[self.label()])).collect())
    }

    /// Waits until every process counts none.
    pub async fn empty(self, system: &System, within: Duration) -> Result<()> {
        until(within, "a queue is empty", async || {
            let depths = self.depths(system).await.map_err(|error| format!("{error:#}"))?;
            let is_empty = !depths.is_empty() && depths.iter().all(|depth| *depth == Some(0.0));
            if is_empty { Ok(()) } else { Err(format!("{self:?} has depths of {depths:?}")) }
        })
        .await
    }
}
