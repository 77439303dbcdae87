//! Samples as plaintexts: what a client encrypts of a sound.

use sordino_model::raw::RawSpec;

use crate::FheError;

/// Bits of a body: all of them, because the noise of this ring is a few units.
pub(crate) const BODY_BITS: u32 = 64;

/// Samples as torus elements, one polynomial of degree below `ring` for every cell: sample `i` of a cell is coefficient `i`, in units of `q / 2^product_log2`.
pub(crate) fn plaintexts(spec: &RawSpec, ring: usize, samples: &[i32]) -> Vec<u64> {
    let unit = 1u64 << (64 - spec.product_log2);
    let mut out = vec![0u64; spec.cells * ring];
    for (plaintext, samples) in out.chunks_exact_mut(ring).zip(samples.chunks_exact(spec.cell)) {
        plaintext.iter_mut().zip(samples).for_each(|(to, &x)| *to = (i64::from(x) as u64).wrapping_mul(unit));
    }
    out
}

/// Makes sure that no lag of a cell's autocorrelation meets another that has gone round the ring.
pub(super) fn check(spec: &RawSpec, ring: usize) -> Result<(), FheError> {
    match spec.cell + spec.taps {
        found if found <= ring => Ok(()),
        found => Err(FheError::Cell { found, ring }),
    }
}
