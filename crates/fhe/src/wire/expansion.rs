//! Seeded lists of GLWE ciphertexts with their masks back: what the server does with every message.

use rayon::prelude::*;
use sordino_model::layout::{SEED_BYTES, SparsePacking, body_bytes};

use crate::ring::glwe::Glwe;
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
    let ciphertexts = bodies.map(|(j, body)| {
        let mut out = masked(seed, j as u64, ring);
        unpack(body, body_bits, out.body_mut());
        out
    });
    debug_assert_eq!(ciphertexts.len(), count);
    ciphertexts.collect()
}

/// Reads single numbers, of [`SparsePacking::bytes`] bytes: the ciphertexts that hold them. What was not sent of a body is zero, so other
/// coefficients decrypt to anything.
pub(crate) fn expand_numbers(bytes: &[u8], packing: SparsePacking, ring: usize) -> Vec<Glwe> {
    if packing.count() == 0 {
        return Vec::new();
    }
    let (seed, mut rest) = bytes.split_at(SEED_BYTES);
    let seed: RandomSeed = std::array::from_fn(|i| seed[i]);
    let ciphertexts = packing.ciphertexts().enumerate().map(|(j, count)| {
        let (body, tail) = rest.split_at(8 * count);
        rest = tail;
        let mut numbers = vec![0; count];
        unpack(body, 64, &mut numbers);
        let mut out = masked(seed, j as u64, ring);
        let places = out.body_mut().iter_mut().step_by(packing.stride(count));
        places.zip(numbers).for_each(|(place, number)| *place = number);
        out
    });
    ciphertexts.collect()
}

/// The ciphertext with the mask of stream `j` and no body.
fn masked(seed: RandomSeed, j: u64, ring: usize) -> Glwe {
    let mut out = Glwe::zero(ring);
    Random::new(seed, j).uniform(&mut out.as_mut_slice()[..ring]);
    out
}
