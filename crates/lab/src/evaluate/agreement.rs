//! [`Agreement`]: encrypted answers beside the clear ones.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::{Answers, Margins, Method, Record, Score, median, percent};

/// How the encrypted answers of one way compare with the clear ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Agreement {
    /// The way.
    #[serde(flatten)]
    pub method: Method,
    /// Keys that were used.
    pub keys: usize,
    /// Queries that were asked.
    pub queries: usize,
    /// Of those: every returned score (or the answer, where only that is returned) equals the clear one.
    pub equal: usize,
    /// Where the server decides: how close its decisions were.
    #[serde(flatten)]
    pub decisions: Option<Decisions>,
    /// Median time of the server.
    pub server_milliseconds_median: Option<f64>,
    /// Largest time of the server.
    pub server_milliseconds_most: Option<f64>,
    /// What it should take, from the timings that `sordino calibrate` kept, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_milliseconds_predicted: Option<f64>,
    /// Median time of the client.
    pub client_milliseconds_median: Option<f64>,
    /// Bytes sent a query.
    pub bytes_up: Option<usize>,
    /// Bytes received a query.
    pub bytes_down: Option<usize>,
}

/// How close the decisions of a server were.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decisions {
    /// Queries whose winners lead by their margins in every stage.
    pub certain: usize,
    /// Queries with another answer than the clear although it was certain.
    pub unexplained: usize,
    /// Queries about tracks of the library.
    pub known_queries: usize,
    /// Per cent of those that were named rightly, in the clear.
    pub named_clear: Option<f64>,
    /// Per cent of those that were named rightly, encrypted.
    pub named_encrypted: Option<f64>,
    /// By how many score units winners must lead, stage by stage.
    pub margins: Vec<f64>,
    /// The same as fractions of the largest difference of two scores.
    pub relative_margins: Vec<f64>,
    /// Distance of the best score from where known and unknown part.
    pub threshold_margin: f64,
    /// Base-2 logarithm of a bound on the probability that a certain decision is wrong.
    pub failure_log2: f64,
}

impl Agreement {
    /// The same with what the server should take.
    #[must_use]
    pub fn with_prediction(self, time: Duration) -> Self {
        Self { server_milliseconds_predicted: Some(1e3 * time.as_secs_f64()), ..self }
    }

    /// Compares, where answers are encrypted.
    pub fn of(answers: &Answers) -> Option<Self> {
        let Answers { method, cost, margins, records, .. } = answers;
        if !records.iter().any(|record| record.equal.is_some()) {
            return None;
        }
        let score = Score::of(records);
        let clear = records.iter().filter(|record| record.names(&record.clear)).count();
        let times = |time: fn(&Record) -> Option<f64>| records.iter().filter_map(time).collect::<Vec<f64>>();
        let server = times(|record| record.server_milliseconds);
        let decisions = margins.clone().map(|Margins { stages, relative, threshold, failure_log2 }| Decisions {
            certain: score.certain,
            unexplained: score.unexplained,
            known_queries: score.known,
            named_clear: percent(clear, score.known),
            // Nothing is returned that is not reported known.
            named_encrypted: percent(score.top_1, score.known),
            margins: stages,
            relative_margins: relative,
            threshold_margin: threshold,
            failure_log2,
        });
        Some(Self {
            method: method.clone(),
            keys: records.iter().map(|record| (record.fold, record.key)).collect::<BTreeSet<_>>().len(),
            queries: records.len(),
            equal: score.equal,
            decisions,
            server_milliseconds_most: server.iter().copied().reduce(f64::max),
            server_milliseconds_median: median(server),
            server_milliseconds_predicted: None,
            client_milliseconds_median: median(times(|record| record.client_milliseconds)),
            bytes_up: cost.bytes_up,
            bytes_down: cost.bytes_down,
        })
    }
}
