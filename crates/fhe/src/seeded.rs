//! Seeded lists of GLWE ciphertexts: a seed instead of the masks, and the leading bits of the bodies.

use rayon::prelude::*;
use sordino_model::{SEED_BYTES, body_bytes};
use tfhe::core_crypto::commons::math::random::{RandomGenerator, Seed};
use tfhe::core_crypto::prelude::*;

use crate::bits::{pack, unpack};
use crate::glwe::Glwe;
use crate::secret_key::SecretKey;

/// Bytes of `count` ciphertexts.
pub(crate) fn seeded_len(count: usize, ring: usize, body_bits: u32) -> usize {
    SEED_BYTES + body_bytes(count, ring, body_bits)
}

/// Encrypts `plaintexts`, one polynomial of N torus elements after another, under fresh masks and noise, and appends the
/// seed of the masks and the leading `body_bits` bits of the bodies to `out`.
pub(crate) fn encrypt(key: &SecretKey, plaintexts: &[u64], body_bits: u32, seeder: &mut dyn Seeder, out: &mut Vec<u8>) {
    let parameters = key.parameters();
    let count = GlweCiphertextCount(plaintexts.len() / parameters.ring());
    let seed = seeder.seed();
    if count.0 == 0 {
        out.extend(seed.0.to_le_bytes());
        return;
    }
    let mut list = SeededGlweCiphertextList::new(
        0u64,
        parameters.glwe_size(),
        parameters.polynomial_size,
        count,
        seed.into(),
        CiphertextModulus::new_native(),
    );
    let plaintexts = PlaintextList::from_container(plaintexts);
    encrypt_seeded_glwe_ciphertext_list(key.glwe(), &mut list, &plaintexts, parameters.glwe_noise(), seeder);
    out.extend(seed.0.to_le_bytes());
    pack(list.as_ref().iter().copied(), body_bits, out);
}

/// Reads `count` ciphertexts of ring degree `ring`: expands the masks from the seed, in parallel, and restores the bodies.
///
/// `bytes` has [`seeded_len`] bytes; any bytes of that length are some ciphertexts.
pub(crate) fn expand(bytes: &[u8], count: usize, ring: usize, body_bits: u32) -> Vec<Glwe> {
    let (seed, bodies) = bytes.split_at(SEED_BYTES);
    let mut generator =
        RandomGenerator::<DefaultRandomGenerator>::new(Seed(u128::from_le_bytes(std::array::from_fn(|i| seed[i]))));
    // One generator forked into pieces yields the same masks as one generator, whatever the number of threads.
    let Ok(pieces) = generator.try_fork(count, ring * size_of::<u64>()) else { return Vec::new() };
    let pieces: Vec<_> = pieces.collect();
    // Every ciphertext has a whole number of bytes, because 8 divides the ring degree.
    let bodies = bodies.par_chunks_exact(body_bytes(1, ring, body_bits));
    pieces
        .into_par_iter()
        .zip(bodies)
        .map(|(mut generator, body)| {
            let mut out = Glwe::zero(ring);
            let (mask_out, body_out) = out.as_mut_slice().split_at_mut(ring);
            generator.fill_slice_with_random_uniform(mask_out);
            unpack(body, body_bits, body_out);
            out
        })
        .collect()
}
