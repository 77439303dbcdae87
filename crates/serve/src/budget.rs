//! [`Budgets`]: how many queries a share may ask in a window of time.
//!
//! Scores are exact integers, so whoever asks as many queries as a model has features can solve for its weights; a decided answer tells a
//! few bits. `docs/crypto.md`, section 8, counts them. A budget makes that take long, and shows it to the operator. It does not make it
//! impossible.
//!
//! Messages are counted ahead in blocks and written down before they are answered. So a server that is killed has counted too many, never
//! too few.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sordino_fhe::{FheError, Plan};
use sordino_model::ModelHash;
use sordino_model::stage::Hierarchy;
use sordino_model::{Protocol, Routing};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::caller::Share;
use crate::problem::{Kind, Problem};
use crate::store::{Store, StoreError, now};

/// How many queries a share may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Budget {
    /// Queries in a window.
    pub queries: u64,
    /// Length of a window in seconds.
    pub seconds: u64,
}

/// Messages that are counted ahead.
const BLOCK: u64 = 8;
/// Shares whose counts are held in memory.
const MOST_SHARES: usize = 16_384;

/// The number of queries whose replies can hold all weights of one group: where the client sees scores, one for every feature and one for
/// the bias; where the server decides, the bits of the weights by those that a reply leaks at most, two for every returned coefficient.
pub(crate) fn revealing(protocol: Protocol, stages: &Hierarchy, plan: &Plan) -> Result<u64, FheError> {
    let all = stages.shape();
    // What is public needs no query.
    let last = stages.stages().len() - 1;
    let stages = &stages.stages()[if protocol.routing() == Routing::Public { last } else { 0 }..];
    let fewest = |f: &dyn Fn(&sordino_model::stage::Stage) -> u64| stages.iter().map(f).min().unwrap_or(1);
    let bits = match plan {
        Plan::Decision(plan) => plan.returned(all)?,
        Plan::Raw(plan) => plan.returned(all)?,
        _ => return Ok(fewest(&|stage| stage.input().width as u64 + 1)),
    };
    // A weight has about six bits.
    Ok(fewest(&|stage| 6 * (stage.outputs() * stage.input().width) as u64).div_ceil((2 * bits as u64).max(1)))
}

/// What shares have spent, by model and protocol.
pub(crate) struct Budgets {
    store: Store,
    salt: Vec<u8>,
    spent: Mutex<HashMap<String, Arc<Mutex<Account>>>>,
}

/// What one share has spent in the window that began at `since`.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    since: u64,
    /// Messages written down as spent.
    counted: HashMap<String, u64>,
    /// Messages spent, at most as many.
    #[serde(skip)]
    spent: HashMap<String, u64>,
}

/// What is left after a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) queries: u64,
    /// Until the next window.
    pub(crate) reset: Duration,
}

impl Budgets {
    pub(crate) async fn open(store: Store) -> Result<Self, StoreError> {
        let salt = store.salt().await?;
        Ok(Self { store, salt, spent: Mutex::default() })
    }

    /// Counts one message of a query of `trips` messages. A client is free to send any of them, so each counts.
    pub(crate) async fn spend(&self, share: Share, what: &str, trips: u64, budget: Budget) -> Result<Left, Problem> {
        let name = self.name(share);
        let account = self.account(&name).await?;
        let mut account = account.lock().await;
        let window = now() / budget.seconds.max(1) * budget.seconds.max(1);
        if account.since != window {
            *account = Account { since: window, ..Account::default() };
        }
        let reset = Duration::from_secs((window + budget.seconds).saturating_sub(now()));
        let most = budget.queries * trips;
        let spent = account.spent.get(what).copied().unwrap_or(0);
        if spent >= most {
            let detail = format!(
                "the budget of {what} is spent, {} queries in {} s; ask again in {} s. Many answers together tell what the library is \
                 made of",
                budget.queries,
                budget.seconds,
                reset.as_secs()
            );
            return Err(Kind::Budget.because(detail).retry_after(reset));
        }
        if account.counted.get(what).copied().unwrap_or(0) <= spent {
            account.counted.insert(what.to_owned(), (spent + BLOCK).min(most));
            self.store.spend(&name, &*account).await?;
        }
        account.spent.insert(what.to_owned(), spent + 1);
        Ok(Left { queries: (most - spent - 1) / trips, reset })
    }

