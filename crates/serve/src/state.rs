//! [`App`]: what all requests share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};

use crate::ServeError;
use crate::budget::Budgets;
use crate::cache::Cache;
use crate::caller::Owner;
use crate::catalogue::{Catalogue, Preparation};
use crate::lane::{Bounds, Lane};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::problem::{Kind, Problem};
use crate::store::{Store, StoreError};

/// Key uploads at once.
const UPLOADS: usize = 4;

/// What all requests share.
pub(crate) type App = Arc<State>;

/// See [`App`].
pub(crate) struct State {
    pub(crate) settings: Options,
    pub(crate) catalogue: Catalogue,
    /// One for every protocol.
    pub(crate) lanes: BTreeMap<&'static str, Lane>,
    pub(crate) store: Store,
    pub(crate) cache: Cache,
    pub(crate) budgets: Budgets,
    pub(crate) metrics: Metrics,
    pub(crate) uploads: Semaphore,
    /// Tokens that were looked up lately, so that the store is not asked for every request.
    granted: Mutex<HashMap<Owner, Instant>>,
    stopping: AtomicBool,
}

impl State {
    /// Memory of an expanded evaluation key, for which room is made before one is read.
    pub(crate) const EXPANDED_KEY: usize = 233 << 20;

    pub(crate) async fn open(settings: Options) -> Result<App, ServeError> {
        let workers = settings.workers.clone();
        let looked = tokio::task::spawn_blocking(move || crate::workers::look(&workers)).await;
        looked.map_err(std::io::Error::other)?.map_err(ServeError::Workers)?;
        let store = Store::open(&settings.store)?;
        let preparation = Preparation {
            protocols: settings.protocols.clone(),
            budget: settings.budget,
            timings: settings.timings.clone(),
            threads: settings.threads,
            wish: settings.wish,
            weights: settings.weights,
            workers: settings.workers.clone(),
            overlap: settings.deadline,
        };
        let folders = settings.models.clone();
        let catalogue = tokio::task::spawn_blocking(move || Catalogue::open(&folders, preparation));
        let catalogue = catalogue.await.map_err(std::io::Error::other)??;
        let mut lanes = BTreeMap::new();
        for protocol in &settings.protocols {
            let decided = matches!(protocol.decider(), sordino_model::Decider::Server);
            let bounds = Bounds {
                seats: settings.queue,
                seats_a_share: settings.queue_a_client,
                // A query of `decided` keeps all threads busy; the others take one each.
                at_once: if decided { 1 } else { settings.threads },
                threads: settings.threads,
            };
            lanes.insert(protocol.name(), Lane::new(protocol.name(), bounds)?);
        }
        Ok(Arc::new(Self {
            catalogue,
            lanes,
            budgets: Budgets::open(store.clone()).await?,
            store,
            cache: Cache::new(settings.key_memory),
            metrics: Metrics::new(),
            uploads: Semaphore::new(UPLOADS),
            granted: Mutex::default(),
            stopping: AtomicBool::new(false),
            settings,
        }))
    }

    /// Whether a token is one that the operator gave out. Where only those may ask, everybody else is refused.
    pub(crate) async fn admits(&self, owner: Option<Owner>) -> Result<bool, Problem> {
        let granted = match owner {
            Some(owner) => self.granted(owner).await?,
            None => false,
        };
        if granted || !self.settings.only_tokens {
            return Ok(granted);
        }
        Err(match owner {
            None => Kind::TokenMissing
                .because("this server answers tokens that its operator gave out; send `Authorization: Bearer TOKEN`"),
            Some(_) => {
                Kind::TokenUnknown.because("the operator gave out no such token, or took it back; ask for another")
            }
        })
    }

    async fn granted(&self, owner: Owner) -> Result<bool, StoreError> {
        /// A token that was taken back is good for so long.
        const REMEMBERED: Duration = Duration::from_secs(10);
        let mut granted = self.granted.lock().await;
        granted.retain(|_, since| since.elapsed() < REMEMBERED);
        if granted.contains_key(&owner) {
            return Ok(true);
        }
        drop(granted);
        let found = self.store.granted(owner).await?;
        if found {
            self.granted.lock().await.insert(owner, Instant::now());
        }
        Ok(found)
    }

    /// From now on the server is not ready for more.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub(crate) fn ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use sordino_fhe::params::STANDARD;
    use sordino_fhe::{EvaluationKey, SecretKey};

    use super::*;

    #[test]
    fn room_is_made_for_what_an_expanded_key_takes() {
        let key = EvaluationKey::generate(&SecretKey::generate(&STANDARD), |_| ()).expand();
        let room = State::EXPANDED_KEY;
        assert!((0.95..=1.0).contains(&(key.bytes() as f64 / room as f64)), "{} of {room} bytes", key.bytes());
    }
}
