//! A whole simulation: the sink listens, the fleet is registered, and then it reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pulse_runtime::Shutdown;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::drive::drive;
use crate::drive::tally::{DriveStats, DriveTally};
use crate::error::{Error, Result};
use crate::sent_readings::SentReadings;
use crate::settings::SimulateSettings;
use crate::setup::{Registration, SetupPlan, setup};
use crate::sink::tally::SinkStats;
use crate::sink::{SLACK_PATH, Sink, SinkSettings, WEBHOOK_PATH};

/// What both ends of Pulse have seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// The devices' end.
    pub fleet: DriveStats,
    /// The receivers' end.
    pub sink: SinkStats,
}

/// A fleet that reports and a sink that receives.
#[derive(Debug)]
pub struct Simulation {
    sink: Sink,
    tally: Arc<DriveTally>,
    driver: Option<JoinHandle<Result<DriveStats>>>,
}

/// Nothing new for so long: nothing is on its way any more.
const QUIET: Duration = Duration::from_millis(1_500);
/// How often to look whether something came.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Simulation {
    /// Registers the fleet and the sink with the server, and lets the fleet report until the duration has passed or shutdown is triggered.
    ///
    /// The sink is the caller's, so that it can outlive the services that still deliver to it when they drain.
    pub async fn start(settings: &SimulateSettings, sink: Sink, shutdown: &Shutdown) -> Result<Self> {
        let registration = Registration {
            url: settings.url.clone(),
            token: settings.token.clone(),
            tenant: settings.tenant.clone(),
            devices: settings.devices,
        };
        let at = settings.sink_url.clone().unwrap_or_else(|| sink.url());
        let plan = SetupPlan {
            registration,
            webhook_url: format!("{at}{WEBHOOK_PATH}"),
            signing_secret: sink.signing_secret().clone(),
            slack_url: format!("{at}{SLACK_PATH}"),
        };
        let access = shutdown.unless_triggered(setup(&plan)).await;
        let access = Arc::new(access.ok_or_else(|| Error::Stopped { what: "registering the fleet".into() })??);
        let sent_readings = Arc::new(SentReadings::new(&access));
        sink.measure_with(Arc::clone(&sent_readings));
        let tally = Arc::new(DriveTally::new()?);
        let (plan, own, shutdown) = (settings.drive(), Arc::clone(&tally), shutdown.clone());
        let driver = tokio::spawn(async move { drive(&plan, access, sent_readings, own, shutdown).await });
        Ok(Self { sink, tally, driver: Some(driver) })
    }

    /// The numbers now.
    pub fn report(&self) -> Report {
        Report { fleet: self.tally.stats(), sink: self.sink.stats() }
    }

    /// The receiving end.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Waits until the fleet has ended. May be cancelled and called again; at once when it has ended before.
    pub async fn driven(&mut self) -> Result<()> {
        let Some(driver) = &mut self.driver else { return Ok(()) };
        let ended = driver.await;
        self.driver = None;
        match ended {
            Ok(stats) => stats.map(drop),
            Err(source) => Err(Error::Ended { what: "the fleet", source }),
        }
    }

    /// Waits until nothing has come to the sink for a moment, at most for `within`.
    pub async fn settle(&self, within: Duration, shutdown: &Shutdown) {
        let begun = Instant::now();
        let mut last = (self.arrivals(), Instant::now());
        while begun.elapsed() < within && last.1.elapsed() < QUIET {
            if shutdown.unless_triggered(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
            let arrivals = self.arrivals();
            if arrivals != last.0 {
                last = (arrivals, Instant::now());
            }
        }
    }

    fn arrivals(&self) -> u64 {
        let stats = self.sink.stats();
        stats.webhooks + stats.chats
    }
}

/// The whole of it: a sink, a fleet, and the report at the end.
pub async fn simulate(settings: &SimulateSettings, shutdown: &Shutdown) -> Result<Report> {
    // The sink ends here, not with the shutdown: what is on its way then is still to be counted.
    let sink = Sink::start(SinkSettings { listen: settings.sink_listen, signing_secret: None }, &Shutdown::new()).await?;
    let report = play(settings, sink.clone(), shutdown).await;
    sink.stop().await;
    report
}

async fn play(settings: &SimulateSettings, sink: Sink, shutdown: &Shutdown) -> Result<Report> {
    let mut simulation = Simulation::start(settings, sink, shutdown).await?;
    simulation.driven().await?;
    simulation.settle(settings.settle, shutdown).await;
    Ok(simulation.report())
}
