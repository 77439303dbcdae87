//! Oblivious selection: the scores of one group among all, by the encrypted bits of its index.

use rayon::prelude::*;
use sordino_model::cost::Counts;
use sordino_model::layout::{IndexLayout, Packing};

use crate::ring::fourier::Fourier;
use crate::ring::gadget::Gadget;
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::Glwe;

/// The gadget of indices laid out as given.
pub(crate) fn gadget(index: IndexLayout) -> Gadget {
    Gadget::new(index.base_log, index.levels)
}

/// Brings the encrypted bits of an index to the Fourier domain; `rows` are the rows of every bit in turn.
pub(crate) fn transform(rows: &[Glwe], index: IndexLayout, fourier: &Fourier) -> Vec<Ggsw> {
    let bits = rows.par_chunks_exact(index.rows());
    bits.map_init(
        || fourier.scratch(),
        |scratch, rows| Ggsw::from_rows(gadget(index), rows.iter().map(Glwe::as_slice), fourier, scratch),
    )
    .collect()
}

/// The scores of the group whose index is encrypted in `bits` (in the order of [`Packing::index`]), at coefficients `0..`
/// of one ciphertext per lane; and the number of gates it took.
///
/// First a tree of CMUX gates over the columns, one level per bit, halves their number; a column without a partner passes as
/// it is. Then, in the column that is left, one gate per bit chooses between the ciphertext and its rotation by
/// a power of two of blocks.
pub(crate) fn select(scores: &[Glwe], packing: &Packing, bits: &[Ggsw], fourier: &Fourier) -> (Vec<Glwe>, usize) {
    let (column_bits, block_bits) = bits.split_at(packing.column_bits());
    let mut gates = 0;
    let lanes = (0..packing.lanes()).map(|lane| {
        let mut columns: Vec<Glwe> = Vec::new();
        for (level, bit) in column_bits.iter().enumerate() {
            let pair = |zero: &Glwe, one: Option<&Glwe>, scratch: &mut _| match one {
                Some(one) => bit.cmux(zero, one, fourier, scratch),
                None => zero.clone(),
            };
            let count = packing.columns().div_ceil(1 << level);
            gates += count / 2;
            let above = columns;
            let at = |i: usize| match level {
                0 => scores.get(i * packing.lanes() + lane).filter(|_| i < count),
                _ => above.get(i),
            };
            columns = (0..count.div_ceil(2))
                .into_par_iter()
                .map_init(|| fourier.scratch(), |scratch, i| at(2 * i).map(|zero| pair(zero, at(2 * i + 1), scratch)))
                .flatten_iter()
                .collect();
        }
        let mut column = columns.pop().unwrap_or_else(|| scores[lane].clone());
        let mut scratch = fourier.scratch();
        for (j, bit) in block_bits.iter().enumerate() {
            let rotated = column.divide_by_monomial(packing.outputs() << j);
            column = bit.cmux(&column, &rotated, fourier, &mut scratch);
            gates += 1;
        }
        column
    });
    let selected = lanes.collect();
    (selected, gates)
}

/// What bringing an index to the Fourier domain and selecting by it does.
pub(crate) fn counts(bits: usize, index: IndexLayout, gates: usize) -> Counts {
    let mut counts = Counts::index_bit(index).times(bits);
    counts += Counts::gate(index).times(gates);
    counts
}
