//! [`SeededKeyswitchKey`]: the ring's key under a small key, as it travels.

use sordino_front::threads;
use sordino_model::layout::SEED_BYTES;

use crate::SecretKey;
use crate::params::{ParameterSet, SmallKey};
use crate::ring::gadget::Gadget;
use crate::ring::random::{Random, RandomSeed};

/// Bytes of a body.
const BODY_BYTES: usize = 4;

/// Encryptions of `s_i q/B^level` under a small key of dimension n, modulo 2^32: the seed of the masks, and the bodies of shape
/// `[N, levels]`.
pub(crate) struct SeededKeyswitchKey(Vec<u8>);

impl SeededKeyswitchKey {
    /// Bytes on the wire.
    pub(crate) fn wire_bytes(p: &ParameterSet, gadget: Gadget) -> usize {
        SEED_BYTES + p.ring() * gadget.levels as usize * BODY_BYTES
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Encrypts the ring's key under the small key of the given bits, with seeds of masks and of noise. The noise is that of the
    /// parameter set, on 32 bits.
    pub(crate) fn encrypt(
        secret: &SecretKey,
        small: SmallKey,
        bits: &[u64],
        gadget: Gadget,
        [masks, noise]: [RandomSeed; 2],
    ) -> Self {
        let (dimension, levels) = (small.dimension.0, gadget.levels as usize);
        let key = secret.glwe().as_ref().iter().enumerate();
        let bodies = threads::map(key.collect(), |(i, s): (usize, &u64)| {
            let mut bodies = vec![0u64; levels];
            Random::new(noise, i as u64).add_noise(small_noise_log2(small), &mut bodies);
            let rows = mask_rows(masks, i, dimension, levels);
            let rows = rows.chunks_exact(dimension).zip(1..).zip(bodies);
            let body = |((mask, level), noise): ((&[u32], u32), u64)| {
                let product = mask.iter().zip(bits).fold(0u32, |sum, (a, s)| sum.wrapping_add(a * *s as u32));
                let message = (s.wrapping_mul(gadget.weight(level)) >> 32) as u32;
                product.wrapping_add(message).wrapping_add(noise as u32)
            };
            rows.map(body).collect::<Vec<u32>>()
        });
        Self(masks.into_iter().chain(bodies.into_iter().flatten().flat_map(u32::to_le_bytes)).collect())
    }

    /// Whether it leads from this secret key to its small key of comparisons, which has the gadget `gadget`.
    pub(crate) fn opens_under(&self, secret: &SecretKey, gadget: Gadget) -> bool {
        let dimension = secret.compare().len();
        let (seed, bodies) = self.split(gadget);
        let first = |(i, bodies): (usize, &[[u8; BODY_BYTES]])| {
            let mask = mask_rows(seed, i, dimension, 1);
            is_first_row(&mask, u32::from_le_bytes(bodies[0]), i, secret, gadget)
        };
        bodies.take(ROWS_LOOKED_AT).enumerate().all(first)
    }

    /// The seed of the masks, and the bodies of the rows of each bit of the ring's key.
    pub(crate) fn split(&self, gadget: Gadget) -> (RandomSeed, impl Iterator<Item = &[[u8; BODY_BYTES]]>) {
        let (seed, bodies) = self.0.split_at(SEED_BYTES);
        let seed = std::array::from_fn(|i| seed[i]);
        (seed, bodies.as_chunks().0.chunks_exact(gadget.levels as usize))
    }
}

/// Rows by which a key is told from another's, of which one in 2^18 passes for a row of this one.
pub(crate) const ROWS_LOOKED_AT: usize = 8;

/// Whether this is the row of the first level for bit `i` of the ring's key, under the small key of comparisons: its phase is that
/// message and no more noise than the parameter set allows.
pub(crate) fn is_first_row(mask: &[u32], body: u32, i: usize, secret: &SecretKey, gadget: Gadget) -> bool {
    let product = mask.iter().zip(secret.compare()).fold(0u32, |sum, (a, s)| sum.wrapping_add(a * *s as u32));
    let message = (secret.glwe().as_ref()[i].wrapping_mul(gadget.weight(1)) >> 32) as u32;
    let noise = body.wrapping_sub(product).wrapping_sub(message) as i32;
    noise.unsigned_abs() <= 1 << small_noise_log2(secret.parameters().compare)
}

/// The bound of a small key's noise on 32 bits: that of the parameter set, and not below one.
pub(crate) fn small_noise_log2(small: SmallKey) -> u32 {
    small.noise_log2.saturating_sub(32)
}

/// The masks of all levels for bit `i` of the ring's key.
pub(crate) fn mask_rows(seed: RandomSeed, i: usize, dimension: usize, levels: usize) -> Vec<u32> {
    let mut words = vec![0u64; (dimension * levels).div_ceil(2)];
    Random::new(seed, i as u64).uniform(&mut words);
    let mut out: Vec<u32> = words.into_iter().flat_map(|word| [word as u32, (word >> 32) as u32]).collect();
    out.truncate(dimension * levels);
    out
}
