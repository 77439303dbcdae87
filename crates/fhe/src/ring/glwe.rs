//! [`Glwe`] and [`Lwe`]: the ciphertexts that the encrypted decisions work on, and how one becomes the other.

use aligned_vec::{ABox, avec};
use tfhe::core_crypto::prelude::{CiphertextModulus, LweCiphertextOwned};

use crate::ring::fourier::turn_and_subtract;

/// An LWE ciphertext under the coefficients of the GLWE key: N mask elements, then the body.
pub(crate) type Lwe = LweCiphertextOwned<u64>;

/// A GLWE ciphertext of dimension 1, mask then body, aligned for vector loads. Its phase is `body - mask * s`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Glwe(ABox<[u64]>);

impl Glwe {
    /// The trivial encryption of zero for ring degree `size`.
    pub(crate) fn zero(size: usize) -> Self {
        Self(avec![0; 2 * size].into_boxed_slice())
    }

    /// The trivial encryption of `body`.
    pub(crate) fn trivial(body: &[u64]) -> Self {
        let mut out = Self::zero(body.len());
        out.body_mut().copy_from_slice(body);
        out
    }

    /// The same ciphertext as tfhe sees it.
    #[cfg(test)]
    pub(crate) fn as_tfhe(&self) -> tfhe::core_crypto::prelude::GlweCiphertextView<'_, u64> {
        use tfhe::core_crypto::prelude::{GlweCiphertextView, PolynomialSize};
        GlweCiphertextView::from_container(&self.0, PolynomialSize(self.size()), CiphertextModulus::new_native())
    }

    /// Ring degree.
    pub(crate) fn size(&self) -> usize {
        self.0.len() / 2
    }

    /// Mask, then body.
    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// Mask, then body.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u64] {
        &mut self.0
    }

    /// The mask polynomial.
    pub(crate) fn mask(&self) -> &[u64] {
        &self.0[..self.size()]
    }

    /// The body polynomial.
    pub(crate) fn body(&self) -> &[u64] {
        &self.0[self.size()..]
    }

    /// The body polynomial.
    pub(crate) fn body_mut(&mut self) -> &mut [u64] {
        let size = self.size();
        &mut self.0[size..]
    }

    /// Adds `other` to this ciphertext.
    pub(crate) fn add_assign(&mut self, other: &Self) {
        for (x, y) in self.0.iter_mut().zip(other.0.iter()) {
            *x = x.wrapping_add(*y);
        }
    }

    /// Subtracts `other` from this ciphertext.
    pub(crate) fn sub_assign(&mut self, other: &Self) {
        for (x, y) in self.0.iter_mut().zip(other.0.iter()) {
            *x = x.wrapping_sub(*y);
        }
    }

    /// This ciphertext times `X^-power`, `power < 2N`: where `power < N`, coefficient `power` becomes coefficient 0.
    pub(crate) fn divide_by_monomial(&self, power: usize) -> Self {
        let size = self.size();
        let mut out = Self::zero(size);
        for (out, p) in out.0.chunks_exact_mut(size).zip(self.0.chunks_exact(size)) {
            let (wrap, stay) = p.split_at(power % size);
            let (low, high) = out.split_at_mut(stay.len());
            low.copy_from_slice(stay);
            high.copy_from_slice(wrap);
            // Coefficients that pass the end of the polynomial come back negated; where all pass it once, only those that pass it twice
            // do not.
            let negated = if power < size { high } else { low };
            negated.iter_mut().for_each(|x| *x = x.wrapping_neg());
        }
        out
    }

    /// `out = X^power self - other`, for any power.
    pub(crate) fn turned_less(&self, other: &Self, power: usize, out: &mut Self) {
        let size = self.size();
        let polynomials = self.0.chunks_exact(size).zip(other.0.chunks_exact(size));
        for ((p, q), out) in polynomials.zip(out.0.chunks_exact_mut(size)) {
            turn_and_subtract(p, q, power % (2 * size), out);
        }
    }

    /// The LWE ciphertext of coefficient `index`.
    pub(crate) fn extract(&self, index: usize) -> Lwe {
        let size = self.size();
        let mut out = vec![0; size + 1];
        // (a s)_index = sum_{j <= index} a_{index-j} s_j - sum_{j > index} a_{N+index-j} s_j
        let mask = self.mask();
        for (j, out) in out[..size].iter_mut().enumerate() {
            *out = if j <= index { mask[index - j] } else { mask[size + index - j].wrapping_neg() };
        }
        out[size] = self.body()[index];
        Lwe::from_container(out, CiphertextModulus::new_native())
    }

    /// A GLWE ciphertext whose coefficient 0 is the message of `lwe`; the other coefficients are noise of full size.
    pub(crate) fn embed(lwe: &Lwe) -> Self {
        let (lwe, size) = (lwe.as_ref(), lwe.lwe_size().0 - 1);
        let mut out = Self::zero(size);
        out.0[0] = lwe[0];
        for (x, out) in lwe[1..size].iter().zip(out.0[1..size].iter_mut().rev()) {
            *out = x.wrapping_neg();
        }
        out.0[size] = lwe[size];
        out
    }
}

/// The trivial LWE encryption of `message` under a key of `dimension` coefficients.
pub(crate) fn trivial_lwe(message: u64, dimension: usize) -> Lwe {
    let mut out = vec![0; dimension + 1];
    out[dimension] = message;
    Lwe::from_container(out, CiphertextModulus::new_native())
}

/// `x - y`.
pub(crate) fn difference(x: &Lwe, y: &Lwe) -> Lwe {
    let data = x.as_ref().iter().zip(y.as_ref()).map(|(x, y)| x.wrapping_sub(*y)).collect();
    Lwe::from_container(data, CiphertextModulus::new_native())
}

/// Adds `y` to `x`.
pub(crate) fn add_assign(x: &mut Lwe, y: &Lwe) {
    for (x, y) in x.as_mut().iter_mut().zip(y.as_ref()) {
        *x = x.wrapping_add(*y);
    }
}

/// Adds a public constant to the message of `x`.
pub(crate) fn add_constant(x: &mut Lwe, constant: u64) {
    if let Some(body) = x.as_mut().last_mut() {
        *body = body.wrapping_add(constant);
    }
}
