//! Seeded lists of GLWE ciphertexts: a seed instead of the masks, and the leading bits of the bodies.

use rayon::prelude::*;
use sordino_model::layout::{SEED_BYTES, body_bytes};
use tfhe::core_crypto::prelude::*;

use crate::keys::secret::SecretKey;
use crate::ring::glwe::Glwe;
use crate::ring::random::{Random, RandomSeed};
use crate::wire::bits::{pack, unpack};

/// Bytes of `count` ciphertexts.
pub(crate) fn seeded_len(count: usize, ring: usize, body_bits: u32) -> usize {
    SEED_BYTES + body_bytes(count, ring, body_bits)
}

/// Encrypts `plaintexts`, one polynomial of N torus elements after another: ciphertext `j` has mask `a_j` from stream `j` of a
/// fresh seed and body `a_j s + e_j + plaintext_j`. Appends the seed and the leading `body_bits` bits of the bodies to
/// `out`.
pub(crate) fn encrypt(key: &SecretKey, plaintexts: &[u64], body_bits: u32, random: &mut Random, out: &mut Vec<u8>) {
    let (ring, noise_log2) = (key.parameters().ring(), key.parameters().glwe_noise_log2);
    let (masks, noise) = (random.seed(), random.seed());
    out.extend(masks);
    let bodies = plaintexts.par_chunks_exact(ring).enumerate().map(|(j, plaintext)| {
        let mut mask = Polynomial::new(0u64, PolynomialSize(ring));
        Random::new(masks, j as u64).uniform(mask.as_mut());
        let mut body = key.times(&mask);
        body.iter_mut().zip(plaintext).for_each(|(body, m)| *body = body.wrapping_add(*m));
        Random::new(noise, j as u64).add_noise(noise_log2, &mut body);
        body
    });
    for body in bodies.collect::<Vec<_>>() {
        pack(body, body_bits, out);
    }
}

/// Reads `count` ciphertexts of ring degree `ring`: expands the masks from the seed, in parallel, and restores the bodies.
///
/// `bytes` has [`seeded_len`] bytes; any bytes of that length are some ciphertexts.
pub(crate) fn expand(bytes: &[u8], count: usize, ring: usize, body_bits: u32) -> Vec<Glwe> {
    let (seed, bodies) = bytes.split_at(SEED_BYTES);
    let seed: RandomSeed = std::array::from_fn(|i| seed[i]);
    // Every ciphertext has a whole number of bytes, because 8 divides the ring degree.
    let bodies = bodies.par_chunks_exact(body_bytes(1, ring, body_bits)).enumerate();
    let ciphertexts = bodies.map(|(j, body)| {
        let mut out = Glwe::zero(ring);
        let (mask_out, body_out) = out.as_mut_slice().split_at_mut(ring);
        Random::new(seed, j as u64).uniform(mask_out);
        unpack(body, body_bits, body_out);
        out
    });
    debug_assert_eq!(ciphertexts.len(), count);
    ciphertexts.collect()
}
