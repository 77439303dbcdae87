//! [`KeyswitchKey`]: LWE ciphertexts from the ring's key to a small key, many at once.
//!
//! A small key's ciphertexts are modulo 2^32: what follows rounds them to a few thousand values. That halves the memory
//! to stream, which is what a keyswitch costs, and a batch streams it once.

use aligned_vec::{ABox, avec};
use rayon::prelude::*;

use crate::SecretKey;
use crate::keys::keyswitch::{ROWS_LOOKED_AT, SeededKeyswitchKey, is_first_row, mask_rows};
use crate::params::{ParameterSet, SmallKey};
use crate::ring::gadget::Gadget;
use crate::ring::glwe::Lwe;
use crate::ring::vector::vectorised;

/// An LWE ciphertext under a small key, modulo 2^32: mask, then body.
pub(crate) type SmallLwe = Vec<u32>;

/// Encryptions of `s_i q/B^level` under a small key of dimension n, shape `[N, levels, n + 1]`, modulo 2^32.
pub(crate) struct KeyswitchKey {
    gadget: Gadget,
    width: usize,
    rows: ABox<[u32]>,
}

impl KeyswitchKey {
    /// Expands the masks.
    pub(crate) fn expand(seeded: &SeededKeyswitchKey, p: &ParameterSet, small: SmallKey, gadget: Gadget) -> Self {
        let (dimension, levels) = (small.dimension.0, gadget.levels as usize);
        let width = dimension + 1;
        let (seed, bodies) = seeded.split(gadget);
        let bodies: Vec<_> = bodies.collect();
        let mut rows = avec![0u32; p.ring() * levels * width].into_boxed_slice();
        let blocks = rows.par_chunks_exact_mut(levels * width).zip(bodies);
        blocks.enumerate().for_each(|(i, (rows, bodies))| {
            let masks = mask_rows(seed, i, dimension, levels);
            let parts = masks.chunks_exact(dimension).zip(bodies);
            for (row, (mask, body)) in rows.chunks_exact_mut(width).zip(parts) {
                row[..dimension].copy_from_slice(mask);
                row[dimension] = u32::from_le_bytes(*body);
            }
        });
        Self { gadget, width, rows }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }

    /// Whether it leads from this secret key to its small key of comparisons.
    pub(crate) fn opens_under(&self, secret: &SecretKey) -> bool {
        let blocks = self.rows.chunks_exact(self.width * self.gadget.levels as usize).take(ROWS_LOOKED_AT);
        let first = |(i, rows): (usize, &[u32])| {
            let (mask, body) = rows[..self.width].split_at(self.width - 1);
            is_first_row(mask, body[0], i, secret, self.gadget)
        };
        blocks.enumerate().all(first)
    }

    /// The same messages under the small key.
    pub(crate) fn switch(&self, inputs: &[Lwe]) -> Vec<SmallLwe> {
        let block = self.width * self.gadget.levels as usize;
        let dimension = self.rows.len() / block;
        let offsets = self.gadget.offsets();
        // A bit below all digits, uniform and independent of them, picks whose end a digit of B/2 goes to. With one choice for all the
        // mean digit would be 1/2 or -1/2, and half the sum of all rows' noises a constant of the key, added to every switch.
        let coin = |x: u64| (x >> (62 - self.gadget.base_log * self.gadget.levels) & 1) as usize;
        let mut outputs = vec![vec![0u32; self.width]; inputs.len()];
        for (input, output) in inputs.iter().zip(&mut outputs) {
            output[self.width - 1] = (input.as_ref()[dimension].wrapping_add(1 << 31) >> 32) as u32;
        }
        for (i, rows) in self.rows.chunks_exact(block).enumerate() {
            for (input, output) in inputs.iter().zip(&mut outputs) {
                let x = input.as_ref()[i];
                let half = (1 << (self.gadget.base_log - 1)) - coin(x) as u32;
                subtract_rows(x.wrapping_add(offsets[coin(x)]), half, self.gadget, rows, output);
            }
        }
        outputs
    }
}

/// `output -= sum_level digit_level(x) rows[level]`, where a digit is a bit field of `x` less `half`.
fn subtract_rows(x: u64, half: u32, gadget: Gadget, rows: &[u32], output: &mut [u32]) {
    vectorised!(subtract_body(
        x: u64 = x,
        half: u32 = half,
        gadget: Gadget = gadget,
        rows: &'a [u32] = rows,
        output: &'a mut [u32] = output
    ));
}

#[inline(always)]
fn subtract_body(x: u64, half: u32, gadget: Gadget, rows: &[u32], output: &mut [u32]) {
    let mask = (1u32 << gadget.base_log) - 1;
    let digit = |level: u32| ((x >> (64 - gadget.base_log * level)) as u32 & mask).wrapping_sub(half);
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
