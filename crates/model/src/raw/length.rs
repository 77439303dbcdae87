//! [`Length`]: how long a query's feature vector is, as far as encrypted integers tell.

use super::RawError;

/// Bits behind the point of [`Length`]'s factor.
const FRACTION: u32 = 16;

/// A multiple of the length of a feature vector in the space where rows live, by absolute values along some directions of it.
///
/// Scores grow with that length, and encrypted they cannot be divided by it. So the best one is held against a multiple of it: that is a threshold on the cosine.
/// A root of a sum of squares would take a product for every direction; a sum of absolute values takes one table, and is within a factor of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    width: usize,
    /// Shape `[biases.len(), width]`.
    weights: Vec<i8>,
    biases: Vec<i32>,
    factor: u32,
}

impl Length {
    /// Directions of shape `[biases.len(), width]` with their offsets. Their absolute values are summed, and the sum is multiplied by `factor / 2^16`.
    ///
    /// # Errors
    /// [`RawError`] for weights of another shape, or no directions.
    pub fn new(width: usize, weights: Vec<i8>, biases: Vec<i32>, factor: u32) -> Result<Self, RawError> {
        let expected = width.saturating_mul(biases.len());
        if biases.is_empty() || weights.len() != expected {
            let expected = format!("{expected}, {width} for each of one direction or more");
            return Err(RawError { field: "length", found: format!("{} weights", weights.len()), expected });
        }
        Ok(Self { width, weights, biases, factor })
    }

    /// How many directions there are; never none.
    pub fn directions(&self) -> usize {
        self.biases.len()
    }

    /// Features of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Weights and offset of one direction.
    pub fn direction(&self, direction: usize) -> (&[i8], i32) {
        (&self.weights[direction * self.width..(direction + 1) * self.width], self.biases[direction])
    }

    /// All weights, and all offsets.
    pub fn tables(&self) -> (&[i8], &[i32]) {
        (&self.weights, &self.biases)
    }

    /// The factor, in units of `2^-16`.
    pub fn factor(&self) -> u32 {
        self.factor
    }

    /// The factor as a number.
    pub fn ratio(&self) -> f64 {
        f64::from(self.factor) / f64::from(1u32 << FRACTION)
    }

    /// How far these features lie along every direction.
    pub fn along(&self, features: &[i32]) -> Vec<i64> {
        let along = |direction: usize| {
            let (weights, bias) = self.direction(direction);
            weights.iter().zip(features).map(|(w, x)| i64::from(*w) * i64::from(*x)).sum::<i64>() + i64::from(bias)
        };
        (0..self.directions()).map(along).collect()
    }

    /// What the best score of these features is held against.
    pub fn of(&self, features: &[i32]) -> i64 {
        let sum: i64 = self.along(features).iter().map(|along| along.abs()).sum();
        ((i128::from(sum) * i128::from(self.factor)) >> FRACTION) as i64
    }

    /// The largest that any features of at most `most` in absolute value come to along a direction.
    pub fn bound(&self, most: u64) -> u64 {
        let bound = |direction: usize| {
            let (weights, bias) = self.direction(direction);
            weights.iter().map(|w| u64::from(w.unsigned_abs())).sum::<u64>() * most + u64::from(bias.unsigned_abs())
        };
        (0..self.directions()).map(bound).max().unwrap_or(0)
    }
}
