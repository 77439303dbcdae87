//! [`Ggsw`], [`GadgetKey`] and the products built on digits: external product, CMUX, keyswitch of GLWE ciphertexts.
//!
//! A GGSW ciphertext of `m` is, for every level, GLWE encryptions of `-s m q/B^level` and `m q/B^level`; the product of
//! its rows with the digits of a GLWE ciphertext of `p` encrypts `m p` (Chillotti, Gama, Georgieva and Izabachène, TFHE).

use aligned_vec::{ABox, avec};
use tfhe_fft::c64;

use crate::ring::fourier::{Fourier, Scratch};
use crate::ring::gadget::Gadget;
use crate::ring::glwe::Glwe;

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
        fourier.add_product(self.gadget, input.as_slice(), &self.rows, out.as_mut_slice(), scratch);
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

impl Ggsw {
    /// Bytes of one on the way between the machines of one server.
    pub(crate) fn bytes(gadget: Gadget, ring: usize) -> usize {
        gadget.levels as usize * 2 * 2 * ring * size_of::<u64>()
    }

    /// Appends it to a message between the machines of one server. Coefficients travel: how points are ordered in the Fourier domain is each
    /// transform's own affair.
    pub(crate) fn write(&self, out: &mut Vec<u8>, fourier: &Fourier, scratch: &mut Scratch) {
        let mut coefficients = vec![0; fourier.size()];
        for points in self.rows.chunks_exact(fourier.half()) {
            coefficients.fill(0);
            fourier.add_inverse(&mut points.to_vec(), &mut coefficients, scratch);
            out.extend(coefficients.iter().flat_map(|value| value.to_le_bytes()));
        }
    }

    /// What [`Ggsw::write`] wrote, within the rounding of both transforms.
    pub(crate) fn read(gadget: Gadget, bytes: &[u8], fourier: &Fourier, scratch: &mut Scratch) -> Self {
        let (values, _) = bytes.as_chunks();
        let values: Vec<u64> = values.iter().map(|&value| u64::from_le_bytes(value)).collect();
        Self::from_rows(gadget, values.chunks_exact(2 * fourier.size()), fourier, scratch)
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
        fourier.add_product(self.gadget, input, &self.rows, out.as_mut_slice(), scratch);
    }
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
