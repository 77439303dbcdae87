//! [`Clear`]: the circuit on plain integers, the reference for every other machine.

use std::cmp::Reverse;

use ndarray::{Array1, Array2, ArrayView2, Axis};
use sordino_front::VectorBound;
use thiserror::Error;

use crate::circuit::{CircuitError, Machine, StageId, raw_of, stage_of};
use crate::raw::RawError;
use crate::stage::{Hierarchy, Stage};

/// Below this bound on scores, sums of products of integers are exact in single precision, in any order: every partial
/// sum is an integer that keeps the same bound, and a 24-bit significand holds it.
const EXACT_F32: u64 = 1 << 24;
/// Slots whose weights are widened to floats together.
const BLOCK: usize = 1_024;

/// A register of the [`Clear`] machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClearValue {
    /// Samples of a sound.
    Samples(Vec<i32>),
    /// Energies of shape `[cells, bands]`.
    Energies(Vec<i64>),
    /// Levels of shape `[cells, bands]`, or differences of fewer cells.
    Levels(Vec<i32>),
    /// A multiple of the length of a vector.
    Length(i64),
    /// A quantised feature vector.
    Vector(Vec<i32>),
    /// A group index.
    Index(usize),
    /// Scores of some groups of a stage, used slots only.
    Scores(Vec<Vec<i64>>),
    /// Slots of one or more groups, the best first, named by their paths: slot `t` of group `g` is path `g outputs + t`, which is
    /// also the group of the next stage that it leads to. Empty where every slot has been passed over.
    Choice(Vec<ScoredPath>),
    /// The path of a known track.
    Answer(Option<usize>),
}

/// A slot of a stage and its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScoredPath {
    /// `g outputs + t` for slot `t` of group `g`.
    pub path: usize,
    /// Its score.
    pub score: i64,
}

/// Plain integers.
pub struct Clear<'a> {
    hierarchy: &'a Hierarchy,
    above: i64,
}

/// Why the [`Clear`] machine stopped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
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
    /// Samples that are none of the front.
    #[error(transparent)]
    Raw(#[from] RawError),
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
            Self::Samples(_) => "samples",
            Self::Energies(_) => "energies",
            Self::Levels(_) => "levels",
            Self::Length(_) => "a length",
            Self::Vector(_) => "a vector",
            Self::Index(_) => "an index",
            Self::Scores(_) => "scores",
            Self::Choice(_) => "a choice",
            Self::Answer(_) => "an answer",
        }
    }
}

impl<'a> Clear<'a> {
    /// A machine for one model.
    pub fn new(hierarchy: &'a Hierarchy) -> Self {
        Self { hierarchy, above: 0 }
    }

    /// The same with another score above which a track is known than zero.
    #[must_use]
    pub fn above(self, above: i64) -> Self {
        Self { above, ..self }
    }

    /// The op `linear` on many vectors at once, as a matrix product: `[n, width]` to `[n, groups * outputs]`, where
    /// padding slots score 0.
    ///
    /// # Errors
    /// [`ClearError::Circuit`] for a stage that does not exist, [`ClearError::Bound`] for a vector that breaks its bound.
    pub fn linear_batch(&self, stage: StageId, inputs: ArrayView2<'_, i32>) -> Result<Array2<i64>, ClearError> {
        let stage = stage_of(self.hierarchy, stage)?;
        let rows: Vec<Vec<i32>> = inputs.rows().into_iter().map(|x| x.to_vec()).collect();
        rows.iter().try_for_each(|x| admit(stage, x))?;
        let width = stage.input().width;
        let mut scores = Array2::zeros((rows.len(), stage.biases().len()));
        if stage.score_bound() >= EXACT_F32 {
            for (x, mut scores) in rows.iter().zip(scores.rows_mut()) {
                let slots = scores.iter_mut().enumerate();
                slots.for_each(|(i, score)| *score = stage.score(i / stage.outputs(), i % stage.outputs(), x));
            }
            return Ok(scores);
        }
        let x = inputs.mapv(|v| v as f32);
        let blocks = stage.weights().chunks(BLOCK * width).zip(stage.biases().chunks(BLOCK));
        for ((weights, bias), mut scores) in blocks.zip(scores.axis_chunks_iter_mut(Axis(1), BLOCK)) {
            let weights = Array1::from_iter(weights.iter().map(|&w| f32::from(w)));
            // A chunk of whole rows always has this shape.
            let Ok(weights) = weights.into_shape_with_order((bias.len(), width)) else { continue };
            let products = x.dot(&weights.t());
            for (products, mut scores) in products.rows().into_iter().zip(scores.rows_mut()) {
                let slots = scores.iter_mut().zip(products).zip(bias);
                slots.for_each(|((score, &product), &bias)| *score = product as i64 + i64::from(bias));
            }
        }
        Ok(scores)
    }
}

fn admit(stage: &Stage, x: &[i32]) -> Result<(), ClearError> {
    let VectorBound { width, max_abs, norm_squared } = stage.input();
    if stage.input().admits(x) { Ok(()) } else { Err(ClearError::Bound { width, max_abs, norm_squared }) }
}

fn all_scores(stage: &Stage, x: &[i32]) -> Vec<Vec<i64>> {
    (0..stage.groups()).map(|g| (0..stage.count(g)).map(|t| stage.score(g, t, x)).collect()).collect()
}

