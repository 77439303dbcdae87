//! [`Quantiser`]: real vectors to small integers that keep a promised bound.

use serde::{Deserialize, Serialize};

use crate::bound::norm_squared;
use crate::{FrontError, VectorBound};

/// Turns `z` into integers `x` that [`VectorBound::admits`], whatever `z` is.
///
/// 1. If `scale^2 |z|^2` exceeds `bound.norm_squared`, `z` is first shrunk onto that sphere. A unit vector never needs it.
/// 2. `x_i = clamp(round(scale z_i), -bound.max_abs, bound.max_abs)`, rounding half to even.
/// 3. While `|x|^2 > bound.norm_squared`: of the entries that are not zero, the one whose rounding went furthest away from
///    zero (the largest `|x_i| - |scale z_i|`, of equals the first) moves one step towards zero. Rounding adds about
///    `width / 12` to `|x|^2`, so this changes a few entries by one.
///
/// The bound is what proves that no score leaves the message space, so it is enforced here and not hoped for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiser {
    /// Bits of one entry including its sign, 2 to 16: entries lie within `2^(bits - 1) - 1` of zero.
    pub bits: u32,
    /// Multiplies the real vector before rounding.
    pub scale: f32,
    /// What every output keeps to.
    pub bound: VectorBound,
}

impl Quantiser {
    /// For unit vectors: entries of `bits` bits, and `|x| <= scale`, the tightest sphere a scaled unit vector fits.
    ///
    /// # Errors
    /// [`FrontError::Setting`] where a setting is outside its range.
    pub fn for_unit_vectors(width: usize, bits: u32, scale: f32) -> Result<Self, FrontError> {
        let norm_squared = (f64::from(scale) * f64::from(scale)).floor() as u64;
        let bound = VectorBound { width, max_abs: largest(bits).unwrap_or(0), norm_squared };
        let quantiser = Self { bits, scale, bound };
        quantiser.check("quantiser")?;
        Ok(quantiser)
    }

    pub(crate) fn check(&self, part: &str) -> Result<(), FrontError> {
        let Some(largest) = largest(self.bits) else {
            return Err(FrontError::setting(part, "bits", self.bits, "2 to 16"));
        };
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(FrontError::setting(part, "scale", self.scale, "a number above zero"));
        }
        if !(1..=largest).contains(&self.bound.max_abs) {
            return Err(FrontError::setting(part, "max_abs", self.bound.max_abs, "1 to 2^(bits - 1) - 1"));
        }
        if self.bound.width == 0 {
            return Err(FrontError::setting(part, "width", 0, "at least 1"));
        }
        Ok(())
    }

    /// The integers of one vector of `bound.width` numbers.
    ///
    /// # Errors
    /// [`FrontError::Shape`] for another width, [`FrontError::NotFinite`] for NaN or infinity.
    pub fn quantise(&self, z: &[f32]) -> Result<Vec<i32>, FrontError> {
        if z.len() != self.bound.width {
            return Err(FrontError::shape("quantiser", "input width", z.len(), self.bound.width));
        }
        if z.iter().any(|v| !v.is_finite()) {
            return Err(FrontError::NotFinite { stage: "the embedding" });
        }
        let limit = self.bound.norm_squared;
        // In double precision, where no finite z overflows.
        let length_squared =
            z.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() * f64::from(self.scale).powi(2);
        // A unit vector in single precision is off by some 1e-7; step 3 deals with what that adds.
        let y: Vec<f32> = if length_squared > limit as f64 * (1.0 + 1e-5) {
            let shrunk = f64::from(self.scale) * (limit as f64 / length_squared).sqrt();
            z.iter().map(|&v| (f64::from(v) * shrunk) as f32).collect()
        } else {
            z.iter().map(|v| v * self.scale).collect()
        };
        let largest = self.bound.max_abs as f32;
        let mut x: Vec<i32> = y.iter().map(|v| v.round_ties_even().clamp(-largest, largest) as i32).collect();
        let mut length_squared = norm_squared(&x);
        while length_squared > u128::from(limit) {
            let Some(i) = furthest_out(&x, &y) else { break };
            length_squared -= 2 * u128::from(x[i].unsigned_abs()) - 1;
            x[i] -= x[i].signum();
        }
        Ok(x)
    }
}

/// Largest entry of `bits` bits with a sign.
fn largest(bits: u32) -> Option<i32> {
    (2..=16).contains(&bits).then(|| (1 << (bits - 1)) - 1)
}

/// The first non-zero entry of `x` whose distance from zero exceeds that of `y` the most.
fn furthest_out(x: &[i32], y: &[f32]) -> Option<usize> {
    let mut found: Option<(usize, f32)> = None;
    for (i, (&xi, &yi)) in x.iter().zip(y).enumerate().filter(|(_, (x, _))| **x != 0) {
        let out = xi.unsigned_abs() as f32 - yi.abs();
        if found.is_none_or(|(_, most)| out > most) {
            found = Some((i, out));
        }
    }
    found.map(|(i, _)| i)
}
