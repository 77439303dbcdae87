//! [`UnitVectors`]: training examples as the unit vectors that a stage sees.

use ndarray::{Array2, ArrayView2, Axis};

use crate::math::matrix::{normalise_rows, times_transposed};

/// Examples in rounds of one example of every class: example `i` is of class `i % class_count`. The vectors are made when they are
/// asked for, so that several stages can see the same examples each in its own way without copies of them all.
#[derive(Clone, Copy)]
pub(crate) struct UnitVectors<'a> {
    projected: ArrayView2<'a, f32>,
    rotation: Option<ArrayView2<'a, f32>>,
    class_count: usize,
}

impl<'a> UnitVectors<'a> {
    /// Unit vectors from the first `width` columns of `projected`, shape `[examples, directions]`, after a rotation of shape
    /// `[width, width]` where one is given.
    pub(crate) fn new(
        projected: ArrayView2<'a, f32>,
        width: usize,
        rotation: Option<ArrayView2<'a, f32>>,
        class_count: usize,
    ) -> Self {
        let width = width.min(projected.ncols());
        Self { projected: projected.slice_axis_move(Axis(1), (..width).into()), rotation, class_count }
    }

    /// Number of examples.
    pub(crate) fn len(&self) -> usize {
        self.projected.nrows()
    }

    /// Examples of every class.
    pub(crate) fn rounds(&self) -> usize {
        self.len() / self.class_count.max(1)
    }

    /// Number of classes.
    pub(crate) fn class_count(&self) -> usize {
        self.class_count
    }

    /// Numbers in a vector.
    pub(crate) fn width(&self) -> usize {
        self.projected.ncols()
    }

    /// Unit vectors of some examples: `[examples, width]`.
    pub(crate) fn of(&self, examples: &[usize]) -> Array2<f32> {
        let rows = self.projected.select(Axis(0), examples);
        let mut vectors = match self.rotation {
            Some(rotation) => times_transposed(rows.view(), rotation),
            None => rows,
        };
        normalise_rows(&mut vectors);
        vectors
    }

    /// Unit vectors of one round: `[classes, width]`.
    pub(crate) fn round(&self, round: usize) -> Array2<f32> {
        let first = round * self.class_count;
        self.of(&(first..first + self.class_count).collect::<Vec<_>>())
    }

    /// Unit mean of every class's vectors: `[classes, width]`.
    pub(crate) fn prototypes(&self) -> Array2<f32> {
        let mut sums = Array2::<f32>::zeros((self.class_count, self.width()));
        for round in 0..self.rounds() {
            sums += &self.round(round);
        }
        normalise_rows(&mut sums);
        sums
    }
}

/// Unit mean of every class's vectors, where `classes[i]` is the class of vector `i`: `[examples, width]` to `[class_count, width]`.
pub(crate) fn prototypes(vectors: ArrayView2<f32>, classes: &[u32], class_count: usize) -> Array2<f32> {
    let mut sums = Array2::<f32>::zeros((class_count, vectors.ncols()));
    for (row, &class) in vectors.rows().into_iter().zip(classes) {
        let mut sum = sums.row_mut(class as usize);
        sum += &row;
    }
    normalise_rows(&mut sums);
    sums
}
