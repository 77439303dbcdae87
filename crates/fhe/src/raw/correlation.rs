//! [`Correlator`]: the autocorrelation of what a ciphertext holds, by one product of ciphertexts.
//!
//! For `x` of degree below `N - taps`, coefficient `k < taps` of `x(X) x(X^-1)` modulo `X^N + 1` is `sum_i x[i] x[i + k]`: what has gone round the ring and changed its
//! sign lies beyond. The automorphism `X -> X^-1` of a ciphertext costs nothing but a key for `s(X^-1)`. So with phases `b - a s` and `b' - a' s'`, where a dash
//! stands for the automorphism,
//!
//! ```text
//! (b - a s)(b' - a' s') = b b' - a b' s - a' b s' + a a' s s'.
//! ```
//!
//! As in the scheme of Brakerski, Fan and Vercauteren (ePrint 2012/144), these products are of integers, not of torus elements; they are multiplied by `t/q` and
//! rounded. Samples that are first made `2^scale` times as large have `t / 2^scale` in place of `t`. The products have up to 140 bits, so they are computed
//! exactly, by a number-theoretic transform modulo ten primes. Since `a' b` is the automorphism of `a b'`, three products do. Two keys bring the last two terms
//! back under `s`.

use tfhe_ntt::native128::Plan32;

use super::key::{RawServerKey, inverse};
use crate::ring::glwe::Glwe;

/// Multiplies ciphertexts of one ring.
pub(crate) struct Correlator {
    plan: Plan32,
    /// Base-2 logarithm of `t`.
    product_log2: u32,
}

impl Correlator {
    /// For ring degree `ring`, and messages in units of `q / 2^product_log2`. There is none for a degree that is no power of two, or too large.
    pub(crate) fn new(ring: usize, product_log2: u32) -> Option<Self> {
        Some(Self { plan: Plan32::try_new(ring)?, product_log2 })
    }

    /// The ciphertext whose coefficient `k` is `2^scale` times the autocorrelation of the input at lag `k`, in the same units.
    pub(crate) fn autocorrelation(&self, x: &Glwe, scale: u32, key: &RawServerKey) -> Glwe {
        let mut x = x.clone();
        x.as_mut_slice().iter_mut().for_each(|x| *x = x.wrapping_shl(scale));
        let (mask, body) = (x.mask(), x.body());
        let shift = 64 - self.product_log2 + scale;
        let (mask_inverse, body_inverse) = (inverse(mask), inverse(body));
        let mut out = Glwe::zero(x.size());
        let size = out.size();
        let cross = self.product(mask, &body_inverse, shift);
        out.as_mut_slice()[..size].copy_from_slice(&cross);
        out.body_mut().copy_from_slice(&self.product(body, &body_inverse, shift));
        let mut scratch = key.fourier.scratch();
        let other: Vec<u64> = inverse(&cross).iter().map(|x| x.wrapping_neg()).collect();
        key.inverse.add_product(&other, &mut out, &key.fourier, &mut scratch);
        let square = self.product(mask, &mask_inverse, shift);
        key.square.add_product(&square, &mut out, &key.fourier, &mut scratch);
        out
    }

    /// `round(x y / 2^shift)` modulo `X^N + 1` and `q`, exactly, for integers in `[-q/2, q/2)`.
    fn product(&self, x: &[u64], y: &[u64], shift: u32) -> Vec<u64> {
        let wide = |x: &[u64]| -> Vec<u128> { x.iter().map(|&x| i128::from(x as i64) as u128).collect() };
        let mut product = vec![0; x.len()];
        self.plan.negacyclic_polymul(&mut product, &wide(x), &wide(y));
        product.into_iter().map(|p| (p.wrapping_add(1 << (shift - 1)) >> shift) as u64).collect()
    }
}
