//! Blind rotation, batched: look a table up at an encrypted index.
//!
//! An LWE ciphertext is switched to modulus `2N`, and its phase becomes the power of X by which a table is rotated, one CMUX per
//! bit of a small key (Chillotti et al., TFHE). Three things differ from the textbook:
//!
//! - **Batches.** A batch of accumulators visits each GGSW ciphertext of the key together, so the key (60 MB and more) is read from
//!   memory once per batch and not once per rotation.
//! - **Centred rounding.** The key is binary, so the rounding errors `e_i` of the mask shift the phase by `sum e_i s_i`, whose mean,
//!   `sum e_i / 2`, is public; taking it out leaves variance n/48 instead of n/24 (tfhe's "centred mean" modulus switch).
//! - **Extension.** With `2^v` accumulators, read as one polynomial in `Y` with `Y^(2^v) = X`, the index has modulus `2^v 2N` under
//!   the same key (Lee and Yoon, ePrint 2023/402). It would cost `2^v` times as much, but gates commute, and of the result only component
//!   0 is read. A power of `Y` whose exponent is divisible by `2^k` leaves components apart that differ modulo `2^k`. So odd
//!   exponents come first, on all components, and the more even ones later, on the fewer that still count: 1.5 times the cost for two
//!   accumulators, 2.75 times for four.

use aligned_vec::{ABox, avec};
use tfhe_fft::c64;

use crate::ring::fourier::{Fourier, Scratch, rotate_and_subtract};
use crate::ring::gadget::Gadget;
use crate::ring::glwe::Glwe;

/// GGSW encryptions of the bits of a small key, in the Fourier domain, each of shape `[levels, 2, 2, N/2]`.
pub(crate) struct RotationKey {
    gadget: Gadget,
    bits: Vec<ABox<[c64]>>,
}

/// What a blind rotation looks up: a function of the index `0..2^v N`, continued negacyclically (`f(x + 2^v N) = -f(x)`).
pub(crate) struct Table {
    /// Coefficient `i` of component `j` is the value at `i 2^v + j`.
    components: Vec<Glwe>,
    /// Indices are rounded to multiples of `2^stride_log2`.
    stride_log2: u32,
}

/// An LWE ciphertext modulo `2^v 2N`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exponents {
    mask: Vec<u32>,
    body: u32,
}

impl Table {
    /// A table for ring degree `size` and extension `2^extension_log2` with value `value(index)`. The index is rounded down to a
    /// multiple of `2^stride_log2`, so the values between may serve other functions, read by extracting further coefficients.
    pub(crate) fn new(size: usize, extension_log2: u32, stride_log2: u32, value: impl Fn(usize) -> u64) -> Self {
        let extension = 1 << extension_log2;
        let component = |j| {
            let body: Vec<u64> = (0..size).map(|i| value(i * extension + j)).collect();
            Glwe::trivial(&body)
        };
        Self { components: (0..extension).map(component).collect(), stride_log2 }
    }

    /// How many accumulators a rotation of this table takes.
    pub(crate) fn extension(&self) -> usize {
        self.components.len()
    }

    /// The modulus of the index, as a power of two.
    pub(crate) fn modulus_log2(&self) -> u32 {
        (2 * self.components[0].size() * self.extension()).ilog2()
    }

    /// Switches a ciphertext to this table's modulus. The message `m` becomes the index `floor(m)`, plus noise.
    pub(crate) fn exponents(&self, lwe: &[u32]) -> Exponents {
        let step_log2 = 32 - self.modulus_log2() + self.stride_log2;
        let round = |x: u32| x.wrapping_add(1 << (step_log2 - 1)) & (u32::MAX << step_log2);
        let (mask, body) = lwe.split_at(lwe.len() - 1);
        let error: i64 = mask.iter().map(|&a| i64::from(round(a).wrapping_sub(a) as i32)).sum();
        // The phase moved by -sum e_i s_i; its mean goes back into the body. Half a step less rounds the message down.
        let body = body[0].wrapping_add((error / 2) as u32).wrapping_sub(1 << (step_log2 - 1));
        let shift = 32 - self.modulus_log2();
        Exponents { mask: mask.iter().map(|&a| round(a) >> shift).collect(), body: round(body) >> shift }
    }
}

impl RotationKey {
    /// From GGSW ciphertexts of the key's bits: for every level, encryptions of `-s m q/B^level` and `m q/B^level`.
    pub(crate) fn new(gadget: Gadget, bits: Vec<ABox<[c64]>>) -> Self {
        Self { gadget, bits }
    }

