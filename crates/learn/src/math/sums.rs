//! [`Sums`]: sums that do not depend on who adds what, or in which order.
//!
//! Addition in floating point is not associative: a sum over parts of a library would differ from one over the whole in its last bits, and
//! training would find another model. Here every number is cut once, to a multiple of `2^-52`, and integers are added.

use std::ops::AddAssign;

/// Numbers that are added up, each a multiple of `2^-52`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    units: Vec<i128>,
    /// Whether anything was not finite, or too large to be added.
    broken: bool,
}

/// Units in 1.
const UNITS: f64 = (1_u64 << 52) as f64;
/// Largest number that may be added: a million of them stay within an `i128`.
const MOST: f64 = (1_u64 << 55) as f64;

impl Sums {
    /// So many zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self { units: vec![0; len], broken: false }
    }

    /// Adds a number to each.
    pub(crate) fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        /// What converts through 64 bits, which is many times faster.
        const SMALL: f64 = 1_024.0;
        for (units, value) in self.units.iter_mut().zip(values) {
            if value.abs() < SMALL {
                *units += i128::from((value * UNITS) as i64);
            } else if value.abs() < MOST {
                *units += (value * UNITS) as i128;
            } else {
                self.broken = true;
            }
        }
    }

    /// The sums as numbers; nothing where a number was not finite or beyond `2^55`.
    pub(crate) fn values(&self) -> Option<Vec<f64>> {
        (!self.broken).then(|| self.units.iter().map(|&units| units as f64 / UNITS).collect())
    }

    /// Everything as whole numbers of 64 bits, low half first; the last pair says whether the sums are broken.
    pub(crate) fn halves(&self) -> Vec<i64> {
        let units = self.units.iter().copied().chain([i128::from(self.broken)]);
        units.flat_map(|units| [units as i64, (units >> 64) as i64]).collect()
    }

    /// What [`Sums::halves`] gave.
    pub(crate) fn of_halves(halves: &[i64]) -> Option<Self> {
        let (pairs, []) = halves.as_chunks::<2>() else { return None };
        let joined = |&[low, high]: &[i64; 2]| i128::from(high) << 64 | i128::from(low as u64);
        let mut units: Vec<i128> = pairs.iter().map(joined).collect();
        let broken = units.pop()? != 0;
        Some(Self { units, broken })
    }

    /// Number of sums.
    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }
}

impl AddAssign<&Self> for Sums {
    fn add_assign(&mut self, other: &Self) {
        self.units.iter_mut().zip(&other.units).for_each(|(sum, units)| *sum += units);
        self.broken = self.broken || other.broken;
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand::seq::SliceRandom;

    use super::*;
    use crate::math::random::stream;

    #[test]
    fn order_does_not_matter() {
        let mut rng = stream(5, 0);
        let mut values: Vec<f64> = (0..1_000).map(|i| (rng.random::<f64>() - 0.5) * 10.0_f64.powi(i % 20 - 8)).collect();
        let sum = |parts: &[&[f64]]| {
            let mut all = Sums::zeros(1);
            for part in parts {
                let mut sums = Sums::zeros(1);
                part.iter().for_each(|&value| sums.add([value]));
                all += &sums;
            }
            all
        };
        let whole = sum(&[&values]);
        let exact: f64 = values.iter().sum();
        assert!((whole.values().unwrap()[0] - exact).abs() < 1e-9 * exact.abs().max(1.0));
        for _ in 0..20 {
            values.shuffle(&mut rng);
            let (head, tail) = values.split_at(rng.random_range(0..1_000));
            assert_eq!(sum(&[tail, head]), whole);
        }
        assert_eq!(Sums::of_halves(&whole.halves()), Some(whole));
        assert_eq!(Sums::of_halves(&[1]), None);
    }

    #[test]
    fn what_cannot_be_added_is_said() {
        for bad in [f64::NAN, f64::INFINITY, -1e20] {
            let mut sums = Sums::zeros(2);
            sums.add([1.0, bad]);
            assert_eq!(sums.values(), None);
            let mut others = Sums::zeros(2);
            others += &sums;
            assert_eq!((others.values(), Sums::of_halves(&sums.halves()).unwrap().values()), (None, None));
        }
        let mut sums = Sums::zeros(2);
        sums.add([-1.5, 3e16]);
        assert_eq!(sums.values(), Some(vec![-1.5, 3e16]));
    }
}