impl Machine for Clear<'_> {
    type Value = ClearValue;
    type Error = ClearError;

    fn energies(&mut self, samples: &ClearValue) -> Result<ClearValue, ClearError> {
        let front = raw_of(self.hierarchy, "energies")?.front();
        let ClearValue::Samples(samples) = samples else {
            return Err(ClearError::Kind { op: "energies", found: samples.kind(), expected: "samples" });
        };
        front.spec().admits(samples)?;
        Ok(ClearValue::Energies(front.energies(samples)))
    }

    fn levels(&mut self, energies: &ClearValue) -> Result<ClearValue, ClearError> {
        let front = raw_of(self.hierarchy, "levels")?.front();
        match energies {
            ClearValue::Energies(energies) => Ok(ClearValue::Levels(front.levels_of(energies))),
            other => Err(ClearError::Kind { op: "levels", found: other.kind(), expected: "energies" }),
        }
    }

    fn differences(&mut self, levels: &ClearValue, lag: usize) -> Result<ClearValue, ClearError> {
        let front = raw_of(self.hierarchy, "differences")?.front();
        match levels {
            ClearValue::Levels(levels) => Ok(ClearValue::Levels(front.differences(levels, lag))),
            other => Err(ClearError::Kind { op: "differences", found: other.kind(), expected: "levels" }),
        }
    }

    fn sums(&mut self, of: &[&ClearValue]) -> Result<ClearValue, ClearError> {
        let front = raw_of(self.hierarchy, "sums")?.front();
        let sums = of.iter().map(|value| match value {
            ClearValue::Levels(levels) => Ok(front.over_cells(levels)),
            other => Err(ClearError::Kind { op: "sums", found: other.kind(), expected: "levels" }),
        });
        Ok(ClearValue::Vector(sums.collect::<Result<Vec<_>, _>>()?.concat()))
    }

    fn length(&mut self, vector: &ClearValue) -> Result<ClearValue, ClearError> {
        let length = raw_of(self.hierarchy, "length")?.length();
        match vector {
            ClearValue::Vector(vector) => Ok(ClearValue::Length(length.of(vector))),
            other => Err(ClearError::Kind { op: "length", found: other.kind(), expected: "a vector" }),
        }
    }

    fn beyond(&mut self, choice: &ClearValue, length: &ClearValue) -> Result<ClearValue, ClearError> {
        let (ClearValue::Choice(paths), ClearValue::Length(length)) = (choice, length) else {
            let found = choice.kind();
            return Err(ClearError::Kind { op: "beyond", found, expected: "a choice and a length" });
        };
        let known = paths.first().filter(|best| best.score - length > self.above);
        Ok(ClearValue::Answer(known.map(|best| best.path)))
    }

    fn linear(&mut self, stage: StageId, input: &ClearValue) -> Result<ClearValue, ClearError> {
        let stage = stage_of(self.hierarchy, stage)?;
        let ClearValue::Vector(x) = input else {
            return Err(ClearError::Kind { op: "linear", found: input.kind(), expected: "a vector" });
        };
        admit(stage, x)?;
        Ok(ClearValue::Scores(all_scores(stage, x)))
    }

    fn select(&mut self, scores: &ClearValue, index: &ClearValue) -> Result<ClearValue, ClearError> {
        let ClearValue::Scores(groups) = scores else {
            return Err(ClearError::Kind { op: "select", found: scores.kind(), expected: "scores" });
        };
        let i = match index {
            ClearValue::Index(i) => *i,
            // A choice among no slots leads nowhere.
            ClearValue::Choice(paths) => paths.first().map_or(groups.len(), |best| best.path),
            _ => return Err(ClearError::Kind { op: "select", found: index.kind(), expected: "an index" }),
        };
        let group = groups.get(i).ok_or(ClearError::Index { found: i, groups: groups.len() })?;
        Ok(ClearValue::Scores(vec![group.clone()]))
    }

    fn argmax(
        &mut self,
        stage: StageId,
        entries: &[(&ClearValue, Option<&ClearValue>)],
    ) -> Result<ClearValue, ClearError> {
        let outputs = stage_of(self.hierarchy, stage)?.outputs();
        let mut paths = Vec::new();
        for (scores, path) in entries {
            let ClearValue::Scores(groups) = scores else {
                return Err(ClearError::Kind { op: "argmax", found: scores.kind(), expected: "scores" });
            };
            let group = match path {
                None => 0,
                Some(ClearValue::Choice(paths)) => paths.first().map_or(0, |best| best.path),
                Some(ClearValue::Index(group)) => *group,
                Some(other) => {
                    return Err(ClearError::Kind {
                        op: "argmax",
                        found: other.kind(),
                        expected: "a choice or an index",
                    });
                }
            };
            let slots = groups.iter().flatten().enumerate();
            paths.extend(slots.map(|(slot, &score)| ScoredPath { path: group * outputs + slot, score }));
        }
        // A stable sort keeps the first of equal scores first.
        paths.sort_by_key(|p| Reverse(p.score));
        Ok(ClearValue::Choice(paths))
    }

    fn runner_up(&mut self, choice: &ClearValue) -> Result<ClearValue, ClearError> {
        let ClearValue::Choice(paths) = choice else {
            return Err(ClearError::Kind { op: "runner-up", found: choice.kind(), expected: "a choice" });
        };
        Ok(ClearValue::Choice(paths.iter().skip(1).copied().collect()))
    }

    fn threshold(&mut self, choice: &ClearValue) -> Result<ClearValue, ClearError> {
        let ClearValue::Choice(paths) = choice else {
            return Err(ClearError::Kind { op: "threshold", found: choice.kind(), expected: "a choice" });
        };
        Ok(ClearValue::Answer(paths.first().filter(|best| best.score > self.above).map(|best| best.path)))
    }
}
