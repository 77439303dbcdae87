//! [`FloatStage`]: one trained stage before rounding.

use ndarray::{Array2, Array3, ArrayView2};
use sordino_front::Quantiser;
use sordino_model::stage::Stage;

use crate::LearnError;
use crate::math::grid::UniformGrid;
use crate::math::matrix::times_transposed;

/// Cosine classifiers in groups, and the grid their weights are rounded to.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatStage {
    /// Unit-length rows before rounding, shape `[groups, slots, width]`; slots past a group's count mean nothing.
    pub rows: Array3<f32>,
    /// Added to the cosines of every slot, shape `[groups, slots]`.
    pub biases: Array2<f32>,
    /// Used slots of every group.
    pub counts: Vec<usize>,
    /// Grid of the weights.
    pub grid: UniformGrid,
}

impl FloatStage {
    /// A stage whose rows are integers already, of a weight grid and for inputs of `scale` steps to one.
    pub(crate) fn of(stage: &Stage, grid: UniformGrid, scale: f32) -> Self {
        let (groups, slots, width) = (stage.groups(), stage.outputs(), stage.input().width);
        let weight =
            |(group, slot, i): (usize, usize, usize)| f32::from(stage.weights()[(group * slots + slot) * width + i]);
        let bias = |(group, slot): (usize, usize)| stage.biases()[group * slots + slot] as f32;
        Self {
            rows: Array3::from_shape_fn((groups, slots, width), |place| weight(place) / grid.scale()),
            biases: Array2::from_shape_fn((groups, slots), |place| bias(place) / (scale * grid.scale())),
            counts: stage.counts().to_vec(),
            grid,
        }
    }

    /// Scores of unit vectors `z`, shape `[n, width]`, in every group before rounding, cosines plus biases: `[n, groups * slots]`.
    /// Unused slots score minus infinity.
    pub fn scores(&self, z: ArrayView2<f32>) -> Array2<f32> {
        let (groups, slots, width) = self.rows.dim();
        let rows = self.rows.as_standard_layout();
        let Ok(rows) = rows.view().into_shape_with_order((groups * slots, width)) else {
            // An array in standard layout takes any shape of as many numbers.
            return Array2::zeros((z.nrows(), groups * slots));
        };
        let mut scores = times_transposed(z, rows);
        for mut row in scores.rows_mut() {
            row.iter_mut().zip(&self.biases).for_each(|(score, bias)| *score += bias);
            for (group, &count) in self.counts.iter().enumerate() {
                row.iter_mut().skip(group * slots + count).take(slots - count).for_each(|v| *v = f32::NEG_INFINITY);
            }
        }
        scores
    }

    /// The integer weights, shape `[groups, slots, width]` in row-major order.
    pub fn integers(&self) -> Vec<i8> {
        // A grid of at most 8 bits gives at most 127.
        self.rows.iter().map(|&w| self.grid.integer(w) as i8).collect()
    }

    /// The integer weights, shape `[groups * slots, width]`. Integers this small are exact in floating point, and so are their products.
    pub(crate) fn integer_rows(&self) -> Array2<f32> {
        let (groups, slots, width) = self.rows.dim();
        let integer = |(row, i): (usize, usize)| self.grid.integer(self.rows[(row / slots, row % slots, i)]) as f32;
        Array2::from_shape_fn((groups * slots, width), integer)
    }

    /// The biases in steps of the score of an input of `scale` steps to one, in the order of [`FloatStage::integers`].
    pub(crate) fn integer_biases(&self, scale: f32) -> Vec<i32> {
        self.biases.iter().map(|bias| (bias * scale * self.grid.scale()).round() as i32).collect()
    }

    /// The integer stage for inputs that `input` rounds, with `threshold` taken off every score.
    ///
    /// # Errors
    /// [`LearnError::Stage`] where the shapes do not make a stage.
    pub fn quantised(&self, input: Quantiser, threshold: i32) -> Result<Stage, LearnError> {
        let biases = self.integer_biases(input.scale).into_iter().map(|bias| bias - threshold).collect();
        Ok(Stage::new(self.rows.dim().1, input.bound, self.integers(), biases, self.counts.clone())?)
    }
}
