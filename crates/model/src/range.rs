//! [`Range`]: how large every value of a circuit can become, for every input that keeps its bound.

use thiserror::Error;

use crate::circuit::stage_of;
use crate::{CircuitError, Hierarchy, Machine, StageId};

/// A register of the [`Range`] machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeValue {
    /// A feature vector or an index: bounded by the circuit's own inputs.
    Input,
    /// Scores of absolute value at most `bound`.
    Scores {
        /// Largest absolute score.
        bound: u64,
    },
}

/// Propagates bounds, and refuses what the message space cannot hold.
pub struct Range<'a> {
    hierarchy: &'a Hierarchy,
    limit: u64,
}

/// Why a circuit is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangeError {
    /// The program is not well formed.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// Scores could leave the message space.
    #[error(
        "range: scores of stage {stage} can reach {bound}, {times:.2} times the largest score allowed, {limit}; use fewer input or \
         weight bits",
        times = *bound as f64 / *limit as f64
    )]
    Overflow {
        /// The stage.
        stage: usize,
        /// Largest absolute score.
        bound: u64,
        /// Largest absolute score that fits.
        limit: u64,
    },
}

impl<'a> Range<'a> {
    /// A machine that refuses scores above `limit` in absolute value.
    pub fn new(hierarchy: &'a Hierarchy, limit: u64) -> Self {
        Self { hierarchy, limit }
    }
}

impl Machine for Range<'_> {
    type Value = RangeValue;
    type Error = RangeError;

    fn linear(&mut self, stage: StageId, _input: &RangeValue) -> Result<RangeValue, RangeError> {
        let bound = stage_of(self.hierarchy, stage)?.score_bound();
        if bound > self.limit {
            return Err(RangeError::Overflow { stage: stage.0, bound, limit: self.limit });
        }
        Ok(RangeValue::Scores { bound })
    }

    fn select(&mut self, scores: &RangeValue, _index: &RangeValue) -> Result<RangeValue, RangeError> {
        Ok(*scores)
    }
}
