//! [`KeyswitchKey`]: LWE ciphertexts from the ring's key to a small key, many at once.
//!
//! A small key's ciphertexts are modulo 2^32: what follows rounds them to a few thousand values. That halves the memory
//! to stream, which is what a keyswitch costs, and a batch streams it once.

use aligned_vec::{ABox, avec};
use rayon::prelude::*;
use sordino_model::layout::SEED_BYTES;

use crate::SecretKey;
use crate::params::{ParameterSet, SmallKey};
use crate::ring::gadget::Gadget;
use crate::ring::glwe::Lwe;
use crate::ring::random::{Random, RandomSeed};
use crate::ring::vector::vectorised;

/// An LWE ciphertext under a small key, modulo 2^32: mask, then body.
pub(crate) type SmallLwe = Vec<u32>;

/// Bytes of a body.
const BODY_BYTES: usize = 4;

/// Encryptions of `s_i q/B^level` under a small key of dimension n, shape `[N, levels, n + 1]`, modulo 2^32.
pub(crate) struct KeyswitchKey {
    gadget: Gadget,
    width: usize,
    rows: ABox<[u32]>,
}

/// The same as it travels: the seed of the masks, and the bodies.
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

    /// Encrypts the ring's key under the small key of the given bits. The noise is that of the parameter set, on 32 bits.
    pub(crate) fn encrypt(
        secret: &SecretKey,
        small: SmallKey,
        bits: &[u64],
        gadget: Gadget,
        random: &mut Random,
    ) -> Self {
        let (masks, noise): (RandomSeed, RandomSeed) = (random.seed(), random.seed());
        let (dimension, levels) = (small.dimension.0, gadget.levels as usize);
        let bodies = secret.glwe().as_ref().par_iter().enumerate().map(|(i, s)| {
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
        let bodies: Vec<Vec<u32>> = bodies.collect();
        Self(masks.into_iter().chain(bodies.into_iter().flatten().flat_map(u32::to_le_bytes)).collect())
    }

    /// Expands the masks.
    pub(crate) fn expand(&self, p: &ParameterSet, small: SmallKey, gadget: Gadget) -> KeyswitchKey {
        let (dimension, levels) = (small.dimension.0, gadget.levels as usize);
        let width = dimension + 1;
        let (seed, bodies) = self.0.split_at(SEED_BYTES);
        let seed: RandomSeed = std::array::from_fn(|i| seed[i]);
        let mut rows = avec![0u32; p.ring() * levels * width].into_boxed_slice();
        let blocks = rows.par_chunks_exact_mut(levels * width).zip(bodies.par_chunks_exact(levels * BODY_BYTES));
        blocks.enumerate().for_each(|(i, (rows, bodies))| {
            let masks = mask_rows(seed, i, dimension, levels);
            let parts = masks.chunks_exact(dimension).zip(bodies.as_chunks().0);
            for (row, (mask, body)) in rows.chunks_exact_mut(width).zip(parts) {
                row[..dimension].copy_from_slice(mask);
                row[dimension] = u32::from_le_bytes(*body);
            }
        });
        KeyswitchKey { gadget, width, rows }
    }
}

/// The bound of a small key's noise on 32 bits: that of the parameter set, and not below one.
pub(crate) fn small_noise_log2(small: SmallKey) -> u32 {
    small.noise_log2.saturating_sub(32)
}

/// The masks of all levels for bit `i` of the ring's key.
fn mask_rows(seed: RandomSeed, i: usize, dimension: usize, levels: usize) -> Vec<u32> {
    let mut words = vec![0u64; (dimension * levels).div_ceil(2)];
    Random::new(seed, i as u64).uniform(&mut words);
    let mut out: Vec<u32> = words.into_iter().flat_map(|word| [word as u32, (word >> 32) as u32]).collect();
    out.truncate(dimension * levels);
    out
}

impl KeyswitchKey {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }

    /// The same messages under the small key.
    pub(crate) fn switch(&self, inputs: &[Lwe]) -> Vec<SmallLwe> {
        let block = self.width * self.gadget.levels as usize;
        let dimension = self.rows.len() / block;
        let offset = self.gadget.offset();
        let mut outputs = vec![vec![0u32; self.width]; inputs.len()];
        for (input, output) in inputs.iter().zip(&mut outputs) {
            output[self.width - 1] = (input.as_ref()[dimension].wrapping_add(1 << 31) >> 32) as u32;
        }
        for (i, rows) in self.rows.chunks_exact(block).enumerate() {
            for (input, output) in inputs.iter().zip(&mut outputs) {
                subtract_rows(input.as_ref()[i].wrapping_add(offset), self.gadget, rows, output);
            }
        }
        outputs
    }
}

/// `output -= sum_level digit_level(x) rows[level]`.
fn subtract_rows(x: u64, gadget: Gadget, rows: &[u32], output: &mut [u32]) {
    vectorised!(subtract_body(
        x: u64 = x,
        gadget: Gadget = gadget,
        rows: &'a [u32] = rows,
        output: &'a mut [u32] = output
    ));
}

#[inline(always)]
fn subtract_body(x: u64, gadget: Gadget, rows: &[u32], output: &mut [u32]) {
    let (mask, half_base) = ((1u32 << gadget.base_log) - 1, 1u32 << (gadget.base_log - 1));
    let digit = |level: u32| ((x >> (64 - gadget.base_log * level)) as u32 & mask).wrapping_sub(half_base);
    let width = output.len();
    // Three levels at a time, so that the sums travel to memory and back a third as often.
    let threes = rows.chunks_exact(3 * width);
    let rest = threes.remainder();
    for (rows, level) in threes.zip((1..).step_by(3)) {
        let (first, others) = rows.split_at(width);
        let (second, third) = others.split_at(width);
        let (a, b, c) = (digit(level), digit(level + 1), digit(level + 2));
        for (((out, x), y), z) in output.iter_mut().zip(first).zip(second).zip(third) {
            let sum = a.wrapping_mul(*x).wrapping_add(b.wrapping_mul(*y)).wrapping_add(c.wrapping_mul(*z));
            *out = out.wrapping_sub(sum);
        }
    }
    let first = gadget.levels - (rest.len() / width) as u32 + 1;
    for (row, level) in rest.chunks_exact(width).zip(first..) {
        let a = digit(level);
        for (out, x) in output.iter_mut().zip(row) {
            *out = out.wrapping_sub(a.wrapping_mul(*x));
        }
    }
}
