//! [`KeyswitchKey`]: LWE ciphertexts from the ring's key to the small key, many at once.
//!
//! The key is kept modulo 2^32: what follows rounds to 2N values, and the rounding of the key adds far less than its noise
//! (see [`crate::margin`]). That halves the memory to stream, which is what a keyswitch costs; a batch streams it once.

use aligned_vec::{ABox, avec};
use tfhe::core_crypto::prelude::{Container, LweKeyswitchKey};

use crate::gadget::Gadget;
use crate::glwe::Lwe;
use crate::vector::vectorised;

/// An LWE ciphertext under the small key, modulo 2^32: mask, then body.
pub(crate) type SmallLwe = Vec<u32>;

/// Encryptions of `s_i q/B^level` under the small key, shape `[N, levels, n + 1]`, modulo 2^32.
pub(crate) struct KeyswitchKey {
    gadget: Gadget,
    width: usize,
    rows: ABox<[u32]>,
}

impl KeyswitchKey {
    /// Rounds one of tfhe's keys, whose levels come least significant first.
    pub(crate) fn from_tfhe<C: Container<Element = u64>>(gadget: Gadget, key: &LweKeyswitchKey<C>) -> Self {
        let width = key.output_lwe_size().0;
        let (block, levels) = (gadget.levels as usize * width, gadget.levels as usize);
        let mut rows = avec![0; key.input_key_lwe_dimension().0 * block].into_boxed_slice();
        for (key, out) in key.as_ref().chunks_exact(block).zip(rows.chunks_exact_mut(block)) {
            for (level, out) in out.chunks_exact_mut(width).enumerate() {
                let row = &key[(levels - 1 - level) * width..(levels - level) * width];
                for (out, x) in out.iter_mut().zip(row) {
                    *out = (x.wrapping_add(1 << 31) >> 32) as u32;
                }
            }
        }
        Self { gadget, width, rows }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }

    /// The same messages under the small key.
    pub(crate) fn switch(&self, inputs: &[Lwe]) -> Vec<SmallLwe> {
        let dimension = self.rows.len() / (self.width * self.gadget.levels as usize);
        let offset = self.gadget.offset();
        let mut outputs = vec![vec![0u32; self.width]; inputs.len()];
        for (input, output) in inputs.iter().zip(&mut outputs) {
            output[self.width - 1] = (input.as_ref()[dimension].wrapping_add(1 << 31) >> 32) as u32;
        }
        for (i, rows) in self.rows.chunks_exact(self.width * self.gadget.levels as usize).enumerate() {
            for (input, output) in inputs.iter().zip(&mut outputs) {
                let x = input.as_ref()[i].wrapping_add(offset);
                subtract_rows(x, self.gadget, rows, output);
            }
        }
        outputs
    }
}

/// `output -= sum_level digit_level(x) rows[level]`.
fn subtract_rows(x: u64, gadget: Gadget, rows: &[u32], output: &mut [u32]) {
    vectorised!(subtract_body(x: u64 = x, gadget: Gadget = gadget, rows: &'a [u32] = rows, output: &'a mut [u32] = output));
}

#[inline(always)]
fn subtract_body(x: u64, gadget: Gadget, rows: &[u32], output: &mut [u32]) {
    let (mask, half_base) = ((1u32 << gadget.base_log) - 1, 1u32 << (gadget.base_log - 1));
    for (level, row) in (1..=gadget.levels).zip(rows.chunks_exact(output.len())) {
        let digit = ((x >> (64 - gadget.base_log * level)) as u32 & mask).wrapping_sub(half_base);
        for (out, row) in output.iter_mut().zip(row) {
            *out = out.wrapping_sub(digit.wrapping_mul(*row));
        }
    }
}
