//! Readings on their way in, and as history.

use async_trait::async_trait;
use pulse_domain::Timestamp;
use pulse_domain::credential::TokenHash;
use pulse_domain::device::Lifecycle;
use pulse_domain::evaluation::IngestProgress;
use pulse_domain::ids::{DeviceKey, SiteId};
use pulse_domain::reading::{NewReading, Reading};

use crate::{Page, PageRequest, Result};

/// What decides whether a message is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceCredential {
    pub site_id: SiteId,
    pub lifecycle: Lifecycle,
    pub token: TokenHash,
}

/// The door for readings.
#[async_trait]
pub trait IngestStore {
    /// The credentials of many devices, in the order asked; none where a device is not registered.
    async fn device_credentials(&self, keys: &[DeviceKey]) -> Result<Vec<Option<DeviceCredential>>>;

    /// Keeps readings and makes their devices due, in a number of statements that does not grow with the readings. The order of the slice
    /// is the order of each device. Readings of a device that is not registered are skipped. Wakes [`crate::Topic::Readings`].
    async fn append_readings(&self, readings: &[NewReading]) -> Result<()>;

    /// A device's readings, newest first, received at or after `from` and before `to`.
    async fn readings(&self, key: &DeviceKey, from: Option<Timestamp>, to: Option<Timestamp>, page: &PageRequest) -> Result<Page<Reading>>;

    /// Says how far this instance of ingest has come by `now`. Called about once a second, also while nothing becomes durable: an
    /// instance that reports is alive, however late it is.
    async fn report_ingest_progress(&self, instance: &str, progress: IngestProgress, now: Timestamp) -> Result<()>;
}
