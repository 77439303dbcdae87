//! [`Clear`]: the circuit on plain integers, the reference for every other machine.

use thiserror::Error;

use crate::circuit::stage_of;
use crate::{CircuitError, Hierarchy, Machine, Stage, StageId};

/// A register of the [`Clear`] machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClearValue {
    /// A quantised feature vector.
    Vector(Vec<i32>),
    /// A group index.
    Index(usize),
    /// Scores of some groups of a stage, used slots only.
    Scores(Vec<Vec<i64>>),
}

/// Plain integers.
pub struct Clear<'a> {
    hierarchy: &'a Hierarchy,
}

/// Why the [`Clear`] machine stopped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClearError {
    /// The program is not well formed.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A register holds another kind of value.
    #[error("clear: {op} was given {found}, expected {expected}")]
    Kind {
        /// The op.
        op: &'static str,
        /// What the register held.
        found: &'static str,
        /// What the op takes.
        expected: &'static str,
    },
    /// An input vector breaks the stage's bound.
    #[error("clear: the input vector breaks its bound (width {width}, |x_i| <= {max_abs}, |x|^2 <= {norm_squared})")]
    Bound {
        /// Features expected.
        width: usize,
        /// Largest absolute value expected.
        max_abs: i32,
        /// Largest squared norm expected.
        norm_squared: u64,
    },
    /// An index past the last group.
    #[error("clear: group {found} selected, expected below {groups}")]
    Index {
        /// The index given.
        found: usize,
        /// Groups there are.
        groups: usize,
    },
}

impl ClearValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Vector(_) => "a vector",
            Self::Index(_) => "an index",
            Self::Scores(_) => "scores",
        }
    }
}

impl<'a> Clear<'a> {
    /// A machine for one model.
    pub fn new(hierarchy: &'a Hierarchy) -> Self {
        Self { hierarchy }
    }
}

fn all_scores(stage: &Stage, x: &[i32]) -> Vec<Vec<i64>> {
    (0..stage.groups()).map(|g| (0..stage.count(g)).map(|t| stage.score(g, t, x)).collect()).collect()
}

impl Machine for Clear<'_> {
    type Value = ClearValue;
    type Error = ClearError;

    fn linear(&mut self, stage: StageId, input: &ClearValue) -> Result<ClearValue, ClearError> {
        let stage = stage_of(self.hierarchy, stage)?;
        let ClearValue::Vector(x) = input else {
            return Err(ClearError::Kind { op: "linear", found: input.kind(), expected: "a vector" });
        };
        let bound = stage.input();
        if !bound.admits(x) {
            let (width, max_abs, norm_squared) = (bound.width, bound.max_abs, bound.norm_squared);
            return Err(ClearError::Bound { width, max_abs, norm_squared });
        }
        Ok(ClearValue::Scores(all_scores(stage, x)))
    }

    fn select(&mut self, scores: &ClearValue, index: &ClearValue) -> Result<ClearValue, ClearError> {
        let ClearValue::Scores(groups) = scores else {
            return Err(ClearError::Kind { op: "select", found: scores.kind(), expected: "scores" });
        };
        let ClearValue::Index(i) = *index else {
            return Err(ClearError::Kind { op: "select", found: index.kind(), expected: "an index" });
        };
        let group = groups.get(i).ok_or(ClearError::Index { found: i, groups: groups.len() })?;
        Ok(ClearValue::Scores(vec![group.clone()]))
    }
}
