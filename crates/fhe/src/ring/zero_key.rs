//! [`ZeroKey`]: an encryption of zero under the client's key, with which a server gives its replies new masks.

use tfhe_fft::c64;

use crate::params::ParameterSet;
use crate::ring::fourier::{Fourier, Scratch};
use crate::ring::glwe::Glwe;
use crate::ring::random::Random;

/// The client's zero key `(a, a s + e)` in the Fourier domain.
pub(crate) struct ZeroKey {
    transformed: Vec<c64>,
}

impl ZeroKey {
    /// Transforms a zero key.
    pub(crate) fn new(key: &Glwe, fourier: &Fourier) -> Self {
        let mut transformed = vec![c64::default(); fourier.size()];
        let (mask, body) = transformed.split_at_mut(fourier.half());
        let mut scratch = fourier.scratch();
        fourier.forward_torus(key.mask(), mask, &mut scratch);
        fourier.forward_torus(key.body(), body, &mut scratch);
        Self { transformed }
    }

    /// Adds `u (a, a s + e) + (e_1, 0)` with a fresh ternary `u` and fresh noise to a ciphertext: a new mask, the same
    /// message. A `u` of mean zero keeps the rounding of the product away from the frequencies at which the key is strong.
    pub(crate) fn rerandomise(
        &self,
        out: &mut Glwe,
        parameters: &ParameterSet,
        random: &mut Random,
        fourier: &Fourier,
        scratch: &mut Scratch,
    ) {
        let (ring, half) = (fourier.size(), fourier.half());
        // On a torus read as fractions, a coefficient 2^UNIT_LOG2 is the integer 1 scaled by 2^(UNIT_LOG2 - 64).
        const UNIT_LOG2: i32 = 56;
        let mut blind = vec![0u64; ring];
        random.ternary(&mut blind);
        blind.iter_mut().for_each(|u| *u <<= UNIT_LOG2);
        let mut transformed = vec![c64::default(); half];
        fourier.forward_torus(&blind, &mut transformed, scratch);
        let scale = 2f64.powi(64 - UNIT_LOG2);
        let mut product = vec![c64::default(); half];
        for (key, out) in self.transformed.chunks_exact(half).zip(out.as_mut_slice().chunks_exact_mut(ring)) {
            for ((product, u), key) in product.iter_mut().zip(&transformed).zip(key) {
                *product = u * key * scale;
            }
            fourier.add_inverse(&mut product, out, scratch);
        }
        random.add_noise(parameters.glwe_noise_log2, &mut out.as_mut_slice()[..ring]);
    }
}
