//! [`Layer`]: one step of a network that acts on vectors, in the clear on the client.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::FrontError;
use crate::error::{finite, same};

/// Smallest length by which [`Layer::UnitNorm`] divides, so that a zero vector stays zero.
pub const UNIT_NORM_FLOOR: f32 = 1e-12;

/// An elementwise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x (1 + erf(x / sqrt 2)) / 2`, exact and not the tanh approximation (Hendrycks and Gimpel, 2016).
    Gelu,
}

impl Activation {
    /// The function's value.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Gelu => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
        }
    }
}

/// A step on row vectors, a batch `[n, in]` to `[n, out]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// `y = W x + b`.
    Affine {
        /// Shape `[out, in]`.
        weight: Array2<f32>,
        /// Shape `[out]`.
        bias: Array1<f32>,
    },
    /// `y_i = (x_i - mean_i) inv_std_i`.
    Standardise {
        /// Shape `[in]`.
        mean: Array1<f32>,
        /// Shape `[in]`.
        inv_std: Array1<f32>,
    },
    /// `y_i = f(x_i)`.
    Activation(Activation),
    /// `y = x / max(|x|, UNIT_NORM_FLOOR)`, Euclidean.
    UnitNorm,
}

impl Layer {
    /// The width that comes out when `width` numbers go in.
    pub(crate) fn check(&self, part: &str, width: usize) -> Result<usize, FrontError> {
        match self {
            Self::Affine { weight, bias } => {
                let (out, into) = weight.dim();
                same(part, "input width", into, width)?;
                same(part, "bias width", bias.len(), out)?;
                if out == 0 {
                    return Err(FrontError::setting(part, "output width", 0, "at least 1"));
                }
                finite(part, weight.iter().chain(bias))?;
                Ok(out)
            }
            Self::Standardise { mean, inv_std } => {
                same(part, "mean width", mean.len(), width)?;
                same(part, "inv_std width", inv_std.len(), width)?;
                finite(part, mean.iter().chain(inv_std))?;
                Ok(width)
            }
            Self::Activation(_) | Self::UnitNorm => Ok(width),
        }
    }

    /// Acts on a batch of shape `[n, in]` that [`Layer::check`] has passed.
    pub(crate) fn apply(&self, mut x: Array2<f32>) -> Array2<f32> {
        match self {
            Self::Affine { weight, bias } => {
                let mut y = Array2::zeros((x.nrows(), weight.nrows()));
                y += bias;
                general_mat_mul(1.0, &x, &weight.t(), 1.0, &mut y);
                y
            }
            Self::Standardise { mean, inv_std } => {
                x -= mean;
                x *= inv_std;
                x
            }
            Self::Activation(f) => {
                x.mapv_inplace(|v| f.apply(v));
                x
            }
            Self::UnitNorm => {
                for mut row in x.rows_mut() {
                    let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(UNIT_NORM_FLOOR);
                    row.mapv_inplace(|v| v / norm);
                }
                x
            }
        }
    }
}

/// The width that comes out of `layers` when `width` numbers go in.
pub(crate) fn check_all(part: &str, layers: &[Layer], width: usize) -> Result<usize, FrontError> {
    let mut layers = layers.iter().enumerate();
    layers.try_fold(width, |width, (i, layer)| layer.check(&format!("{part}.layers.{i}"), width))
}

/// Runs `layers` on a batch of shape `[n, in]`.
pub(crate) fn apply_all(layers: &[Layer], x: ArrayView2<'_, f32>) -> Array2<f32> {
    layers.iter().fold(x.to_owned(), |x, layer| layer.apply(x))
}
