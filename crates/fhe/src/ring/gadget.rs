//! [`Gadget`]: the digits in which torus elements are written.

use serde::{Deserialize, Serialize};

/// Decomposition of torus elements into `levels` signed digits of `base_log` bits, most significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Gadget {
    /// Bits of a digit; the base is `B = 2^base_log`.
    pub(crate) base_log: u32,
    /// Number of digits.
    pub(crate) levels: u32,
}

impl Gadget {
    /// A gadget of `levels` digits of `base_log` bits, below 64 bits in all.
    pub(crate) const fn new(base_log: u32, levels: u32) -> Self {
        assert!(base_log > 0 && levels > 0 && base_log * levels < 64, "a gadget has between 1 and 63 bits");
        Self { base_log, levels }
    }

    /// `q / B^level`: the weight of a digit of `level`, counted from 1.
    pub(crate) const fn weight(self, level: u32) -> u64 {
        1 << (64 - self.base_log * level)
    }
}

#[cfg(feature = "server")]
impl Gadget {
    /// What turns plain bit fields into balanced digits: half of every digit's weight times B, and half of the last weight to
    /// round. With it added, digit `level` of `x` is the bit field at [`Gadget::weight`] minus `B/2`, no carry needed.
    pub(crate) fn offset(self) -> u64 {
        let half_base = 1 << (self.base_log - 1);
        self.ones().wrapping_mul(half_base).wrapping_add(self.weight(self.levels) / 2)
    }

    /// The offsets that give digits in `[-B/2, B/2)`, on average -1/2, and in `(-B/2, B/2]`, on average 1/2. Whoever takes one of them for
    /// all digits adds up half of the noises of all rows, the same for every input.
    pub(crate) fn offsets(self) -> [u64; 2] {
        [self.offset(), self.offset().wrapping_sub(self.ones())]
    }

    /// The sum of all weights: one in every digit.
    fn ones(self) -> u64 {
        (1..=self.levels).fold(0, |sum, level| sum.wrapping_add(self.weight(level)))
    }
}
