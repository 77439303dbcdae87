//! [`Sums`]: sums that do not depend on who adds what, or in which order.
//!
//! Addition in floating point is not associative: a sum over parts of a library would differ from one over the whole in its last bits, and
//! training would find another model. Here numbers are added as integers. Small ones are cut to multiples of `2^-52`. Larger ones go into
//! bins of their own by their magnitude, each with a unit that their last bit is a multiple of.

use std::ops::AddAssign;

/// Numbers that are added up, each exactly but for what lies below `2^-52`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    len: usize,
    /// Bin `k` holds numbers below `2^(52 (k + 1))` that are in no bin before, in units of `2^(52 (k - 1))`: 104 bits, which leaves room for
    /// eight million of them. A bin is there from the first number on that belongs there.
    bins: Vec<Vec<i128>>,
    /// Whether anything was not finite.
    broken: bool,
}

/// Bits of a bin's unit beside the next one's, which are those of a floating-point number's fraction.
const BITS: i32 = 52;
/// Bins for numbers up to `2^312`, far beyond the square of what has single precision.
const BINS: usize = 6;

impl Sums {
    /// So many zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self { len, bins: vec![vec![0; len]], broken: false }
    }

    /// Adds a number to each.
    pub(crate) fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        /// What converts through 64 bits, which is many times faster.
        const SMALL: f64 = 1_024.0;
        let units = 2.0_f64.powi(BITS);
        for (i, value) in values.into_iter().take(self.len).enumerate() {
            if value.abs() < SMALL {
                self.bins[0][i] += i128::from((value * units) as i64);
            } else {
                self.add_large(i, value);
            }
        }
    }

    fn add_large(&mut self, i: usize, value: f64) {
        let fits = |bin: &usize| value.abs() < 2.0_f64.powi(BITS * (*bin as i32 + 1));
        let Some(bin) = (0..BINS).find(fits) else {
            self.broken = true;
            return;
        };
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, vec![0; self.len]);
        }
        self.bins[bin][i] += (value * 2.0_f64.powi(-BITS * (bin as i32 - 1))) as i128;
    }

    /// The sums as numbers; nothing where a number was not finite.
    pub(crate) fn values(&self) -> Option<Vec<f64>> {
        let sum = |i: usize| {
            let of_bin = |(bin, units): (usize, &Vec<i128>)| units[i] as f64 * 2.0_f64.powi(BITS * (bin as i32 - 1));
            self.bins.iter().enumerate().map(of_bin).sum()
        };
        (!self.broken).then(|| (0..self.len).map(sum).collect())
    }

    /// Everything as whole numbers of 64 bits: the length, whether the sums are broken, and the bins, low half of each number first.
    pub(crate) fn halves(&self) -> Vec<i64> {
        let units = self.bins.iter().flatten().flat_map(|&units| [units as i64, (units >> 64) as i64]);
        [self.len as i64, i64::from(self.broken)].into_iter().chain(units).collect()
    }

    /// What [`Sums::halves`] gave.
    pub(crate) fn of_halves(halves: &[i64]) -> Option<Self> {
        let (&[len, broken], rest) = halves.split_first_chunk()?;
        let (len, (pairs, left)) = (usize::try_from(len).ok()?, rest.as_chunks::<2>());
        let whole =
            left.is_empty() && len > 0 && pairs.len().is_multiple_of(len) && (1..=BINS).contains(&(pairs.len() / len));
        let joined = |&[low, high]: &[i64; 2]| i128::from(high) << 64 | i128::from(low as u64);
        let bins = || pairs.chunks(len).map(|bin| bin.iter().map(joined).collect()).collect();
        whole.then(|| Self { len, bins: bins(), broken: broken != 0 })
    }

    /// Number of sums.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl AddAssign<&Self> for Sums {
    fn add_assign(&mut self, other: &Self) {
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), vec![0; self.len]);
        }
        for (sums, others) in self.bins.iter_mut().zip(&other.bins) {
            sums.iter_mut().zip(others).for_each(|(sum, units)| *sum += units);
        }
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
        let mut values: Vec<f64> =
            (0..1_000).map(|i| (rng.random::<f64>() - 0.5) * 10.0_f64.powi(i % 40 - 8)).collect();
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
    fn large_numbers_are_exact_and_what_is_none_is_said() {
        for value in [0.75, -3e15, 2.0_f64.powi(52), 1e30, -1.7e76, 4e90] {
            let mut sums = Sums::zeros(2);
            sums.add([1.5, value]);
            sums.add([1.5, value]);
            assert_eq!(sums.values(), Some(vec![3.0, 2.0 * value]), "{value}");
            assert_eq!(Sums::of_halves(&sums.halves()), Some(sums));
        }
        for bad in [f64::NAN, f64::INFINITY, -1e200] {
            let mut sums = Sums::zeros(2);
            sums.add([1.0, bad]);
            assert_eq!(sums.values(), None);
            let mut others = Sums::zeros(2);
            others += &sums;
            assert_eq!((others.values(), Sums::of_halves(&sums.halves()).unwrap().values()), (None, None));
        }
    }
}
