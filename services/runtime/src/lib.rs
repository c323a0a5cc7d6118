//! The skeleton of a service, so that each service is only what is its own: settings, signals, drain, serving HTTP with the admin routes
//! (/health, /ready, /metrics), the wake-or-poll cycle, and what every loop needs: a backoff, a ticker, and an outage's log lines.
//!
//! Nothing here is global: `main` makes a [`Shutdown`] and one [`Deps`] per service and hands them down, so that five services share one
//! process and tests run side by side.
#![warn(missing_docs)]

pub mod attribute;
mod backoff;
mod clock;
mod cycle;
mod database_check;
mod deps;
mod error;
pub mod logging;
mod outage;
pub mod problem;
mod server;
pub mod settings;
mod shutdown;
pub mod signals;
pub mod spans;
mod tasks;
mod ticker;
pub mod tls;
mod unavailable;

pub use backoff::Backoff;
pub use clock::{Clock, ManualClock};
pub use cycle::{CyclePlan, Progress, run_cycle};
pub use database_check::AwaitedDatabase;
pub use deps::Deps;
pub use error::{BindError, Chain, Error};
pub use outage::Outage;
pub use server::{DRAIN, Listeners, bind, serve, serve_admin};
pub use settings::{ServerSettings, parse_duration};
pub use shutdown::Shutdown;
pub use spans::Spans;
pub use tasks::Tasks;
pub use ticker::Ticker;
pub use unavailable::serve_unavailable;