    /// Steps of a rotation, one for every bit of the key.
    pub(crate) fn steps(&self) -> usize {
        self.bits.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bits.iter().map(|bit| size_of_val(&**bit)).sum()
    }

    /// The table, rotated so that coefficient 0 is its value at the encrypted index; for every ciphertext of a batch.
    pub(crate) fn rotate(
        &self,
        table: &Table,
        batch: &[Exponents],
        fourier: &Fourier,
        scratch: &mut Scratch,
    ) -> Vec<Glwe> {
        self.rotate_each(&vec![table; batch.len()], batch, fourier, scratch)
    }

    /// [`RotationKey::rotate`] with a table for every ciphertext, all of one extension.
    pub(crate) fn rotate_each(
        &self,
        tables: &[&Table],
        batch: &[Exponents],
        fourier: &Fourier,
        scratch: &mut Scratch,
    ) -> Vec<Glwe> {
        let (size, extension) = (fourier.size(), tables.first().map_or(1, |table| table.extension()));
        debug_assert!(tables.iter().all(|table| table.extension() == extension));
        let order = 2 * size * extension;
        let mut accumulators: Vec<Vec<Glwe>> =
            tables.iter().zip(batch).map(|(table, e)| start(table, order - e.body as usize)).collect();
        let mut differences = vec![avec![0u64; 2 * size].into_boxed_slice(); extension];
        let offsets = self.gadget.offsets();
        // In pass `k` those exponents that are divisible by 2^k and not by 2^(k + 1), in the last one all that are left.
        let passes = extension.ilog2();
        for pass in 0..=passes {
            let stride = 1 << pass;
            for (i, ggsw) in self.bits.iter().enumerate() {
                for (accumulator, exponents) in accumulators.iter_mut().zip(batch) {
                    let power = exponents.mask[i] as usize;
                    if power == 0 || power.trailing_zeros().min(passes) != pass {
                        continue;
                    }
                    let components = || (0..extension).step_by(stride);
                    for j in components() {
                        let (source, power) = shift(j, power, extension);
                        subtract_rotated(&accumulator[source], &accumulator[j], power, offsets, &mut differences[j]);
                    }
                    for j in components() {
                        fourier.add_product(self.gadget, &differences[j], ggsw, accumulator[j].as_mut_slice(), scratch);
                    }
                }
            }
        }
        accumulators.into_iter().map(|mut components| components.swap_remove(0)).collect()
    }
}

/// Component `j` of `Y^power` times a polynomial is `X^p` times component `i` of the polynomial: returns `(i, p)`.
fn shift(j: usize, power: usize, extension: usize) -> (usize, usize) {
    let (whole, part) = (power / extension, power % extension);
    if j >= part { (j - part, whole) } else { (j + extension - part, whole + 1) }
}

/// The table times `Y^power`.
fn start(table: &Table, power: usize) -> Vec<Glwe> {
    let (extension, zero) = (table.extension(), Glwe::zero(table.components[0].size()));
    let power = power % (2 * zero.size() * extension);
    (0..extension)
        .map(|j| {
            let (source, power) = shift(j, power, extension);
            let mut out = zero.clone();
            subtract_rotated(&table.components[source], &zero, power % (2 * zero.size()), [0; 2], out.as_mut_slice());
            out
        })
        .collect()
}

/// `out = X^power p - q + offsets`.
fn subtract_rotated(p: &Glwe, q: &Glwe, power: usize, offsets: [u64; 2], out: &mut [u64]) {
    let size = p.size();
    let power = power % (2 * size);
    for ((p, q), out) in
        p.as_slice().chunks_exact(size).zip(q.as_slice().chunks_exact(size)).zip(out.chunks_exact_mut(size))
    {
        rotate_and_subtract(p, q, power, offsets, out);
    }
}

impl Exponents {
    /// Given powers: those of the mask, then that of the body.
    pub(crate) fn new(powers: impl IntoIterator<Item = u32>) -> Self {
        let mut mask: Vec<u32> = powers.into_iter().collect();
        let body = mask.pop().unwrap_or(0);
        Self { mask, body }
    }
}

#[cfg(test)]
impl Exponents {
    /// The powers: those of the mask, then that of the body.
    pub(crate) fn powers(&self) -> Vec<u32> {
        self.mask.iter().copied().chain([self.body]).collect()
    }

    /// The index, for the holder of the key, modulo `2^v 2N` or more.
    pub(crate) fn phase(&self, bits: &[u64]) -> u64 {
        let masked = self.mask.iter().zip(bits).fold(0u64, |sum, (a, s)| sum + u64::from(*a) * s);
        u64::from(self.body).wrapping_sub(masked)
    }
}
