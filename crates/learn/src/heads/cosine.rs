//! [`CosineClassifier`]: groups of cosine classifiers with rows on a grid, what one encrypted stage evaluates.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use ndarray::ArrayView3;

use crate::LearnError;
use crate::math::grid::UniformGrid;
use crate::run::tensor::{data, indices, numbers, unit_length};

/// Trainable rows, shape `[groups, slots, width]`, and the logarithm of the softmax's inverse temperature, shape `[1]`.
#[derive(Module, Debug)]
pub(crate) struct CosineClassifier {
    rows: Param<Tensor<3>>,
    log_scale: Param<Tensor<1>>,
    #[module(skip)]
    learn_scale: bool,
}

impl CosineClassifier {
    /// A classifier that starts from `rows`, any length, with `scale` as inverse temperature, learned or fixed.
    pub(crate) fn new(rows: ArrayView3<f32>, scale: f32, learn_scale: bool, device: &Device) -> Self {
        Self {
            rows: Param::from_data(data(rows), device),
            log_scale: Param::from_data([scale.max(1e-3).ln()], device),
            learn_scale,
        }
    }

    /// The rows as the integers will have them, up to their common scale: unit length, then rounded where training is
    /// `aware` of that.
    pub(crate) fn rows(&self, grid: UniformGrid, aware: bool) -> Tensor<3> {
        grid.seen(unit_length(self.rows.val()), aware)
    }

    /// Some rows of the flattened classifier `[groups * slots, width]`, as [`CosineClassifier::rows`] has them: `[n, width]`.
    pub(crate) fn some_rows(&self, rows: impl IntoIterator<Item = usize>, grid: UniformGrid, aware: bool) -> Tensor<2> {
        let all = self.rows.val();
        let [groups, slots, width] = all.dims();
        let some = all.clone().reshape([groups * slots, width]).select(0, indices(rows, &all.device()));
        grid.seen(unit_length(some), aware)
    }

    /// The unit-length rows before rounding.
    pub(crate) fn unit_rows(&self) -> Tensor<3> {
        unit_length(self.rows.val())
    }

    /// The inverse temperature.
    pub(crate) fn scale(&self) -> Result<f32, LearnError> {
        Ok(numbers(self.log_scale.val())?[0].exp())
    }

    /// Scores times inverse temperature. Any shape.
    pub(crate) fn logits<const D: usize>(&self, scores: Tensor<D>) -> Tensor<D> {
        let log_scale = self.log_scale.val();
        let log_scale = if self.learn_scale { log_scale } else { log_scale.detach() };
        scores * log_scale.exp().reshape([1; D])
    }
}

/// Scores of each vector `x`, shape `[batch, width]`, in its own group: `[batch, slots]`.
pub(crate) fn scores_in_groups(x: Tensor<2>, rows: Tensor<3>, groups: &[usize]) -> Tensor<2> {
    let [count, slots, width] = rows.dims();
    if count == 1 {
        return x.matmul(rows.reshape([slots, width]).transpose());
    }
    let chosen = rows.select(0, indices(groups.iter().copied(), &x.device()));
    chosen.matmul(x.unsqueeze_dim(2)).squeeze_dim(2)
}
