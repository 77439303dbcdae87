//! [`Stage`]: one layer of integer classifiers, the only part of a model that runs encrypted.

mod shape;

pub use shape::{HierarchyShape, StageError, StageShape};

use sordino_front::{VectorBound, threads};

use crate::raw::RawInput;

/// A bank of linear classifiers over one input vector: `groups` classifiers of up to `outputs` classes each.
///
/// `score[g][t] = sum_i weights[g][t][i] * x[i] + bias[g][t]` for `t < counts[g]`; the slots from `counts[g]` on are
/// padding and mean nothing. The first stage of a hierarchy has one group; stage `s` has one group for every path of
/// choices through the stages before it. In the last stage a score above zero means a known track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    shape: StageShape,
    weights: Vec<i8>,
    bias: Vec<i32>,
}

impl Stage {
    /// Builds a stage from row-major tables: `weights` of shape `[counts.len(), outputs, input.width]`, `bias` of shape
    /// `[counts.len(), outputs]`. Weights and biases of padding slots are set to zero.
    ///
    /// # Errors
    /// [`StageError`] where the tables do not fit together.
    pub fn new(
        outputs: usize,
        input: VectorBound,
        mut weights: Vec<i8>,
        mut bias: Vec<i32>,
        counts: Vec<usize>,
    ) -> Result<Self, StageError> {
        let shape = StageShape::new(outputs, input, counts)?;
        // No product of claimed sizes may wrap; a stage as large as that could not have been given anyway.
        let slots = shape.groups().saturating_mul(outputs);
        let entries = slots.saturating_mul(input.width);
        let length = |table, found, expected| Err(StageError::Length { table, found, expected });
        if weights.len() != entries {
            return length("weights", weights.len(), entries);
        }
        if bias.len() != slots {
            return length("bias", bias.len(), slots);
        }
        for (group, &used) in shape.counts().iter().enumerate() {
            let (first, end) = (group * outputs + used, (group + 1) * outputs);
            weights[first * input.width..end * input.width].fill(0);
            bias[first..end].fill(0);
        }
        Ok(Self { shape, weights, bias })
    }

    /// What the client knows of the stage.
    pub fn shape(&self) -> &StageShape {
        &self.shape
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.shape.groups()
    }

    /// Number of slots of every group, used or not.
    pub fn outputs(&self) -> usize {
        self.shape.outputs()
    }

    /// Number of slots that `group` uses.
    pub fn count(&self, group: usize) -> usize {
        self.shape.counts()[group]
    }

    /// Used slots of every group.
    pub fn counts(&self) -> &[usize] {
        self.shape.counts()
    }

    /// What the input vector keeps to.
    pub fn input(&self) -> VectorBound {
        self.shape.input()
    }

    /// Weights of one slot, shape `[input.width]`.
    pub fn row(&self, group: usize, slot: usize) -> &[i8] {
        let width = self.input().width;
        let start = (group * self.outputs() + slot) * width;
        &self.weights[start..start + width]
    }

    /// Bias of one slot, in score units.
    pub fn bias(&self, group: usize, slot: usize) -> i32 {
        self.bias[group * self.outputs() + slot]
    }

    /// All weights, row-major `[groups, outputs, width]`.
    pub fn weights(&self) -> &[i8] {
        &self.weights
    }

    /// All biases, row-major `[groups, outputs]`.
    pub fn biases(&self) -> &[i32] {
        &self.bias
    }

    /// The score of one slot for input `x`.
    pub fn score(&self, group: usize, slot: usize, x: &[i32]) -> i64 {
        let dot: i64 = self.row(group, slot).iter().zip(x).map(|(&w, &v)| i64::from(w) * i64::from(v)).sum();
        dot + i64::from(self.bias(group, slot))
    }

    /// Squared norm of one row of weights.
    pub fn row_norm_squared(&self, group: usize, slot: usize) -> u64 {
        self.row(group, slot).iter().map(|&w| (i64::from(w) * i64::from(w)) as u64).sum()
    }

