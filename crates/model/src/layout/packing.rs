//! [`Packing`]: where the features of a query and the scores of a stage sit in polynomials of `Z[X]/(X^N + 1)`.
//!
//! A query of `d` features is `ceil(d / r)` polynomials of `r` features each, feature `i` at `X^(iN/r)`. One plaintext
//! polynomial holds the weights of `S = N/r` slots for those features, `sum_{i<r, t<S} W[t][i] X^t X^(-iN/r)`, so that the
//! first `S` coefficients of the product are the `S` partial scores, and the other blocks hold cross terms that mean
//! nothing. Groups lie side by side in the `S` slots, or across several ciphertexts where a group has more than `S`.
//! `docs/crypto.md` works through an example.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::stage::StageShape;

/// Where the features and the scores of one stage are.
///
/// The product of the stage has `columns x lanes` ciphertexts: a group lies in one column, and a column has one
/// ciphertext (lane) unless a group has more than `S` slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPacking", into = "RawPacking")]
pub struct Packing {
    ring: usize,
    features: usize,
    width: usize,
    groups: usize,
    outputs: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPacking {
    ring: usize,
    features: usize,
    width: usize,
    groups: usize,
    outputs: usize,
}

/// Numbers that make no [`Packing`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackingError {
    /// The ring degree is no power of two, or too small.
    #[error("packing: ring degree {found}, expected a power of two of at least 2")]
    Ring {
        /// The degree given.
        found: usize,
    },
    /// The number of features in a ciphertext does not divide the ring.
    #[error("packing: {found} features in a ciphertext, expected a power of two of at most {ring}")]
    Features {
        /// The number given.
        found: usize,
        /// The ring degree.
        ring: usize,
    },
    /// No features, no groups or no slots, or more scores than can be counted.
    #[error("packing: {groups} groups of {outputs} slots over {width} features, expected at least one of each")]
    Shape {
        /// Groups given.
        groups: usize,
        /// Slots given.
        outputs: usize,
        /// Features given.
        width: usize,
    },
    /// A group whose scores must lie in one ciphertext is too large for it.
    #[error(
        "packing: a group of {outputs} slots, expected at most the {slots} that one ciphertext holds; use more stages"
    )]
    Group {
        /// Slots of the group.
        outputs: usize,
        /// Slots of a ciphertext.
        slots: usize,
    },
}

/// Where a score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which column of ciphertexts.
    pub column: usize,
    /// Which ciphertext of that column.
    pub lane: usize,
    /// Which coefficient of its polynomial.
    pub coefficient: usize,
}

impl TryFrom<RawPacking> for Packing {
    type Error = PackingError;
    fn try_from(raw: RawPacking) -> Result<Self, PackingError> {
        Self::checked(raw.ring, raw.features, raw.width, raw.groups, raw.outputs)
    }
}

impl From<Packing> for RawPacking {
    fn from(p: Packing) -> Self {
        let Packing { ring, features, width, groups, outputs } = p;
        Self { ring, features, width, groups, outputs }
    }
}

impl Packing {
    /// Packs `features` features of a query into each ciphertext of ring degree `ring`.
    ///
    /// # Errors
    /// [`PackingError::Ring`] or [`PackingError::Features`].
    pub fn new(ring: usize, features: usize, stage: &StageShape) -> Result<Self, PackingError> {
        Self::checked(ring, features, stage.input().width, stage.groups(), stage.outputs())
    }

    pub(crate) fn checked(
        ring: usize,
        features: usize,
        width: usize,
        groups: usize,
        outputs: usize,
    ) -> Result<Self, PackingError> {
        if !ring.is_power_of_two() || ring < 2 {
            return Err(PackingError::Ring { found: ring });
        }
        if !features.is_power_of_two() || features > ring {
            return Err(PackingError::Features { found: features, ring });
        }
        let countable = groups.checked_mul(outputs).and_then(|scores| scores.checked_mul(width)).is_some();
        if groups == 0 || outputs == 0 || width == 0 || !countable {
            return Err(PackingError::Shape { groups, outputs, width });
        }
        Ok(Self { ring, features, width, groups, outputs })
    }

