//! [`Length`]: how long a query's feature vector is, as far as encrypted integers tell.

use super::RawError;
use crate::stage::Stage;

/// Bits behind the point of [`Length`]'s factor.
const FRACTION: u32 = 16;

/// A multiple of the length of a feature vector in the space where rows live, by absolute values along some directions of it.
///
/// Scores grow with that length, and encrypted they cannot be divided by it. So the best one is held against a multiple of it: that is a threshold on the cosine.
/// A root of a sum of squares would take a product for every direction; a sum of absolute values takes one table, and is within a factor of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    directions: Stage,
    factor: u32,
}

impl Length {
    /// Along the rows of `directions`, which are one group without an empty slot. Absolute values are summed, and the sum is multiplied by `factor / 2^16`.
    ///
    /// # Errors
    /// [`RawError`] for another number of groups, or empty slots.
    pub fn new(directions: Stage, factor: u32) -> Result<Self, RawError> {
        if directions.counts() == [directions.outputs()] {
            return Ok(Self { directions, factor });
        }
        let found = format!("groups of {:?} of {}", directions.counts(), directions.outputs());
        Err(RawError { field: "length", found, expected: "one group, with a direction in every slot".into() })
    }

    /// The directions, a row each; never none.
    pub fn directions(&self) -> &Stage {
        &self.directions
    }

    /// How many directions there are.
    pub fn count(&self) -> usize {
        self.directions.count(0)
    }

    /// Weights of one direction.
    pub fn direction(&self, direction: usize) -> &[i8] {
        self.directions.row(0, direction)
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
        (0..self.count()).map(|direction| self.directions.score(0, direction, features)).collect()
    }

    /// What the best score of these features is held against.
    pub fn of(&self, features: &[i32]) -> i64 {
        self.times(self.along(features).iter().map(|along| along.unsigned_abs()).sum()) as i64
    }

    /// The largest that [`Length::of`] comes to.
    pub fn bound(&self) -> u64 {
        self.times(self.directions.score_bound().saturating_mul(self.count() as u64))
    }

    /// A sum of absolute values, times the factor.
    fn times(&self, sum: u64) -> u64 {
        u64::try_from((u128::from(sum) * u128::from(self.factor)) >> FRACTION).unwrap_or(u64::MAX)
    }
}
