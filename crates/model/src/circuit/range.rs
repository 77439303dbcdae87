//! [`Range`]: how large every value of a circuit can become, for every input that keeps its bound.

use sordino_front::VectorBound;
use thiserror::Error;

use crate::circuit::{Circuit, CircuitError, Input, Machine, StageId, raw_of, stage_of};
use crate::stage::Hierarchy;

/// A register of the [`Range`] machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeValue {
    /// Samples of absolute value at most `max_abs`.
    Samples {
        /// Largest absolute value.
        max_abs: u64,
    },
    /// Energies of absolute value at most `bound`; encrypted they are taken by a modulus, which the clear ones are, too.
    Energies {
        /// Largest absolute value.
        bound: u64,
    },
    /// Levels, or differences of levels, of a number of cells.
    Levels {
        /// Largest absolute value.
        bound: u64,
        /// How many of each band are summed.
        cells: usize,
    },
    /// A multiple of a length.
    Length {
        /// Its largest value.
        bound: u64,
    },
    /// Any vector that keeps the bound.
    Vector(VectorBound),
    /// Any index below `bound`.
    Index {
        /// Groups to choose from.
        bound: usize,
    },
    /// Scores of absolute value at most `bound`.
    Scores {
        /// Groups they come in.
        groups: usize,
        /// Largest absolute score.
        bound: u64,
    },
    /// A choice among paths.
    Choice {
        /// Paths to choose from.
        paths: usize,
        /// Largest absolute score.
        bound: u64,
        /// Largest difference of two scores that were compared.
        difference: u64,
    },
    /// A track or nothing.
    Answer {
        /// Paths to choose from.
        paths: usize,
    },
}

/// Propagates bounds, and refuses what the message space cannot hold.
pub struct Range<'a> {
    hierarchy: &'a Hierarchy,
    limit: u64,
}

/// Why a circuit is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The program is not well formed.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A register holds another kind of value.
    #[error("range: {op} was given {found}, expected {expected}")]
    Kind {
        /// The op.
        op: &'static str,
        /// What the register held.
        found: &'static str,
        /// What the op takes.
        expected: &'static str,
    },
    /// The input may be larger than the stage was built for.
    #[error("range: stage {stage} is fed vectors of {found:?}, expected within {expected:?}")]
    Bound {
        /// The stage.
        stage: usize,
        /// What the circuit lets in.
        found: VectorBound,
        /// What the stage takes.
        expected: VectorBound,
    },
    /// An index may name a group that does not exist.
    #[error("range: an index below {found} selects from {groups} groups, expected at most as many")]
    Index {
        /// Bound of the index.
        found: usize,
        /// Groups there are.
        groups: usize,
    },
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

impl RangeValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Samples { .. } => "samples",
            Self::Energies { .. } => "energies",
            Self::Levels { .. } => "levels",
            Self::Length { .. } => "a length",
            Self::Vector(_) => "a vector",
            Self::Index { .. } => "an index",
            Self::Scores { .. } => "scores",
            Self::Choice { .. } => "a choice",
            Self::Answer { .. } => "an answer",
        }
    }
}

impl From<Input> for RangeValue {
    fn from(input: Input) -> Self {
        match input {
            Input::Vector(bound) => Self::Vector(bound),
            Input::Index { bound } => Self::Index { bound },
            Input::Samples { max_abs, .. } => Self::Samples { max_abs: max_abs.unsigned_abs().into() },
        }
    }
}

impl<'a> Range<'a> {
    /// A machine that refuses scores above `limit` in absolute value.
    pub fn new(hierarchy: &'a Hierarchy, limit: u64) -> Self {
        Self { hierarchy, limit }
    }

    /// Walks `circuit` for every input it lets in, and returns the bounds of its reply.
    ///
    /// # Errors
    /// [`RangeError`] where something could overflow, or the circuit does not fit the model.
    pub fn prove(&mut self, circuit: &Circuit) -> Result<Vec<RangeValue>, RangeError> {
        let inputs = circuit.inputs.iter().map(|&input| input.into()).collect();
        circuit.run(self, inputs)
    }
}

