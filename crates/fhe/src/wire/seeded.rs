//! Seeded lists of GLWE ciphertexts: a seed instead of the masks, and the leading bits of the bodies.
//!
//! Single numbers are coefficients of such ciphertexts, of whose bodies nothing else is sent ([`SparsePacking`]).

use sordino_front::threads;
use sordino_model::layout::{SEED_BYTES, SparsePacking, body_bytes};
use tfhe::core_crypto::prelude::*;

use crate::keys::secret::{SecretKey, wipe};
use crate::ring::random::Random;
use crate::wire::bits::pack;

/// Bytes of `count` ciphertexts.
pub(crate) fn seeded_len(count: usize, ring: usize, body_bits: u32) -> usize {
    SEED_BYTES + body_bytes(count, ring, body_bits)
}

/// Encrypts `plaintexts`, one polynomial of N torus elements after another: ciphertext `j` has mask `a_j` from stream `j` of a
/// fresh seed and body `a_j s + e_j + plaintext_j`. Appends the seed and the leading `body_bits` bits of the bodies to
/// `out`.
pub(crate) fn encrypt(key: &SecretKey, plaintexts: &[u64], body_bits: u32, random: &mut Random, out: &mut Vec<u8>) {
    for body in bodies(key, plaintexts, random, out) {
        pack(body, body_bits, out);
    }
}

/// Encrypts torus elements where their packing puts them, and appends a seed and the coefficients of the bodies that hold them;
/// nothing of none.
pub(crate) fn encrypt_numbers(key: &SecretKey, numbers: &[u64], random: &mut Random, out: &mut Vec<u8>) {
    let ring = key.parameters().ring();
    let packing = SparsePacking::new(ring, numbers.len());
    if numbers.is_empty() {
        return;
    }
    let mut plaintexts = vec![0; packing.ciphertexts().count() * ring];
    for ((plaintext, numbers), count) in
        plaintexts.chunks_exact_mut(ring).zip(numbers.chunks(ring)).zip(packing.ciphertexts())
    {
        plaintext.iter_mut().step_by(packing.stride(count)).zip(numbers).for_each(|(to, number)| *to = *number);
    }
    let bodies = bodies(key, &plaintexts, random, out);
    wipe(&mut plaintexts);
    for (body, count) in bodies.into_iter().zip(packing.ciphertexts()) {
        pack(body.into_iter().step_by(packing.stride(count)).take(count), 64, out);
    }
}

/// Appends a fresh seed of masks, and returns the bodies that go with it.
fn bodies(key: &SecretKey, plaintexts: &[u64], random: &mut Random, out: &mut Vec<u8>) -> Vec<Vec<u64>> {
    let (ring, noise_log2) = (key.parameters().ring(), key.parameters().glwe_noise_log2);
    let (masks, noise) = (random.seed(), random.seed());
    out.extend(masks);
    let plaintexts = plaintexts.chunks_exact(ring).enumerate();
    threads::map(plaintexts.collect(), |(j, plaintext): (usize, &[u64])| {
        let mut mask = Polynomial::new(0u64, PolynomialSize(ring));
        Random::new(masks, j as u64).uniform(mask.as_mut());
        let mut body = key.times(&mask);
        body.iter_mut().zip(plaintext).for_each(|(body, m)| *body = body.wrapping_add(*m));
        Random::new(noise, j as u64).add_noise(noise_log2, &mut body);
        body
    })
}
