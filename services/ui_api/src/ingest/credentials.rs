//! What decides whether a device's message is taken, kept in memory for a short while.
//!
//! What is not there is asked of the store in batches: one question is under way at a time and everything that waits joins the next. So
//! neither ten thousand devices whose entries ran out together nor strangers with made-up names cost more than one statement at a time.
//! Names that are not registered are kept too; the cache is bounded and, as it prefers what is asked often, a flood of names that are asked
//! once does not push the fleet out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use equivalent::Equivalent;
use moka::sync::Cache;
use pulse_domain::credential::TokenHash;
use pulse_domain::device::Lifecycle;
use pulse_domain::ids::{DeviceKey, SiteId};
use pulse_runtime::{Chain, Outage, Shutdown};
use pulse_store::{DeviceCredential, SharedStore, within};
use tokio::sync::{mpsc, oneshot};

use super::gap::Gap;
use crate::metrics::{Metrics, TenantMeter};
use crate::settings::Settings;

/// Requests that may wait for the store; further ones are refused.
const WAITING_MAX: usize = 4_096;
/// The most devices asked for in one statement (one request's own are never split).
const LOOKUP_MAX: usize = 1_000;
/// The longest one question to the store may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A registered device, as the doors know it.
#[derive(Debug)]
pub(crate) struct KnownDevice {
    pub(crate) key: DeviceKey,
    pub(crate) site_id: SiteId,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) token: TokenHash,
    pub(crate) meter: Arc<TenantMeter>,
}

/// The answer about one name; none: not registered.
pub(crate) type Known = Option<Arc<KnownDevice>>;

/// The store could not be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unavailable;

/// A device's name as it stands in a request, found in the cache without being copied.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct KeyRef<'a> {
    pub(crate) tenant_id: &'a str,
    pub(crate) device_id: &'a str,
}

impl Equivalent<DeviceKey> for KeyRef<'_> {
    fn equivalent(&self, key: &DeviceKey) -> bool {
        self.device_id == key.device_id.as_str() && self.tenant_id == key.tenant_id.as_str()
    }
}

type Reply = oneshot::Sender<Result<Vec<Known>, Unavailable>>;

struct Lookup {
    keys: Vec<DeviceKey>,
    reply: Reply,
}

/// How many names one request asked for, and where its answer goes.
type Waiting = (usize, Reply);

/// The cache, and the way to the one who asks the store.
#[derive(Debug)]
pub(crate) struct Credentials {
    cache: Cache<DeviceKey, Known>,
    lookups: mpsc::Sender<Lookup>,
    /// Counts [`Credentials::forget`]: an answer that was under way then may be old and is not kept.
    forgotten: Mutex<u64>,
}

/// Asks the store; runs as a task.
pub(crate) struct Loader {
    credentials: Arc<Credentials>,
    store: SharedStore,
    metrics: Arc<Metrics>,
    gap: Arc<Gap>,
    lookups: mpsc::Receiver<Lookup>,
    outage: Outage,
}

impl Credentials {
    /// The cache and its loader.
    pub(crate) fn new(settings: &Settings, store: SharedStore, metrics: Arc<Metrics>, gap: Arc<Gap>) -> (Arc<Self>, Loader) {
        let (sender, lookups) = mpsc::channel(WAITING_MAX);
        let cache = Cache::builder().max_capacity(settings.ingest_credentials_max).time_to_live(settings.ingest_credential_ttl).build();
        let credentials = Arc::new(Self { cache, lookups: sender, forgotten: Mutex::default() });
        (Arc::clone(&credentials), Loader { credentials, store, metrics, gap, lookups, outage: Outage::default() })
    }

    /// The answer from memory; none: it must be [loaded](Self::load).
    pub(crate) fn cached(&self, key: KeyRef<'_>) -> Option<Known> {
        self.cache.get(&key)
    }

    /// Asks the store, in the order of `keys`.
    pub(crate) async fn load(&self, keys: Vec<DeviceKey>) -> Result<Vec<Known>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.lookups.try_send(Lookup { keys, reply }).map_err(|_| Unavailable)?;
        answer.await.map_err(|_| Unavailable)?
    }

    /// A device has changed: it is asked for anew.
    pub(crate) fn forget(&self, key: &DeviceKey) {
        let mut forgotten = self.forgotten();
        *forgotten += 1;
        self.cache.invalidate(key);
    }

    fn forgotten(&self) -> MutexGuard<'_, u64> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loader {
    /// Answers until shutdown. Requests that still wait then are refused as unavailable.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        while let Some(Some(first)) = shutdown.unless_triggered(self.lookups.recv()).await {
            let mut size = first.keys.len();
            let mut group = vec![first];
            while size < LOOKUP_MAX
                && let Ok(next) = self.lookups.try_recv()
            {
                size += next.keys.len();
                group.push(next);
            }
            self.answer(group).await;
        }
    }

    async fn answer(&mut self, group: Vec<Lookup>) {
        let forgotten_before = *self.credentials.forgotten();
        let mut keys = Vec::new();
        let mut waiting = Vec::with_capacity(group.len());
        for lookup in group {
            waiting.push((lookup.keys.len(), lookup.reply));
            keys.extend(lookup.keys);
        }
        let error = match within(LOOKUP_TIMEOUT, self.store.device_credentials(&keys)).await {
            Ok(found) => {
                self.outage.ended();
                return self.reply(keys, found, waiting, forgotten_before);
            }
            Err(error) => error,
        };
        if let Some(failures) = self.outage.failed() {
            tracing::warn!(error = %Chain(&error), failures, "the credentials of devices cannot be read: their messages are refused");
        }
        self.gap.readings_were_refused();
        for (_, reply) in waiting {
            // Whoever left is not told.
            drop(reply.send(Err(Unavailable)));
        }
    }

    fn reply(&self, keys: Vec<DeviceKey>, found: Vec<Option<DeviceCredential>>, waiting: Vec<Waiting>, forgotten_before: u64) {
        let known: Vec<(DeviceKey, Known)> =
            keys.into_iter().zip(found).map(|(key, credential)| (key.clone(), self.known(key, credential))).collect();
        let forgotten = self.credentials.forgotten();
        if *forgotten == forgotten_before {
            for (key, known) in &known {
                self.credentials.cache.insert(key.clone(), known.clone());
            }
        }
        drop(forgotten);
        let mut known = known.into_iter().map(|(_, known)| known);
        for (count, reply) in waiting {
            drop(reply.send(Ok(known.by_ref().take(count).collect())));
        }
    }

    fn known(&self, key: DeviceKey, credential: Option<DeviceCredential>) -> Known {
        let DeviceCredential { site_id, lifecycle, token } = credential?;
        let meter = self.metrics.ingest.tenant(&key.tenant_id);
        Some(Arc::new(KnownDevice { key, site_id, lifecycle, token, meter }))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use pulse_domain::ids::{DeviceId, TenantId};

    use super::*;

    #[test]
    fn a_borrowed_name_finds_the_kept_one() {
        let key = DeviceKey { tenant_id: TenantId::parse("t").unwrap(), device_id: DeviceId::parse("d").unwrap() };
        let borrowed = KeyRef { tenant_id: "t", device_id: "d" };
        let state = std::hash::RandomState::new();
        assert_eq!(state.hash_one(&key), state.hash_one(borrowed));
        assert!(borrowed.equivalent(&key));
        assert!(!KeyRef { tenant_id: "d", device_id: "t" }.equivalent(&key));
    }
}