    /// Takes back one message that was not answered.
    pub(crate) async fn refund(&self, share: Share, what: &str) {
        let account = self.spent.lock().await.get(&self.name(share)).cloned();
        if let Some(account) = account
            && let Some(spent) = account.lock().await.spent.get_mut(what)
        {
            *spent = spent.saturating_sub(1);
        }
    }

    /// Under which a share is written down. Without the salt nobody can tell whose it is.
    fn name(&self, share: Share) -> String {
        ModelHash::of(&[&self.salt[..], &share.to_bytes()].concat()).to_string()
    }

    async fn account(&self, name: &str) -> Result<Arc<Mutex<Account>>, StoreError> {
        let mut all = self.spent.lock().await;
        if let Some(found) = all.get(name) {
            return Ok(found.clone());
        }
        let mut account: Account = self.store.spent(name).await?.unwrap_or_default();
        account.spent = account.counted.clone();
        if all.len() >= MOST_SHARES {
            // They are written down, and are counted as full blocks when they come back. Who is being counted stays.
            all.retain(|_, account| Arc::strong_count(account) > 1);
        }
        Ok(all.entry(name.to_owned()).or_insert_with(|| Arc::new(Mutex::new(account))).clone())
    }
}

#[cfg(test)]
mod tests {
    use sordino_front::VectorBound;
    use sordino_model::stage::Stage;

    use super::*;

    const BUDGET: Budget = Budget { queries: 10, seconds: 1 << 40 };

    fn share(last: u8) -> Share {
        Share::Address([192, 0, 2, last].into())
    }

    #[test]
    fn a_decided_reply_has_two_bits_for_every_bit_of_a_position() {
        let bound = VectorBound { width: 24, max_abs: 31, norm_squared: 3_600 };
        let stage = |groups: usize, outputs: usize| {
            let rows = groups * outputs;
            Stage::new(outputs, bound, vec![1; rows * 24], vec![0; rows], vec![outputs; groups]).expect("a stage")
        };
        let decided = |outputs: [usize; 2]| {
            let stages =
                Hierarchy::new(vec![stage(1, outputs[0]), stage(outputs[0], outputs[1])]).expect("a hierarchy");
            let protocol = "decided".parse().expect("a protocol");
            let plan = Plan::new(&sordino_fhe::params::STANDARD, protocol, &stages).expect("a plan");
            revealing(protocol, &stages, &plan).expect("its own plan")
        };
        // Positions among 4 and 8 take 2 and 3 bits; among 5 and 8, one more.
        assert_eq!(decided([4, 8]), (6 * 4 * 24_u64).div_ceil(2 * (1 + 2 + 3)));
        assert_eq!(decided([5, 8]), (6 * 5 * 24_u64).div_ceil(2 * (1 + 3 + 3)));
    }

    #[tokio::test]
    async fn a_budget_is_spent_and_survives_a_kill() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().to_str().expect("UTF-8")).expect("a store");
        let budgets = Budgets::open(store.clone()).await.expect("opens");
        let left = budgets.spend(share(1), "m/flat", 1, BUDGET).await.expect("in the budget");
        assert_eq!(left.queries, 9);
        assert_eq!(budgets.spend(share(2), "m/flat", 1, BUDGET).await.expect("another share").queries, 9);
        assert_eq!(budgets.spend(share(1), "m/routed", 2, BUDGET).await.expect("another protocol").queries, 9);

        // Killed, it has counted a whole block, and never fewer than were asked.
        let again = Budgets::open(store).await.expect("opens");
        let left = again.spend(share(1), "m/flat", 1, BUDGET).await.expect("in the budget");
        assert_eq!(left.queries, 10 - BLOCK - 1);
        assert!(again.spend(share(1), "m/flat", 1, BUDGET).await.is_ok());
        let refused = again.spend(share(1), "m/flat", 1, BUDGET).await.err();
        assert_eq!(refused.map(|problem| problem.kind()), Some(Kind::Budget));
    }

    #[tokio::test]
    async fn nothing_on_disk_tells_an_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().to_str().expect("UTF-8")).expect("a store");
        let budgets = Budgets::open(store).await.expect("opens");
        budgets.spend(share(77), "m/flat", 1, BUDGET).await.expect("in the budget");
        let names = std::fs::read_dir(folder.path().join("budgets")).expect("written").flatten();
        for entry in names {
            let unsalted = ModelHash::of(&share(77).to_bytes()).to_string();
            assert!(!entry.file_name().to_string_lossy().contains(&unsalted));
            let text = std::fs::read_to_string(entry.path()).expect("text");
            assert!(!text.contains("192.0.2"));
        }
    }
}
