//! [`Metrics`]: what an operator watches, in Prometheus' text format. Nothing in it tells one client from another.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::state::State;

/// Which queries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Which {
    pub(crate) model: String,
    pub(crate) protocol: &'static str,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Became {
    pub(crate) route: String,
    pub(crate) status: u16,
    /// `none`, or the kind of problem.
    pub(crate) problem: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    protocol: &'static str,
}

/// Counters, gauges and histograms.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<Became, Counter>,
    pub(crate) waited: Family<Which, Histogram>,
    pub(crate) answered: Family<Which, Histogram>,
    pub(crate) predicted: Family<Which, Gauge<f64, AtomicU64>>,
    pub(crate) key_hits: Counter,
    pub(crate) key_loads: Counter,
    queued: Family<Of, Gauge>,
    running: Family<Of, Gauge>,
    stopped: Family<Of, Counter>,
    keys_in_memory: Gauge,
    key_memory: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.002, 2.0, 16));
        let mut registry = Registry::with_prefix("sordino");
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            waited: Family::new_with_constructor(seconds as fn() -> Histogram),
            answered: Family::new_with_constructor(seconds as fn() -> Histogram),
            predicted: Family::default(),
            key_hits: Counter::default(),
            key_loads: Counter::default(),
            queued: Family::default(),
            running: Family::default(),
            stopped: Family::default(),
            keys_in_memory: Gauge::default(),
            key_memory: Gauge::default(),
        };
        registry.register("requests", "Requests by route, status and problem", metrics.requests.clone());
        let (waited, answered) = (metrics.waited.clone(), metrics.answered.clone());
        registry.register_with_unit("query_waited", "Time from a query's last byte to its turn", Unit::Seconds, waited);
        registry.register_with_unit("query_answered", "Time of evaluating a message", Unit::Seconds, answered);
        let predicted = metrics.predicted.clone();
        registry.register_with_unit("query_predicted", "What a query is expected to take", Unit::Seconds, predicted);
        registry.register("key_hits", "Queries whose evaluation key was in memory", metrics.key_hits.clone());
        registry.register("key_loads", "Evaluation keys read from the store", metrics.key_loads.clone());
        registry.register("seats_taken", "Requests that wait or run", metrics.queued.clone());
        registry.register("queries_running", "Messages that are evaluated", metrics.running.clone());
        registry.register("queries_stopped", "Evaluations that nobody waited for any more", metrics.stopped.clone());
        registry.register("keys_in_memory", "Expanded evaluation keys", metrics.keys_in_memory.clone());
        registry.register_with_unit("key_memory", "Memory of them", Unit::Bytes, metrics.key_memory.clone());
        Self { registry, ..metrics }
    }

    /// The state of the server as Prometheus reads it.
    pub(crate) fn text(&self, state: &State) -> String {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (&protocol, lane) in &state.lanes {
            let (taken, running) = lane.load();
            self.queued.get_or_create(&Of { protocol }).set(gauge(taken));
            self.running.get_or_create(&Of { protocol }).set(gauge(running));
            self.stopped.get_or_create(&Of { protocol }).inner().store(lane.stopped(), Ordering::Relaxed);
        }
        for edition in state.catalogue.all() {
            for (&protocol, offer) in &edition.offers {
                if let Some(predicted) = offer.words.seconds {
                    let model = edition.description.name.clone();
                    self.predicted.get_or_create(&Which { model, protocol }).set(predicted);
                }
            }
        }
        let (keys, bytes) = state.cache.size();
        self.keys_in_memory.set(gauge(keys));
        self.key_memory.set(gauge(bytes));
        let mut out = String::new();
        // A string takes everything.
        let _ = encode(&mut out, &self.registry);
        out
    }
}