impl Machine for Range<'_> {
    type Value = RangeValue;
    type Error = RangeError;

    fn energies(&mut self, samples: &RangeValue) -> Result<RangeValue, RangeError> {
        let front = raw_of(self.hierarchy, "energies")?.front();
        match samples {
            RangeValue::Samples { max_abs } => Ok(RangeValue::Energies { bound: front.energy_bound(*max_abs) }),
            other => Err(RangeError::Kind { op: "energies", found: other.kind(), expected: "samples" }),
        }
    }

    fn levels(&mut self, energies: &RangeValue) -> Result<RangeValue, RangeError> {
        let front = raw_of(self.hierarchy, "levels")?.front();
        match energies {
            RangeValue::Energies { .. } => {
                Ok(RangeValue::Levels { bound: front.levels().most() as u64, cells: front.spec().cells })
            }
            other => Err(RangeError::Kind { op: "levels", found: other.kind(), expected: "energies" }),
        }
    }

    fn differences(&mut self, levels: &RangeValue, lag: usize) -> Result<RangeValue, RangeError> {
        match *levels {
            // Half of a difference of two is no larger than either can be.
            RangeValue::Levels { bound, cells } if lag < cells => Ok(RangeValue::Levels { bound, cells: cells - lag }),
            other => Err(RangeError::Kind { op: "differences", found: other.kind(), expected: "levels of more cells" }),
        }
    }

    fn sums(&mut self, of: &[&RangeValue]) -> Result<RangeValue, RangeError> {
        let bands = raw_of(self.hierarchy, "sums")?.front().spec().bands;
        let mut out = VectorBound { width: 0, max_abs: 0, norm_squared: 0 };
        for value in of {
            let RangeValue::Levels { bound, cells } = **value else {
                return Err(RangeError::Kind { op: "sums", found: value.kind(), expected: "levels" });
            };
            let most = bound * cells as u64;
            out.width += bands;
            out.max_abs = out.max_abs.max(i32::try_from(most).unwrap_or(i32::MAX));
            out.norm_squared += bands as u64 * most * most;
        }
        Ok(RangeValue::Vector(out))
    }

    fn length(&mut self, vector: &RangeValue) -> Result<RangeValue, RangeError> {
        let length = raw_of(self.hierarchy, "length")?.length();
        let RangeValue::Vector(found) = *vector else {
            return Err(RangeError::Kind { op: "length", found: vector.kind(), expected: "a vector" });
        };
        let expected = length.directions().input();
        if !found.within(&expected) {
            return Err(RangeError::Bound { stage: 0, found, expected });
        }
        Ok(RangeValue::Length { bound: length.bound() })
    }

    fn beyond(&mut self, choice: &RangeValue, length: &RangeValue) -> Result<RangeValue, RangeError> {
        match (*choice, *length) {
            (RangeValue::Choice { paths, .. }, RangeValue::Length { .. }) => Ok(RangeValue::Answer { paths }),
            (other, _) => {
                Err(RangeError::Kind { op: "beyond", found: other.kind(), expected: "a choice and a length" })
            }
        }
    }

    fn linear(&mut self, stage: StageId, input: &RangeValue) -> Result<RangeValue, RangeError> {
        let s = stage_of(self.hierarchy, stage)?;
        let RangeValue::Vector(found) = *input else {
            return Err(RangeError::Kind { op: "linear", found: input.kind(), expected: "a vector" });
        };
        if !found.within(&s.input()) {
            return Err(RangeError::Bound { stage: stage.0, found, expected: s.input() });
        }
        let bound = s.score_bound();
        if bound > self.limit {
            return Err(RangeError::Overflow { stage: stage.0, bound, limit: self.limit });
        }
        Ok(RangeValue::Scores { groups: s.groups(), bound })
    }

    fn select(&mut self, scores: &RangeValue, index: &RangeValue) -> Result<RangeValue, RangeError> {
        let RangeValue::Scores { groups, bound } = *scores else {
            return Err(RangeError::Kind { op: "select", found: scores.kind(), expected: "scores" });
        };
        let (RangeValue::Index { bound: found } | RangeValue::Choice { paths: found, .. }) = *index else {
            return Err(RangeError::Kind { op: "select", found: index.kind(), expected: "an index" });
        };
        if found > groups {
            return Err(RangeError::Index { found, groups });
        }
        Ok(RangeValue::Scores { groups: 1, bound })
    }

    fn argmax(
        &mut self,
        stage: StageId,
        entries: &[(&RangeValue, Option<&RangeValue>)],
    ) -> Result<RangeValue, RangeError> {
        let s = stage_of(self.hierarchy, stage)?;
        let mut bound = 0;
        for (scores, _) in entries {
            let RangeValue::Scores { groups: 1, bound: found } = **scores else {
                return Err(RangeError::Kind {
                    op: "argmax",
                    found: scores.kind(),
                    expected: "the scores of one group",
                });
            };
            bound = bound.max(found);
        }
        let difference = if entries.len() == 1 { s.difference_bound() } else { s.spread_bound() };
        Ok(RangeValue::Choice { paths: s.groups() * s.outputs(), bound, difference })
    }

    fn runner_up(&mut self, choice: &RangeValue) -> Result<RangeValue, RangeError> {
        match choice {
            RangeValue::Choice { .. } => Ok(*choice),
            _ => Err(RangeError::Kind { op: "runner-up", found: choice.kind(), expected: "a choice" }),
        }
    }

    fn threshold(&mut self, choice: &RangeValue) -> Result<RangeValue, RangeError> {
        match *choice {
            RangeValue::Choice { paths, .. } => Ok(RangeValue::Answer { paths }),
            _ => Err(RangeError::Kind { op: "threshold", found: choice.kind(), expected: "a choice" }),
        }
    }
}