    /// Ring degree `N`.
    pub fn ring(&self) -> usize {
        self.ring
    }

    /// Features in one ciphertext of the query, `r`.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Features of a query, `d`.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Groups of the stage.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Slots of a group.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Ciphertexts of a query, `ceil(d / r)`.
    pub fn inputs(&self) -> usize {
        self.width.div_ceil(self.features)
    }

    /// Coefficients of an output ciphertext that can hold scores, `S = N / r`.
    pub fn slots(&self) -> usize {
        self.ring / self.features
    }

    /// Groups in one column.
    pub fn blocks(&self) -> usize {
        (self.slots() / self.outputs).clamp(1, self.groups)
    }

    /// Ciphertexts that a group lies across.
    pub fn lanes(&self) -> usize {
        self.outputs.div_ceil(self.slots())
    }

    /// Columns of ciphertexts.
    pub fn columns(&self) -> usize {
        self.groups.div_ceil(self.blocks())
    }

    /// Output ciphertexts of the linear stage.
    pub fn ciphertexts(&self) -> usize {
        self.columns() * self.lanes()
    }

    /// Slots of a group that lie in `lane`.
    pub fn lane_outputs(&self, lane: usize) -> usize {
        self.outputs.saturating_sub(lane * self.slots()).min(self.slots())
    }

    /// The column of a group, and its block in that column.
    pub fn column_and_block(&self, group: usize) -> (usize, usize) {
        (group / self.blocks(), group % self.blocks())
    }

    /// Where the score of a slot is before any selection.
    pub fn place(&self, group: usize, slot: usize) -> Place {
        let (column, block) = self.column_and_block(group);
        let (lane, slot) = (slot / self.slots(), slot % self.slots());
        Place { column, lane, coefficient: block * self.outputs + slot }
    }

    /// Which coefficient holds feature `i`, in which ciphertext of the query.
    pub fn feature(&self, i: usize) -> (usize, usize) {
        (i / self.features, i % self.features * self.slots())
    }

    /// Where the weight of feature `i` goes, for the score at `coefficient`: `X^coefficient X^(-(i mod r) S)`, which is
    /// a coefficient and whether it changes sign, because `X^-1 = -X^(N-1)`.
    pub fn weight(&self, i: usize, coefficient: usize) -> (usize, bool) {
        let shift = i % self.features * self.slots();
        if shift > coefficient { (self.ring + coefficient - shift, true) } else { (coefficient - shift, false) }
    }

    /// Bits of an encrypted index that choose the column.
    pub fn column_bits(&self) -> usize {
        bits_below(self.columns())
    }

    /// Bits of an encrypted index that choose the block in a column.
    pub fn block_bits(&self) -> usize {
        bits_below(self.blocks())
    }

    /// Bits of an encrypted index, lowest first: those of the column, then those of the block.
    pub fn index_bits(&self) -> usize {
        self.column_bits() + self.block_bits()
    }

    /// The bits that select `group`, in the order of [`Packing::index_bits`].
    pub fn index(&self, group: usize) -> Vec<bool> {
        let (column, block) = self.column_and_block(group);
        let bits = |value: usize, count: usize| (0..count).map(move |i| value >> i & 1 == 1);
        bits(column, self.column_bits()).chain(bits(block, self.block_bits())).collect()
    }

    /// CMUX gates that one selection takes: a tree over the columns of every lane, then one rotation per bit of the block.
    pub fn selection_gates(&self) -> usize {
        self.lanes() * (self.columns() - 1 + self.block_bits())
    }
}

