//! A fleet of devices and a webhook sink: what stands at both ends of Pulse, over the real HTTP doors.
//!
//! [`simulation::Simulation`] runs both: it registers a seeded [`fleet`] through the API ([`setup`]), lets it report ([`drive`]), and
//! counts what is delivered to a [`sink`] that can be told to misbehave. [`load`] measures how many readings a server takes. Nothing here
//! knows the store: whatever the simulator sees, a customer sees.

pub mod client;
pub mod drive;
pub mod error;
pub mod fleet;
pub mod latency;
pub mod load;
pub mod sent_readings;
pub mod settings;
pub mod setup;
pub mod simulation;
pub mod sink;
pub mod wire;

pub use error::{Error, Result};
pub use settings::SimulateSettings;
pub use simulation::{Report, Simulation, simulate};
