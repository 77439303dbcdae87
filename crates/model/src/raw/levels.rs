//! [`Levels`]: the logarithm as a table.

use super::RawSpec;

/// The logarithm of an energy on a few bits, as the encrypted front looks it up.
///
/// A table of TFHE continues with the opposite sign beyond half of the torus. So levels go from `-most` to `most`: beyond what a band can hold the table goes on from
/// `most` downwards, and an energy that noise made negative is read near `-most`. There is no jump, and no room need be left at either end.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Energies from `bounds[i]` on have more than `i` steps.
    bounds: Vec<i64>,
    /// What a band can hold.
    full: i64,
}

impl Levels {
    pub(super) fn new(spec: &RawSpec) -> Self {
        let full = 1i64 << (spec.product_log2 - 1);
        let bend = 10f64.powf(-(spec.headroom_db + spec.bend_db) / 10.0);
        let count = 1 << spec.level_bits;
        // ln((x + bend) / bend) / ln((1 + bend) / bend) rises from 0 to 1; step i begins where it is i / count.
        let bound = |i: usize| bend * ((1.0 + 1.0 / bend).powf(i as f64 / count as f64) - 1.0);
        let bounds = (1..count).map(|i| (bound(i) * full as f64).round() as i64).collect();
        Self { bounds, full }
    }

    /// The largest level. Levels are the odd integers from its negative on.
    pub fn most(&self) -> i32 {
        self.bounds.len() as i32
    }

    /// The level of an energy, taken by twice what a band can hold.
    pub fn of_energy(&self, energy: i64) -> i32 {
        let energy = energy.rem_euclid(2 * self.full);
        if energy < self.full { self.at(energy) } else { -self.at(energy - self.full) }
    }

    /// The level in the middle of index `index` of a table of `indices`, which holds the energies that a band can.
    pub fn at_index(&self, index: usize, indices: usize) -> i32 {
        self.at(((2 * index + 1) as i128 * i128::from(self.full) / (2 * indices as i128)) as i64)
    }

    fn at(&self, energy: i64) -> i32 {
        2 * self.bounds.partition_point(|&bound| bound <= energy) as i32 - self.most()
    }
}
