//! Seeded lists of GLWE ciphertexts with their masks back: what the server does with every message.

use rayon::prelude::*;
use sordino_model::layout::{SEED_BYTES, body_bytes};

use crate::ring::glwe::{Glwe, Lwe};
use crate::ring::random::{Random, RandomSeed};
use crate::wire::bits::unpack;

/// Reads `count` ciphertexts of ring degree `ring`: expands the masks from the seed, in parallel, and restores the bodies.
///
/// `bytes` has [`crate::wire::seeded::seeded_len`] bytes; any bytes of that length are some ciphertexts.
pub(crate) fn expand(bytes: &[u8], count: usize, ring: usize, body_bits: u32) -> Vec<Glwe> {
    let (seed, bodies) = bytes.split_at(SEED_BYTES);
    let seed: RandomSeed = std::array::from_fn(|i| seed[i]);
    // Every ciphertext has a whole number of bytes, because 8 divides the ring degree.
    let bodies = bodies.par_chunks_exact(body_bytes(1, ring, body_bits)).enumerate();
    let ciphertexts = bodies.map(|(j, body)| restored(seed, j as u64, body, ring, ring, body_bits));
    debug_assert_eq!(ciphertexts.len(), count);
    ciphertexts.collect()
}

/// Reads a single number, of [`sordino_model::layout::NUMBER_BYTES`] bytes.
pub(crate) fn expand_number(bytes: &[u8], ring: usize) -> Lwe {
    let (seed, body) = bytes.split_at(SEED_BYTES);
    restored(std::array::from_fn(|i| seed[i]), 0, body, 1, ring, 64).extract(0)
}

/// The ciphertext with the mask of stream `j`, of whose body the first `sent` coefficients were sent.
fn restored(seed: RandomSeed, j: u64, body: &[u8], sent: usize, ring: usize, body_bits: u32) -> Glwe {
    let mut out = Glwe::zero(ring);
    let (mask_out, body_out) = out.as_mut_slice().split_at_mut(ring);
    Random::new(seed, j).uniform(mask_out);
    unpack(body, body_bits, &mut body_out[..sent]);
    out
}
