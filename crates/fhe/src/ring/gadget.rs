//! [`Gadget`] decompositions and the products built on them: external product, CMUX, keyswitch of GLWE ciphertexts.
//!
//! A GGSW ciphertext of `m` is, for every level, GLWE encryptions of `-s m q/B^level` and `m q/B^level`; the product of
//! its rows with the digits of a GLWE ciphertext of `p` encrypts `m p` (Chillotti, Gama, Georgieva and Izabachène, TFHE).

use aligned_vec::{ABox, avec};
use serde::{Deserialize, Serialize};
use tfhe_fft::c64;

use crate::ring::fourier::{Fourier, Scratch};
use crate::ring::glwe::Glwe;

/// Decomposition of torus elements into `levels` signed digits of `base_log` bits, most significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Gadget {
    /// Bits of a digit; the base is `B = 2^base_log`.
    pub(crate) base_log: u32,
    /// Number of digits.
    pub(crate) levels: u32,
}

impl Gadget {
    /// A gadget of `levels` digits of `base_log` bits, below 64 bits in all.
    pub(crate) const fn new(base_log: u32, levels: u32) -> Self {
        assert!(base_log > 0 && levels > 0 && base_log * levels < 64, "a gadget has between 1 and 63 bits");
        Self { base_log, levels }
    }

    /// `q / B^level`: the weight of a digit of `level`, counted from 1.
    pub(crate) const fn weight(self, level: u32) -> u64 {
        1 << (64 - self.base_log * level)
    }

    /// What turns plain bit fields into balanced digits: half of every digit's weight times B, and half of the last weight to
    /// round. With it added, digit `level` of `x` is the bit field at [`Gadget::weight`] minus `B/2`, no carry needed.
    pub(crate) fn offset(self) -> u64 {
        let half_base = 1 << (self.base_log - 1);
        self.ones().wrapping_mul(half_base).wrapping_add(self.weight(self.levels) / 2)
    }

    /// The offsets of even and odd coefficients of a polynomial. Digits in `[-B/2, B/2)` are on average -1/2, which the key of a
    /// selector, whose rows share one noise, would add up over half the ring; so odd coefficients take theirs from `(-B/2, B/2]`.
    pub(crate) fn offsets(self) -> [u64; 2] {
        [self.offset(), self.offset().wrapping_sub(self.ones())]
    }

    /// The sum of all weights: one in every digit.
    fn ones(self) -> u64 {
        (1..=self.levels).fold(0, |sum, level| sum.wrapping_add(self.weight(level)))
    }
}

/// A GGSW ciphertext in the Fourier domain, shape `[levels, 2 rows, 2 polynomials, N/2]`: a bit that drives a CMUX.
#[derive(Clone)]
pub(crate) struct Ggsw {
    gadget: Gadget,
    rows: ABox<[c64]>,
}

impl Ggsw {
    /// Transforms GGSW rows: for every level, most significant first, encryptions of `-s m q/B^level` and `m q/B^level`.
    pub(crate) fn from_rows<'a>(
        gadget: Gadget,
        rows: impl ExactSizeIterator<Item = &'a [u64]>,
        fourier: &Fourier,
        scratch: &mut Scratch,
    ) -> Self {
        Self { gadget, rows: transform(rows, fourier, scratch) }
    }

    /// `out += self * input`.
    pub(crate) fn add_product(&self, input: &Glwe, out: &mut Glwe, fourier: &Fourier, scratch: &mut Scratch) {
        fourier.add_product(
            self.gadget,
            &shifted(input.as_slice(), self.gadget),
            &self.rows,
            out.as_mut_slice(),
            scratch,
        );
    }

    /// `zero` where the bit is 0, `one` where it is 1.
    pub(crate) fn cmux(&self, zero: &Glwe, one: &Glwe, fourier: &Fourier, scratch: &mut Scratch) -> Glwe {
        let mut difference = one.clone();
        difference.sub_assign(zero);
        let mut out = zero.clone();
        self.add_product(&difference, &mut out, fourier, scratch);
        out
    }
}

/// GLWE encryptions of one polynomial at every level, in the Fourier domain, shape `[levels, 2 polynomials, N/2]`: multiplies a
/// public polynomial by a secret one.
pub(crate) struct GadgetKey {
    gadget: Gadget,
    rows: ABox<[c64]>,
}

impl GadgetKey {
    /// From encryptions of `p q/B^level`, most significant level first, in the Fourier domain.
    pub(crate) fn new(gadget: Gadget, rows: ABox<[c64]>) -> Self {
        Self { gadget, rows }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }

    /// `out += input * p` for the key's `p` and an `input` of N coefficients.
    pub(crate) fn add_product(&self, input: &[u64], out: &mut Glwe, fourier: &Fourier, scratch: &mut Scratch) {
        fourier.add_product(self.gadget, &shifted(input, self.gadget), &self.rows, out.as_mut_slice(), scratch);
    }
}

/// The input of a product, with the gadget's offsets added.
fn shifted(input: &[u64], gadget: Gadget) -> ABox<[u64]> {
    let offsets = gadget.offsets();
    let mut out = avec![0u64; input.len()].into_boxed_slice();
    for (out, x) in out.chunks_exact_mut(2).zip(input.chunks_exact(2)) {
        out[0] = x[0].wrapping_add(offsets[0]);
        out[1] = x[1].wrapping_add(offsets[1]);
    }
    out
}

/// The GLWE ciphertexts `rows`, one after the other, in the Fourier domain.
pub(crate) fn transform<'a>(
    rows: impl ExactSizeIterator<Item = &'a [u64]>,
    fourier: &Fourier,
    scratch: &mut Scratch,
) -> ABox<[c64]> {
    let (size, half) = (fourier.size(), fourier.half());
    let mut out = avec![c64::default(); rows.len() * 2 * half].into_boxed_slice();
    for (row, out) in rows.zip(out.chunks_exact_mut(2 * half)) {
        for (polynomial, out) in row.chunks_exact(size).zip(out.chunks_exact_mut(half)) {
            fourier.forward_torus(polynomial, out, scratch);
        }
    }
    out
}