/// Bits of the numbers `0..bound`.
pub fn bits_below(bound: usize) -> usize {
    bound.next_power_of_two().trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;
    use sordino_front::VectorBound;

    /// Multiplies in `Z[X]/(X^N + 1)`.
    fn negacyclic(a: &[i64], b: &[i64]) -> Vec<i64> {
        let n = a.len();
        let mut product = vec![0; n];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let sign = if i + j < n { 1 } else { -1 };
                product[(i + j) % n] += sign * x * y;
            }
        }
        product
    }

    fn stage(groups: usize, outputs: usize, width: usize) -> Stage {
        let weights = (0..groups * outputs * width).map(|i| (i * 37 % 15) as i8 - 7).collect();
        let input = VectorBound { width, max_abs: 7, norm_squared: 49 * width as u64 };
        Stage::new(outputs, input, weights, vec![0; groups * outputs], vec![outputs; groups]).unwrap()
    }

    #[test]
    fn products_of_packed_polynomials_hold_every_score() {
        for (groups, outputs, width, ring, features) in [
            (1, 1, 1, 16, 1),
            (3, 5, 7, 32, 4),
            (7, 3, 10, 64, 8),
            (2, 20, 9, 32, 2),
            (5, 4, 6, 16, 16),
            (1, 40, 3, 16, 4),
        ] {
            let stage = stage(groups, outputs, width);
            let packing = Packing::new(ring, features, stage.shape()).unwrap();
            let x: Vec<i32> = (0..width).map(|i| (i * 5 % 13) as i32 - 6).collect();
            let mut query = vec![vec![0; ring]; packing.inputs()];
            for (i, &value) in x.iter().enumerate() {
                let (ciphertext, coefficient) = packing.feature(i);
                query[ciphertext][coefficient] = i64::from(value);
            }
            let mut sums = vec![vec![0; ring]; packing.ciphertexts()];
            for (o, sum) in sums.iter_mut().enumerate() {
                for (j, query) in query.iter().enumerate() {
                    let mut weights = vec![0; ring];
                    for (group, slot) in (0..groups).flat_map(|g| (0..outputs).map(move |t| (g, t))) {
                        let place = packing.place(group, slot);
                        if place.column * packing.lanes() + place.lane == o {
                            for i in (0..width).filter(|i| packing.feature(*i).0 == j) {
                                let (k, negative) = packing.weight(i, place.coefficient);
                                let w = i64::from(stage.row(group, slot)[i]);
                                assert_eq!(weights[k], 0, "two weights in one coefficient");
                                weights[k] = if negative { -w } else { w };
                            }
                        }
                    }
                    for (s, p) in sum.iter_mut().zip(negacyclic(&weights, query)) {
                        *s += p;
                    }
                }
            }
            for (group, slot) in (0..groups).flat_map(|g| (0..outputs).map(move |t| (g, t))) {
                let place = packing.place(group, slot);
                let score = sums[place.column * packing.lanes() + place.lane][place.coefficient];
                assert_eq!(score, stage.score(group, slot, &x), "group {group} slot {slot} of {packing:?}");
            }
        }
    }

    #[test]
    fn every_group_has_its_own_index() {
        for (groups, outputs, features) in [(1, 3, 1), (158, 158, 4), (10, 5, 2), (9, 2, 8), (3, 700, 8)] {
            let stage = stage(groups, outputs, 3);
            let packing = Packing::new(2048, features, stage.shape()).unwrap();
            let mut seen: Vec<Vec<bool>> = (0..groups).map(|g| packing.index(g)).collect();
            assert!(seen.iter().all(|bits| bits.len() == packing.index_bits()));
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), groups);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let stage = stage(2, 3, 4);
        assert!(matches!(Packing::new(1000, 4, stage.shape()), Err(PackingError::Ring { found: 1000 })));
        assert!(matches!(Packing::new(64, 3, stage.shape()), Err(PackingError::Features { found: 3, .. })));
        assert!(matches!(Packing::new(64, 128, stage.shape()), Err(PackingError::Features { found: 128, .. })));
        let huge = RawPacking { ring: 64, features: 1, width: 3, groups: usize::MAX, outputs: 2 };
        assert!(matches!(Packing::try_from(huge), Err(PackingError::Shape { .. })));
    }
}
