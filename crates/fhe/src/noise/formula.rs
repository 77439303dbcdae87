//! The variance of every operation by formula, and from it the probability that a query is answered wrongly.
//!
//! Variances are in units of the torus `Z / 2^64` squared. `docs/crypto.md` derives each formula; the tests of this crate
//! measure each on several keys.

use std::f64::consts::LOG2_E;

use serde::{Deserialize, Serialize};
use sordino_model::layout::{Envelope, IndexLayout, StageLayout};

use crate::params::ParameterSet;
use crate::wire::encoding::Encoding;

/// The torus, 2^64.
const TORUS: f64 = 18_446_744_073_709_551_616.0;

/// The relative error of one double-precision operation, 2^-53.
const EPSILON: f64 = 1.0 / 9_007_199_254_740_992.0;

/// Squared relative error of a product through the Fourier domain, in units of [`EPSILON`] squared: three transforms of
/// `log2 N` layers, conversions and the product itself. An upper estimate; the tests measure it.
const FOURIER_SQUARED: f64 = 32.0;

/// Variance of the conversion from the Fourier domain, which keeps 51 bits.
const CONVERSION: f64 = 8192.0 * 8192.0 / 12.0;

/// Base-2 logarithm of the probability that a key, or the blinding of a reply, is heavier than the formulas assume.
pub(crate) const TAIL_LOG2: f64 = -80.0;

/// Noise of one kind of operation under one parameter set.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    ring: f64,
    fresh: f64,
    weight: f64,
}

/// Where the noise of one returned score comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseBudget {
    /// The linear stage: fresh noise and truncated bodies through the weights, and rounding in the Fourier domain.
    pub linear: f64,
    /// All gates on the way of one score.
    pub select: f64,
    /// The encryption of zero that re-randomises the reply.
    pub zero: f64,
    /// Rounding to the reply's modulus.
    pub reply: f64,
    /// Largest absolute value of the flooding noise.
    pub flood: f64,
    /// Half of a score unit: noise beyond it changes a score.
    pub margin: f64,
}

impl Noise {
    /// The formulas for `parameters`.
    pub fn new(parameters: &ParameterSet) -> Self {
        let ring = parameters.ring() as f64;
        let fresh = (2f64.powi(2 * parameters.glwe_noise_log2 as i32 + 1) + 1.0) / 6.0;
        // Hoeffding: a binary key of N coefficients has more than N/2 + t ones with probability at most exp(-2 t^2 / N).
        let excess = (ring * -TAIL_LOG2 / LOG2_E / 2.0).sqrt();
        Self { ring, fresh, weight: (ring / 2.0 + excess).min(ring) }
    }

    /// Most set bits of the ring's key, but with probability 2^-80.
    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// A fresh ciphertext, whose noise is TUniform.
    pub fn fresh(&self) -> f64 {
        self.fresh
    }

    /// Keeping the leading `bits` bits of a coefficient.
    pub fn truncation(&self, bits: u32) -> f64 {
        if bits >= 64 { 0.0 } else { 4f64.powi(64 - bits as i32) / 12.0 }
    }

    /// A seeded ciphertext whose body was truncated on the wire.
    pub fn sent(&self, body_bits: u32) -> f64 {
        self.fresh + self.truncation(body_bits)
    }

    /// Rounding in the Fourier domain of one coefficient of a sum of products, whose one factors are uniform on the torus and
    /// whose other factors have squared norm `norm_squared` in all.
    pub(crate) fn fourier_coefficient(&self, norm_squared: f64) -> f64 {
        FOURIER_SQUARED * EPSILON * EPSILON * TORUS * TORUS / 12.0 * norm_squared + CONVERSION
    }

    /// The same for a ciphertext: an error on the body, and one on the mask that the key multiplies.
    pub(crate) fn fourier(&self, norm_squared: f64) -> f64 {
        (1.0 + self.weight) * self.fourier_coefficient(norm_squared)
    }

    /// [`Noise::fourier`] for factors whose coefficients may all have one sign. Rounding errors then gather at the lowest
    /// frequencies, where a binary key, whose mean is 1/2, has half of its energy as well: up to `N/6` times the variance.
    fn fourier_aligned(&self, norm_squared: f64) -> f64 {
        (1.0 + self.weight * self.ring / 6.0) * self.fourier_coefficient(norm_squared)
    }

