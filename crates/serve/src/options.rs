//! [`Options`]: how a server is run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sordino_model::Protocol;
use sordino_model::cost::{Timings, WeightForm};
use sordino_service::Wish;

use crate::budget::Budget;

/// How a server is run. [`Options::new`] has what suits one machine and a handful of people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Model folders. The last part of a path is the name under which a model is served.
    pub models: Vec<PathBuf>,
    /// Where to listen. A socket that systemd hands over is taken instead.
    pub listen: SocketAddr,
    /// Where to answer `/metrics`, `/healthz` and `/readyz` for the operator; nowhere without it.
    pub metrics: Option<SocketAddr>,
    /// Certificate chain and private key in PEM files, which are read again when they change.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where keys, tokens and budgets are kept: a folder or `s3://bucket/folder`.
    pub store: String,
    /// Protocols that are spoken.
    pub protocols: Vec<Protocol>,
    /// Only tokens that the operator gave out may ask.
    pub only_tokens: bool,
    /// A proxy in front says who asks, in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// How many queries a client may ask.
    pub budget: BudgetRule,
    /// Requests of one protocol that may wait or run.
    pub queue: usize,
    /// Of them, those of one client.
    pub queue_a_client: usize,
    /// Threads of each protocol.
    pub threads: usize,
    /// Longest time from a query's first byte to its reply.
    pub deadline: Duration,
    /// How long a stopping server finishes what it has begun.
    pub drain: Duration,
    /// How long an evaluation key is kept after its last query.
    pub keep_keys: Duration,
    /// Memory for expanded evaluation keys, in bytes.
    pub key_memory: usize,
    /// Keys that one token may register.
    pub keys_a_token: usize,
    /// Keys that are kept in all.
    pub most_keys: usize,
    /// Connections at once.
    pub connections: usize,
    /// What operations take on this machine, where it was calibrated.
    pub timings: Option<Timings>,
    /// How weights are held: as integers they take an eighth of the memory, and more of a query's time.
    pub weights: WeightForm,
    /// Addresses of workers that hold the last stages, one for each share, in order; none where they are held here. Only protocols in which
    /// the server decides have shares.
    pub workers: Vec<String>,
    /// What is wanted of plans in which the server decides; the usual ones unless given.
    pub wish: Option<Wish>,
}

/// How a budget follows from the number of queries that reveal a group of the library.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BudgetRule {
    /// Nobody counts.
    None,
    /// Half of what reveals a group, each day.
    HalfOfRevealing,
    /// So many.
    Fixed(Budget),
}

impl BudgetRule {
    const DAY: u64 = 86_400;

    pub(crate) fn of(self, revealing: u64) -> Option<Budget> {
        match self {
            Self::None => None,
            Self::HalfOfRevealing => Some(Budget { queries: (revealing / 2).max(1), seconds: Self::DAY }),
            Self::Fixed(budget) => Some(budget),
        }
    }

    /// The length of its windows.
    pub(crate) fn window(self) -> Duration {
        Duration::from_secs(match self {
            Self::Fixed(budget) => budget.seconds,
            _ => Self::DAY,
        })
    }
}

impl Options {
    /// For these models, with keys in the folder `store`.
    pub fn new(models: Vec<PathBuf>, listen: SocketAddr, store: String) -> Self {
        Self {
            models,
            listen,
            metrics: None,
            tls: None,
            store,
            protocols: Protocol::ALL.into(),
            only_tokens: false,
            behind_proxy: false,
            budget: BudgetRule::HalfOfRevealing,
            queue: 64,
            queue_a_client: 4,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            deadline: Duration::from_secs(60),
            drain: Duration::from_secs(60),
            keep_keys: Duration::from_secs(30 * 86_400),
            key_memory: 2 << 30,
            keys_a_token: 4,
            most_keys: 256,
            connections: 512,
            timings: None,
            weights: WeightForm::default(),
            workers: Vec::new(),
            wish: None,
        }
    }
}
