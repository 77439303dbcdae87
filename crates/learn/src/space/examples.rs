//! [`Examples`]: training clips as the unit vectors that a stage sees.

use ndarray::{Array2, ArrayView2, Axis};

use crate::math::product::times_transposed;
use crate::space::whitening::normalise_rows;

/// Clips in rounds of one clip of every passage: clip `i` is of passage `i % passage_count`. The vectors are made when they are asked
/// for, so that several stages can see the same clips each in its own way without copies of them all.
#[derive(Clone, Copy)]
pub(crate) struct Examples<'a> {
    projected: ArrayView2<'a, f32>,
    rotation: Option<ArrayView2<'a, f32>>,
    passage_count: usize,
}

impl<'a> Examples<'a> {
    /// Unit vectors from the first `width` columns of `projected`, shape `[clips, directions]`, after a rotation of shape
    /// `[width, width]` where one is given.
    pub(crate) fn new(
        projected: ArrayView2<'a, f32>,
        width: usize,
        rotation: Option<ArrayView2<'a, f32>>,
        passage_count: usize,
    ) -> Self {
        let width = width.min(projected.ncols());
        Self { projected: projected.slice_axis_move(Axis(1), (..width).into()), rotation, passage_count }
    }

    /// Number of clips.
    pub(crate) fn clips(&self) -> usize {
        self.projected.nrows()
    }

    /// Clips of every passage.
    pub(crate) fn rounds(&self) -> usize {
        self.clips() / self.passage_count.max(1)
    }

    /// Number of passages.
    pub(crate) fn passage_count(&self) -> usize {
        self.passage_count
    }

    /// Numbers in a vector.
    pub(crate) fn width(&self) -> usize {
        self.projected.ncols()
    }

    /// Unit vectors of some clips: `[clips, width]`.
    pub(crate) fn vectors(&self, clips: &[usize]) -> Array2<f32> {
        let rows = self.projected.select(Axis(0), clips);
        let mut vectors = match self.rotation {
            Some(rotation) => times_transposed(rows.view(), rotation),
            None => rows,
        };
        normalise_rows(&mut vectors);
        vectors
    }

    /// Unit vectors of one round: `[passages, width]`.
    pub(crate) fn round(&self, round: usize) -> Array2<f32> {
        let first = round * self.passage_count;
        self.vectors(&(first..first + self.passage_count).collect::<Vec<_>>())
    }

    /// Unit mean of every passage's vectors: `[passages, width]`.
    pub(crate) fn prototypes(&self) -> Array2<f32> {
        let mut sums = Array2::<f32>::zeros((self.passage_count, self.width()));
        for round in 0..self.rounds() {
            sums += &self.round(round);
        }
        normalise_rows(&mut sums);
        sums
    }
}
