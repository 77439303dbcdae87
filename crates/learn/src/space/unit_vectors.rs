//! [`UnitVectors`]: training examples as the unit vectors that a stage sees.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis};

use crate::LearnError;
use crate::math::matrix::{normalise_rows, times_transposed};

/// Projected examples, wherever they are.
pub(crate) trait Rows: Sync {
    /// Number of examples, and of directions, strongest first.
    fn dim(&self) -> (usize, usize);

    /// Some of the examples: `[examples, directions]`.
    ///
    /// # Errors
    /// [`LearnError`] where they cannot be read.
    fn some(&self, examples: &[usize]) -> Result<Array2<f32>, LearnError>;
}

impl Rows for Array2<f32> {
    fn dim(&self) -> (usize, usize) {
        self.dim()
    }

    fn some(&self, examples: &[usize]) -> Result<Array2<f32>, LearnError> {
        Ok(self.select(Axis(0), examples))
    }
}

/// How a stage sees projected examples: so many of the strongest directions, rotated or not, at unit length.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    /// Number of directions.
    pub(crate) width: usize,
    /// A rotation of shape `[width, width]`.
    pub(crate) rotation: Option<ArrayView2<'a, f32>>,
}

impl Sight<'_> {
    /// `[examples, directions]` to `[examples, width]`.
    pub(crate) fn of(&self, projected: ArrayView2<f32>) -> Array2<f32> {
        let rows = projected.slice_axis(Axis(1), (..self.width.min(projected.ncols())).into());
        let mut vectors = match self.rotation {
            Some(rotation) => times_transposed(rows, rotation),
            None => rows.to_owned(),
        };
        normalise_rows(&mut vectors);
        vectors
    }
}

/// Examples in rounds of one example of every class: example `i` is of class `i % class_count`. The vectors are made when they are
/// asked for, so that several stages can see the same examples each in its own way without copies of them all.
#[derive(Clone, Copy)]
pub(crate) struct UnitVectors<'a> {
    projected: &'a dyn Rows,
    sight: Sight<'a>,
    class_count: usize,
}

impl<'a> UnitVectors<'a> {
    /// What a stage sees of `projected`.
    pub(crate) fn new(projected: &'a dyn Rows, sight: Sight<'a>, class_count: usize) -> Self {
        let width = sight.width.min(projected.dim().1);
        Self { projected, sight: Sight { width, ..sight }, class_count }
    }

    /// Number of examples.
    pub(crate) fn len(&self) -> usize {
        self.projected.dim().0
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
        self.sight.width
    }

    /// Unit vectors of some examples: `[examples, width]`.
    pub(crate) fn of(&self, examples: &[usize]) -> Result<Array2<f32>, LearnError> {
        Ok(self.sight.of(self.projected.some(examples)?.view()))
    }

    /// Unit vectors of one round: `[classes, width]`.
    pub(crate) fn round(&self, round: usize) -> Result<Array2<f32>, LearnError> {
        let first = round * self.class_count;
        self.of(&(first..first + self.class_count).collect::<Vec<_>>())
    }

    /// Unit mean of every class's vectors: `[classes, width]`.
    pub(crate) fn prototypes(&self) -> Result<Array2<f32>, LearnError> {
        self.prototypes_of(0..self.class_count)
    }

    /// Those of some neighbouring classes.
    pub(crate) fn prototypes_of(&self, classes: Range<usize>) -> Result<Array2<f32>, LearnError> {
        /// Classes whose vectors are held at once.
        const AT_ONCE: usize = 1 << 16;
        let mut sums = Array2::<f32>::zeros((classes.len(), self.width()));
        for (first, mut sums) in classes.step_by(AT_ONCE).zip(sums.axis_chunks_iter_mut(Axis(0), AT_ONCE)) {
            for round in 0..self.rounds() {
                let first = round * self.class_count + first;
                sums += &self.of(&(first..first + sums.nrows()).collect::<Vec<_>>())?;
            }
        }
        normalise_rows(&mut sums);
        Ok(sums)
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
