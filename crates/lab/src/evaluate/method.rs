//! [`Method`]: a way of answering, and what it costs.

use serde::{Deserialize, Serialize};

/// A way of answering.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// A protocol by its name; empty for a system that has none.
    pub protocol: String,
    /// Clusters followed; 0 where there are none.
    pub probes: usize,
    /// Where the server decides: tracks that it returns.
    pub answers: Option<usize>,
    /// Where the server decides: how finely it compares scores.
    pub resolution: Option<String>,
    /// `float`, `integer` or `encrypted`; `clear` for a system that hides nothing.
    pub precision: String,
}

/// What a query costs, and what a way of answering keeps from whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Bytes of all messages to the server.
    pub bytes_up: Option<usize>,
    /// Bytes of all messages from it.
    pub bytes_down: Option<usize>,
    /// Bytes of the evaluation key, sent once.
    pub key_bytes: Option<usize>,
    /// Blind rotations where the server decides, or were it to decide what the client does.
    pub rotations: Option<usize>,
    /// Those of them that must follow one another.
    pub rotations_in_a_row: Option<usize>,
    /// What the server learns.
    pub server_learns: String,
    /// What the client learns beside its answer.
    pub client_learns: String,
}

/// By how much winners must lead for the server's decision to be certain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Margins {
    /// In score units, stage by stage.
    pub stages: Vec<f64>,
    /// The same as fractions of the largest difference of two scores.
    pub relative: Vec<f64>,
    /// Distance, in score units, of the best score from where known and unknown part.
    pub threshold: f64,
    /// Base-2 logarithm of a bound on the probability that a certain decision is wrong.
    pub failure_log2: f64,
}
