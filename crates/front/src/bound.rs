//! [`VectorBound`]: what every integer vector that leaves the front end keeps to.

use serde::{Deserialize, Serialize};

/// What the client promises about a quantised input vector. The proof that no encrypted score overflows builds on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorBound {
    /// Number of features.
    pub width: usize,
    /// Largest absolute value of a feature.
    pub max_abs: i32,
    /// Largest squared Euclidean norm of the vector.
    pub norm_squared: u64,
}

impl VectorBound {
    /// Whether `x` keeps the promise.
    pub fn admits(&self, x: &[i32]) -> bool {
        x.len() == self.width
            && x.iter().all(|v| v.unsigned_abs() <= self.max_abs.unsigned_abs())
            && norm_squared(x) <= u128::from(self.norm_squared)
    }

    /// Whether every vector that keeps this bound keeps `other` too.
    pub fn within(&self, other: &Self) -> bool {
        self.width == other.width && self.max_abs <= other.max_abs && self.norm_squared <= other.norm_squared
    }
}

/// `|x|^2`, in a type that no vector of `i32` overflows.
pub(crate) fn norm_squared(x: &[i32]) -> u128 {
    x.iter().map(|&v| u128::from(v.unsigned_abs()) * u128::from(v.unsigned_abs())).sum()
}
