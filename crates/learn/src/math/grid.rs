//! [`UniformGrid`]: the integers that weights and inputs are rounded to, and how gradients pass through the rounding.
//!
//! Straight-through estimator (Bengio, Léonard and Courville, 2013, arXiv 1308.3432): the forward pass rounds, the
//! backward pass pretends it did not, and clamping first stops the gradient outside the grid.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A symmetric uniform grid: integers `-max ..= max` with `max = 2^(bits-1) - 1`, one every `1 / scale`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UniformGrid {
    bits: u8,
    scale: f32,
}

/// Settings that make no [`UniformGrid`].
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GridError {
    /// Bits outside what the encrypted stages take.
    #[error("grid: {found} bits, expected 2 to 8")]
    Bits {
        /// Bits asked for.
        found: u8,
    },
    /// A scale that is no positive number.
    #[error("grid: scale {found}, expected a positive number")]
    Scale {
        /// Scale asked for.
        found: f32,
    },
}

/// Step of the uniform quantiser with `2^bits - 1` levels that loses least on a standard normal variable (Max, 1960,
/// extended to odd numbers of levels by minimising the mean squared error numerically).
const NORMAL_STEP: [f32; 7] = [1.224, 0.650, 0.353, 0.193, 0.1054, 0.0572, 0.0310];

impl UniformGrid {
    /// A grid with `scale` steps to one.
    ///
    /// # Errors
    /// [`GridError`] outside 2 to 8 bits, or for a scale that is not positive.
    pub fn new(bits: u8, scale: f32) -> Result<Self, GridError> {
        if !(2..=8).contains(&bits) {
            return Err(GridError::Bits { found: bits });
        }
        if !(scale.is_finite() && scale > 0.0) {
            return Err(GridError::Scale { found: scale });
        }
        Ok(Self { bits, scale })
    }

    /// The grid for components of unit vectors of `width` components: these are close to normal with variance
    /// `1 / width`, and the step is the best one for that.
    ///
    /// # Errors
    /// [`GridError`] outside 2 to 8 bits.
    pub fn for_unit_vectors(bits: u8, width: usize) -> Result<Self, GridError> {
        let step = NORMAL_STEP.get(usize::from(bits).wrapping_sub(2)).ok_or(GridError::Bits { found: bits })?;
        Self::new(bits, (width.max(1) as f32).sqrt() / step)
    }

    /// Bits of one integer, sign included.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Steps to one.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Largest integer.
    pub fn max(&self) -> i32 {
        (1 << (self.bits - 1)) - 1
    }

    /// Nearest integer of the grid, halves to even.
    pub fn integer(&self, x: f32) -> i32 {
        let max = self.max() as f32;
        (x * self.scale).clamp(-max, max).round_ties_even() as i32
    }

    /// What training sees of `x`: rounded, or as it is where training is not `aware` of the rounding that comes after it.
    pub(crate) fn seen<const D: usize>(&self, x: Tensor<D>, aware: bool) -> Tensor<D> {
        if aware { self.fake(x) } else { x }
    }

    /// Rounds every element to the grid; the gradient is 1 inside the grid and 0 outside. Any shape.
    pub(crate) fn fake<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let max = self.max() as f32;
        let scaled = x.mul_scalar(self.scale).clamp(-max, max);
        let rounding = (scaled.clone().round() - scaled.clone()).detach();
        (scaled + rounding).div_scalar(self.scale)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn gradient_is_one_inside_and_zero_outside() {
        let device = Device::flex().autodiff();
        let grid = UniformGrid::new(3, 4.0).unwrap();
        // max is 3, so the grid ends at 0.75.
        let x = Tensor::<1>::from_floats([0.1, -0.6, 0.74, 0.76, -2.0, 0.0], &device).require_grad();
        let weights = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &device);
        let gradients = (grid.fake(x.clone()) * weights).sum().backward();
        let gradient = x.grad(&gradients).unwrap().into_data_as::<f32>();
        assert_eq!(gradient.as_slice::<f32>().unwrap(), [1.0, 2.0, 3.0, 0.0, 0.0, 6.0]);
    }

    #[test]
    fn rounding_agrees_with_the_integers() {
        let device = Device::flex();
        for bits in 2..=8 {
            let grid = UniformGrid::for_unit_vectors(bits, 96).unwrap();
            let x: Vec<f32> = (-400..400).map(|i| i as f32 / 800.0).collect();
            let faked = grid.fake(Tensor::<1>::from_floats(x.as_slice(), &device)).into_data_as::<f32>();
            for (&value, &rounded) in x.iter().zip(faked.as_slice::<f32>().unwrap()) {
                let integer = grid.integer(value);
                assert!(integer.abs() <= grid.max());
                assert!((rounded * grid.scale() - integer as f32).abs() < 1e-3, "{bits} bits: {value}");
            }
        }
    }

    #[test]
    fn the_step_is_best_for_a_normal_variable() {
        let error = |bits: u8, scale: f32| {
            let grid = UniformGrid::new(bits, scale).unwrap();
            let points = (-6_000..=6_000).map(|i| i as f32 / 1_000.0);
            points.map(|x| (x - grid.integer(x) as f32 / scale).powi(2) * (-x * x / 2.0).exp()).sum::<f32>()
        };
        for bits in 2..=8 {
            let best = UniformGrid::for_unit_vectors(bits, 1).unwrap().scale();
            assert!(error(bits, best) < error(bits, best * 1.05), "{bits} bits: a finer step is better");
            assert!(error(bits, best) < error(bits, best / 1.05), "{bits} bits: a coarser step is better");
        }
    }

    #[test]
    fn bad_settings_are_refused() {
        assert_eq!(UniformGrid::new(1, 1.0), Err(GridError::Bits { found: 1 }));
        assert_eq!(UniformGrid::for_unit_vectors(9, 64), Err(GridError::Bits { found: 9 }));
        assert!(matches!(UniformGrid::new(4, f32::NAN), Err(GridError::Scale { .. })));
    }
}
