//! [`Affine`]: a linear map with an offset, in plain arrays.

use ndarray::{Array1, Array2};

/// `y = weight x + bias`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine {
    /// Shape `[out, in]`.
    pub(crate) weight: Array2<f32>,
    /// Shape `[out]`.
    pub(crate) bias: Array1<f32>,
}