    /// Largest absolute score that any admitted input can reach: by Cauchy-Schwarz `|w . x| <= |w| |x|`, and by Hölder
    /// `|w . x| <= |w|_1 |x|_inf`; the smaller of the two, plus the bias, maximised over the used slots.
    pub fn score_bound(&self) -> u64 {
        let slots = (0..self.groups()).flat_map(|g| (0..self.count(g)).map(move |t| (g, t)));
        slots
            .map(|(g, t)| {
                let product = u128::from(self.row_norm_squared(g, t)) * u128::from(self.input().norm_squared);
                // The root of a product of two u64 fits u64; the score is an integer, so rounding down loses nothing.
                let cauchy = product.isqrt() as u64;
                let l1: u64 = self.row(g, t).iter().map(|w| u64::from(w.unsigned_abs())).sum();
                let hoelder = l1.saturating_mul(u64::from(self.input().max_abs.unsigned_abs()));
                cauchy.min(hoelder).saturating_add(u64::from(self.bias(g, t).unsigned_abs()))
            })
            .max()
            .unwrap_or(0)
    }

    /// The smallest and the largest score that any admitted input can reach in any used slot, by Cauchy-Schwarz.
    pub fn score_range(&self) -> (i64, i64) {
        let slots = (0..self.groups()).flat_map(|g| (0..self.count(g)).map(move |t| (g, t)));
        slots.fold((0, 0), |(low, high), (g, t)| {
            let product = u128::from(self.row_norm_squared(g, t)) * u128::from(self.input().norm_squared);
            let (reach, bias) = (product.isqrt() as i64, i64::from(self.bias(g, t)));
            (low.min(bias.saturating_sub(reach)), high.max(bias.saturating_add(reach)))
        })
    }

    /// Largest difference of any two scores, of whatever groups, for one admitted input.
    pub fn spread_bound(&self) -> u64 {
        let (low, high) = self.score_range();
        high.abs_diff(low)
    }

    /// Largest difference of two scores of one group for one admitted input: by Cauchy-Schwarz `|w_i - w_j| |x|`, plus the
    /// difference of the biases, maximised over all pairs of used slots. At most twice [`Stage::score_bound`], and below it by as
    /// much as no two rows are opposite.
    pub fn difference_bound(&self) -> u64 {
        let norm = u128::from(self.input().norm_squared);
        let group = |g: usize| {
            let norms: Vec<i64> = (0..self.count(g)).map(|t| self.row_norm_squared(g, t) as i64).collect();
            let pairs = (0..norms.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
            let bound = |(i, j): (usize, usize)| {
                let rows = self.row(g, i).iter().zip(self.row(g, j));
                let dot: i32 = rows.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                let squared = (norms[i] + norms[j] - 2 * i64::from(dot)).unsigned_abs();
                let reach = (u128::from(squared) * norm).isqrt() as u64;
                reach.saturating_add(self.bias(g, i).abs_diff(self.bias(g, j)).into())
            };
            pairs.map(bound).max().unwrap_or(0)
        };
        threads::map((0..self.groups()).collect(), group).into_iter().max().unwrap_or(0)
    }
}

/// Stages in order, each choosing a group of the next: one stage is `flat`, two are clusters then tracks.
#[derive(Clone, Debug, PartialEq)]
pub struct Hierarchy {
    stages: Vec<Stage>,
    shape: HierarchyShape,
    raw: Option<Box<RawInput>>,
}

impl Hierarchy {
    /// Checks that each stage has one group per path through the stages before it; see [`HierarchyShape::new`].
    ///
    /// # Errors
    /// [`StageError::Empty`], [`StageError::Groups`] or [`StageError::Orphan`].
    pub fn new(stages: Vec<Stage>) -> Result<Self, StageError> {
        let shape = HierarchyShape::new(stages.iter().map(|s| s.shape.clone()).collect())?;
        Ok(Self { stages, shape, raw: None })
    }

    /// The same whose only stage gets its vector from encrypted samples.
    ///
    /// # Errors
    /// [`StageError::Raw`] for more stages or groups than one, or a stage that takes other vectors.
    pub fn hearing(self, raw: RawInput) -> Result<Self, StageError> {
        let expected = raw.front().spec().bound();
        if self.stages.len() != 1 || self.stages[0].groups() != 1 || self.stages[0].input() != expected {
            return Err(StageError::Raw { expected });
        }
        Ok(Self { raw: Some(raw.into()), ..self })
    }

    /// How the vector of its only stage follows from encrypted samples, where it does.
    pub fn raw(&self) -> Option<&RawInput> {
        self.raw.as_deref()
    }

    /// The stages.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The last stage, whose slots are tracks.
    pub fn last(&self) -> &Stage {
        // A hierarchy is never empty.
        &self.stages[self.stages.len() - 1]
    }

    /// What the client knows of the stages.
    pub fn shape(&self) -> &HierarchyShape {
        &self.shape
    }
}

impl AsRef<HierarchyShape> for Hierarchy {
    fn as_ref(&self) -> &HierarchyShape {
        &self.shape
    }
}
