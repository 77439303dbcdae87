//! Blind rotation, batched: look a table up at an encrypted index.
//!
//! An LWE ciphertext is switched to modulus `2N`, and its phase becomes the power of X by which a table is rotated, one CMUX per
//! bit of a small key (Chillotti et al., TFHE). Four things differ from the textbook:
//!
//! - **Batches.** A batch of accumulators visits each step of the key together, so the key (90 MB and more) is read from
//!   memory once per batch and not once per rotation.
//! - **Centred rounding.** The key is binary, so the rounding errors `e_i` of the mask shift the phase by `sum e_i s_i`, whose mean,
//!   `sum e_i / 2`, is public; taking it out leaves variance n/48 instead of n/24 (tfhe's "centred mean" modulus switch).
//! - **Steps of several bits.** The key has a GGSW ciphertext for every pattern that the bits of a step can have, zeros apart, and
//!   one of them at most encrypts 1. A step adds `sum (X^power - 1) GGSW` times the accumulator, so two bits take the transforms of one
//!   (Zhou et al., ePrint 2017/735, and Bourse et al., ePrint 2017/1114). Powers of X multiply what is transformed already.
//! - **Extension.** With `2^v` accumulators, read as one polynomial in `Y` with `Y^(2^v) = X`, the index has modulus `2^v 2N` under
//!   the same key (Lee and Yoon, ePrint 2023/402). It would cost `2^v` times as much, but steps commute, and of the result only component
//!   0 is read. A power of `Y` whose exponent is divisible by `2^k` leaves components apart that differ modulo `2^k`. So steps with an odd
//!   exponent come first, on all components, and the more even ones later, on the fewer that still count. Of steps of two bits three in
//!   four have an odd exponent: 1.75 times the products for two accumulators, 3.44 times for four.

use aligned_vec::{ABox, avec};
use rayon::prelude::*;
use tfhe_fft::c64;

use crate::keys::gadgets::RotationGadget;
use crate::ring::fourier::{Fourier, Scratch};
use crate::ring::glwe::Glwe;
use crate::ring::product::{Turn, split};

/// For every step the GGSW encryptions of its patterns, in the Fourier domain, of shape `[patterns, levels, 2, 2, N/2]`; split where a
/// step has several bits.
pub(crate) struct RotationKey {
    gadget: RotationGadget,
    steps: Vec<ABox<[c64]>>,
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
    /// From GGSW ciphertexts of the patterns of every step: for every level, encryptions of `-s m q/B^level` and `m q/B^level`.
    pub(crate) fn new(gadget: RotationGadget, mut steps: Vec<ABox<[c64]>>) -> Self {
        if gadget.bits > 1 {
            steps.par_iter_mut().for_each(|step| split(step));
        }
        Self { gadget, steps }
    }

    /// Bits of the small key.
    pub(crate) fn bits(&self) -> usize {
        self.steps.len() * self.gadget.bits
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.steps.iter().map(|step| size_of_val(&**step)).sum()
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
        let extension = tables.first().map_or(1, |table| table.extension());
        debug_assert!(tables.iter().all(|table| table.extension() == extension));
        let mut accumulators: Vec<Vec<Glwe>> =
            tables.iter().zip(batch).map(|(table, e)| start(table, e.body)).collect();
        let mut step = Step::new(self.gadget, extension, fourier, scratch);
        // In pass `k` those steps whose exponents are all divisible by 2^k and not by 2^(k + 1), in the last one all that are left.
        let passes = extension.ilog2();
        for pass in 0..=passes {
            for (i, key) in self.steps.iter().enumerate() {
                for (accumulator, exponents) in accumulators.iter_mut().zip(batch) {
                    let powers = &exponents.mask[i * self.gadget.bits..(i + 1) * self.gadget.bits];
                    let together = powers.iter().fold(0, |all, power| all | power);
                    if together == 0 || together.trailing_zeros().min(passes) != pass {
                        continue;
                    }
                    step.take(accumulator, powers, 1 << pass, key);
                }
            }
        }
        accumulators.into_iter().map(|mut components| components.swap_remove(0)).collect()
    }
}

/// What steps work with: the transform, and memory.
struct Step<'a> {
    gadget: RotationGadget,
    fourier: &'a Fourier,
    scratch: &'a mut Scratch,
    /// For every component: where a step has one bit, the difference that it makes.
    differences: Vec<Glwe>,
    /// And where it has several, the digits of what there is, shape `[levels, 2, N/2]`.
    digits: Vec<ABox<[c64]>>,
}

impl<'a> Step<'a> {
    fn new(gadget: RotationGadget, extension: usize, fourier: &'a Fourier, scratch: &'a mut Scratch) -> Self {
        let size = fourier.size();
        let digits = || avec![c64::default(); gadget.digits.levels as usize * size].into_boxed_slice();
        let (differences, digits) = match gadget.bits {
            1 => (vec![Glwe::zero(size); extension], Vec::new()),
            _ => (Vec::new(), vec![digits(); extension]),
        };
        Self { gadget, fourier, scratch, differences, digits }
    }

    /// One step of an accumulator, on every component at a multiple of `stride`.
    fn take(&mut self, accumulator: &mut [Glwe], powers: &[u32], stride: usize, key: &[c64]) {
        let extension = accumulator.len();
        let components = || (0..extension).step_by(stride);
        match powers {
            // The digits of a difference: their squared norm is half that of a difference of digits.
            [power] => {
                for j in components() {
                    let (source, power) = shift(j, *power as usize, extension);
                    accumulator[source].turned_less(&accumulator[j], power, &mut self.differences[j]);
                }
                for j in components() {
                    let (difference, out) = (self.differences[j].as_slice(), accumulator[j].as_mut_slice());
                    self.fourier.add_product(self.gadget.digits, difference, key, out, self.scratch);
                }
            }
            // The digits of what there is are transformed once, and turned for every pattern.
            _ => {
                for j in components() {
                    let (input, digits) = (accumulator[j].as_slice(), &mut self.digits[j]);
                    self.fourier.digits(self.gadget.digits, input, digits, self.scratch);
                }
                for j in components() {
                    let turn = |pattern: usize| {
                        let set = |(bit, power): (usize, &u32)| *power as usize * (pattern >> bit & 1);
                        let (source, power) = shift(j, powers.iter().enumerate().map(set).sum(), extension);
                        Turn { power, digits: &self.digits[source] }
                    };
                    let turns: Vec<Turn> = (1..=self.gadget.patterns()).map(turn).collect();
                    self.fourier.add_turned(&turns, &self.digits[j], key, accumulator[j].as_mut_slice(), self.scratch);
                }
            }
        }
    }
}

/// Component `j` of `Y^power` times a polynomial is `X^p` times component `i` of the polynomial: returns `(i, p)`.
fn shift(j: usize, power: usize, extension: usize) -> (usize, usize) {
    let (whole, part) = (power / extension, power % extension);
    if j >= part { (j - part, whole) } else { (j + extension - part, whole + 1) }
}

/// The table times `Y^-power`.
fn start(table: &Table, power: u32) -> Vec<Glwe> {
    let extension = table.extension();
    let component = |j: usize| {
        let from = j + power as usize;
        let source = &table.components[from % extension];
        source.divide_by_monomial(from / extension % (2 * source.size()))
    };
    (0..extension).map(component).collect()
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
