//! [`Random`]: ChaCha20 (RFC 8439's cipher with a 64-bit counter) as the source of masks, noise and blinding.
//!
//! tfhe's generator is AES in counter mode read one byte at a time, which at some 5 ns a byte would be most of a query's
//! server time. Masks are public, so their generator is chosen for being indistinguishable from random and fast.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sordino_model::layout::SEED_BYTES;

/// A seed of [`Random`], public where it stands for masks.
pub(crate) type RandomSeed = [u8; SEED_BYTES];

/// Bytes from the system's own generator, in a browser from `crypto.getRandomValues`.
fn system_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // No system that this runs on fails here once it has started, and a key must not be made of anything else.
    getrandom::getrandom(&mut bytes).expect("the system has random bytes");
    bytes
}

/// A stream of random numbers.
pub(crate) struct Random(ChaCha20Rng);

impl Random {
    /// Stream number `stream` of a seed; streams are independent of each other.
    pub(crate) fn new(seed: RandomSeed, stream: u64) -> Self {
        let mut generator = ChaCha20Rng::from_seed(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// A stream seeded with 256 bits from the system.
    pub(crate) fn from_system() -> Self {
        Self::new(system_bytes(), 0)
    }

    /// A stream that follows from `seed` alone. Different purposes never share one.
    #[cfg(any(test, feature = "insecure"))]
    pub(crate) fn from_insecure_seed(purpose: &str, seed: u64) -> Self {
        use sha2::{Digest, Sha256};
        Self::new(Sha256::digest(format!("sordino insecure seed, {purpose}, {seed}")).into(), 0)
    }

    /// A stream that follows from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.seed(), 0)
    }

    /// A stream that follows from this one and from the system's randomness: as good as the better of the two.
    pub(crate) fn with_entropy(&mut self) -> Self {
        let (mut seed, system): (RandomSeed, RandomSeed) = (self.seed(), system_bytes());
        seed.iter_mut().zip(system).for_each(|(seed, system)| *seed ^= system);
        Self::new(seed, 0)
    }

    /// Draws a seed for other streams. Seeds tell nothing of each other.
    pub(crate) fn seed(&mut self) -> RandomSeed {
        let mut seed = RandomSeed::default();
        self.0.fill_bytes(&mut seed);
        seed
    }

    /// Fills `out` with uniform torus elements.
    pub(crate) fn uniform(&mut self, out: &mut [u64]) {
        const WORDS: usize = 64;
        let mut bytes = [0; 8 * WORDS];
        for out in out.chunks_mut(WORDS) {
            let bytes = &mut bytes[..8 * out.len()];
            self.0.fill_bytes(bytes);
            for (out, word) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = u64::from_le_bytes(*word);
            }
        }
    }

    /// Adds noise to every element of `out`: uniform on the integers of `[-2^b, 2^b]`, both ends half as likely, for `b`
    /// below 31. This is tfhe's `TUniform(b)`, of variance `(2^(2b+1) + 1) / 6`.
    pub(crate) fn add_noise(&mut self, bound_log2: u32, out: &mut [u64]) {
        debug_assert!(bound_log2 < 31);
        for out in out {
            // b + 2 uniform bits: b + 1 of them name an interval of length 1, the last one of its ends.
            let word = u64::from(self.0.next_u32() >> (30 - bound_log2));
            *out = out.wrapping_add((word >> 1) + (word & 1)).wrapping_sub(1 << bound_log2);
        }
    }
}

/// What only a server draws.
#[cfg(any(test, feature = "server"))]
impl Random {
    /// A uniform number below `bound`, up to a bias of `bound / 2^128`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64());
        (wide % u128::from(bound.max(1))) as u64
    }

    /// Fills `out` with differences of two uniform bits: 0 in half of all cases, 1 and -1 in a quarter each.
    pub(crate) fn ternary(&mut self, out: &mut [u64]) {
        for out in out.chunks_mut(32) {
            let bits = self.0.next_u64();
            for (i, out) in out.iter_mut().enumerate() {
                *out = (bits >> (2 * i) & 1).wrapping_sub(bits >> (2 * i + 1) & 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::formula::Noise;
    use crate::params::STANDARD;

    #[test]
    fn noise_has_the_variance_of_t_uniform() {
        let mut noise = vec![0; 1 << 16];
        Random::new([1; SEED_BYTES], 0).add_noise(STANDARD.glwe_noise_log2, &mut noise);
        let bound = 1i64 << STANDARD.glwe_noise_log2;
        assert!(noise.iter().all(|&e| (-bound..=bound).contains(&(e as i64))));
        let (mean, variance) = moments(&noise);
        // Over 2^16 samples the mean deviates by sigma / 2^8, the variance of a uniform variable by 0.35 percent.
        let expected = Noise::new(&STANDARD).fresh();
        assert!(mean.abs() < 5.0 * expected.sqrt() / 256.0, "{mean}");
        assert!((variance / expected - 1.0).abs() < 0.02, "{variance} {expected}");
        let mut small = vec![0; 1 << 14];
        Random::new([2; SEED_BYTES], 0).add_noise(0, &mut small);
        let zeros = small.iter().filter(|&&e| e == 0).count();
        assert!(zeros.abs_diff(1 << 13) < 400, "half of TUniform(0) is zero, {zeros} found");
    }

    #[test]
    fn streams_and_seeds_differ_and_repeat() {
        let draw = |seed, stream| {
            let mut out = vec![0; 100];
            Random::new([seed; SEED_BYTES], stream).uniform(&mut out);
            out
        };
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
        let mut ternary = vec![0; 1 << 14];
        Random::new([3; SEED_BYTES], 0).ternary(&mut ternary);
        let count = |value: i64| ternary.iter().filter(|&&t| t as i64 == value).count();
        assert_eq!(count(-1) + count(0) + count(1), ternary.len());
        // Standard deviations are 64 and 55.
        assert!(count(0).abs_diff(1 << 13) < 400 && count(1).abs_diff(1 << 12) < 350);
        let mut random = Random::new([4; SEED_BYTES], 0);
        assert!((0..1000).all(|_| random.below(7) < 7));
    }

    fn moments(values: &[u64]) -> (f64, f64) {
        let mean = values.iter().map(|&v| v as i64 as f64).sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|&v| (v as i64 as f64 - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance)
    }
}