    /// A linear stage whose output ciphertext has weights of squared norm `norm_squared`.
    pub fn linear(&self, body_bits: u32, norm_squared: u64) -> f64 {
        let norm = norm_squared as f64;
        norm * self.sent(body_bits) + self.fourier_aligned(norm)
    }

    /// One CMUX gate, driven by an encrypted bit whose bodies were truncated as `index` says.
    pub fn gate(&self, index: IndexLayout) -> f64 {
        // Digits are uniform on -B/2 .. B/2 - 1 or on -B/2 + 1 .. B/2 by turns: their mean square is (B^2 + 2) / 12.
        let digits = 2.0 * f64::from(index.levels) * self.ring * (4f64.powi(index.base_log as i32) + 2.0) / 12.0;
        let last = 64 - (index.base_log * index.levels).min(63) as i32;
        let rounding = (1.0 + self.weight) * 4f64.powi(last) / 12.0;
        digits * self.sent(index.body_bits) + rounding + self.fourier(digits)
    }

    /// The encryption of zero `u (pk_a, pk_b) + (e_1, e_2)` that re-randomises a reply: `u e_pk + e_2 - s e_1`, for `u` of
    /// independent coefficients -1, 0, 0, 1, of which as many are not 0 as the key has ones.
    pub fn zero(&self, key_bits: u32) -> f64 {
        self.weight * self.sent(key_bits) + self.fresh + self.weight * self.fresh + self.fourier(self.weight)
    }

    /// Switching a reply to `bits` bits: an error on the body, and one on the mask that the key multiplies.
    pub fn switch(&self, bits: u32) -> f64 {
        (1.0 + self.weight) * self.truncation(bits)
    }

    /// Every part of the noise of a returned score.
    pub fn budget(
        &self,
        layout: StageLayout,
        envelope: Envelope,
        norm_squared: u64,
        flood: u64,
        encoding: Encoding,
    ) -> NoiseBudget {
        let gates = layout.packing.index_bits() as f64;
        NoiseBudget {
            linear: self.linear(layout.body_bits, norm_squared),
            select: layout.index.map_or(0.0, |index| gates * self.gate(index)),
            zero: self.zero(envelope.zero_key_bits),
            reply: self.switch(envelope.reply_bits),
            flood: flood as f64,
            margin: encoding.delta() as f64 / 2.0,
        }
    }
}

impl NoiseBudget {
    /// What a client that knows its own randomness could read in a reply, were there no flooding.
    pub fn computed(&self) -> f64 {
        self.linear + self.select
    }

    /// Variance of all noise but the flooding, whose largest value counts instead.
    pub fn variance(&self) -> f64 {
        self.computed() + self.zero + self.reply
    }

    /// Base-2 logarithm of a bound on the probability that one of `scores` scores is decoded wrongly.
    ///
    /// Sums of independent symmetric uniform variables are sub-Gaussian with their own variance (`P(|E| >= t) <= 2
    /// exp(-t^2 / (2 sigma^2))`), the flooding counts with its largest value, and the scores with a union bound.
    pub fn failure_log2(&self, scores: usize) -> f64 {
        let room = (self.margin - self.flood).max(0.0);
        let one = 1.0 - room * room / (2.0 * self.variance()) * LOG2_E;
        (one + (scores.max(1) as f64).log2()).min(0.0)
    }

    /// Base-2 logarithm of the expected statistical distance, per returned score, between the reply's noise and flooding
    /// alone: `E|e| / (2 F)`, with `E|e| <= sigma`.
    pub fn distance_log2(&self) -> f64 {
        (self.computed().sqrt() / (2.0 * self.flood)).log2().min(0.0)
    }
}

/// Base-2 logarithm of the sum of probabilities given by their logarithms.
pub(crate) fn sum_log2(logarithms: impl IntoIterator<Item = f64>) -> f64 {
    logarithms.into_iter().map(f64::exp2).sum::<f64>().log2().min(0.0)
}

/// Standard deviations that noise may be from the margin for `scores` scores to be right but with probability `2^log2`.
pub(crate) fn deviations(log2: f64, scores: usize) -> f64 {
    (2.0 * (1.0 + (scores.max(1) as f64).log2() - log2) / LOG2_E).sqrt()
}
