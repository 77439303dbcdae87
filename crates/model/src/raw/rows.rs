//! [`RawRows`]: the linear layer behind a raw front.

use super::{RawError, RawSpec};

/// A row of integers for every track, or passage of one, on the features of a [`super::RawFront`].
#[derive(Clone, Debug, PartialEq)]
pub struct RawRows {
    width: usize,
    /// Shape `[rows, width]`.
    weights: Vec<i16>,
    /// Shape `[rows]`.
    biases: Vec<i64>,
}

impl RawRows {
    /// Rows of shape `[biases.len(), spec.width()]`.
    ///
    /// # Errors
    /// [`RawError`] for weights of another shape, or no rows.
    pub fn new(spec: &RawSpec, weights: Vec<i16>, biases: Vec<i64>) -> Result<Self, RawError> {
        let (width, expected) = (spec.width(), spec.width() * biases.len());
        if biases.is_empty() || weights.len() != expected {
            let expected = format!("{expected}, {width} for each of one row or more");
            return Err(RawError { field: "rows", found: format!("{} weights", weights.len()), expected });
        }
        Ok(Self { width, weights, biases })
    }

    /// How many there are; never none.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.biases.len()
    }

    /// Weights and bias of one row.
    pub fn row(&self, row: usize) -> (&[i16], i64) {
        (&self.weights[row * self.width..(row + 1) * self.width], self.biases[row])
    }

    /// The score of every row for these features.
    pub fn scores(&self, features: &[i64]) -> Vec<i64> {
        let score = |row: usize| {
            let (weights, bias) = self.row(row);
            weights.iter().zip(features).map(|(w, x)| i64::from(*w) * x).sum::<i64>() + bias
        };
        (0..self.len()).map(score).collect()
    }
}
