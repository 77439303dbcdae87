//! [`Affine`]: a linear map with an offset, in plain arrays.

use ndarray::{Array1, Array2};

/// `y = weight x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Shape `[out, in]`.
    pub weight: Array2<f32>,
    /// Shape `[out]`.
    pub bias: Array1<f32>,
}
