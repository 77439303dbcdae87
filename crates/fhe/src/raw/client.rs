//! [`RawClient`]: samples to ciphertexts.

use std::sync::Arc;

use sordino_model::raw::{RawError, RawSpec};

use crate::keys::secret::wipe;
use crate::ring::random::Random;
use crate::wire::seeded;
use crate::{FheError, SecretKey};

/// Bits of a body: all of them, because the noise of this ring is a few units.
pub(super) const BODY_BITS: u32 = 64;

/// Encrypts the samples of a query: all that a client of the raw protocol does with sound.
pub struct RawClient {
    samples: Arc<SecretKey>,
    spec: RawSpec,
    random: Random,
    /// Whether the system adds to it for every query; it does not where a seed must repeat.
    entropy: bool,
}

impl RawClient {
    /// A client with a key of the samples' ring.
    ///
    /// # Errors
    /// [`FheError::Cell`] for cells that do not fit the ring.
    pub fn new(samples: Arc<SecretKey>, spec: RawSpec) -> Result<Self, FheError> {
        check(&spec, samples.parameters().ring())?;
        Ok(Self { samples, spec, random: Random::from_system(), entropy: true })
    }

    /// The same with masks and noise that follow from `seed`, for tests that must be repeatable.
    #[cfg(any(test, feature = "insecure"))]
    #[must_use]
    pub fn with_insecure_seed(self, seed: u64) -> Self {
        Self { random: Random::from_insecure_seed("raw client", seed), entropy: false, ..self }
    }

    /// Bytes of a query.
    pub fn query_bytes(&self) -> usize {
        seeded::seeded_len(self.spec.cells, self.samples.parameters().ring(), BODY_BITS)
    }

    /// Encrypts the integers that [`RawSpec::samples`] made of a sound: a seed, then the bodies of a ciphertext for every cell. Sample `i` of a cell is coefficient
    /// `i`, in units of `q / 2^product_log2`.
    ///
    /// # Errors
    /// [`RawError`] for another number of samples, or larger ones.
    pub fn encrypt(&mut self, samples: &[i32]) -> Result<Vec<u8>, RawError> {
        let RawSpec { cell, sample_max, product_log2, .. } = self.spec;
        let length = self.spec.query_samples();
        if samples.len() != length || samples.iter().any(|x| x.abs() > sample_max) {
            let expected = format!("{length} numbers from -{sample_max} to {sample_max}");
            return Err(RawError { field: "samples", found: format!("{} numbers", samples.len()), expected });
        }
        let ring = self.samples.parameters().ring();
        let mut plaintexts = vec![0u64; self.spec.cells * ring];
        for (plaintext, samples) in plaintexts.chunks_exact_mut(ring).zip(samples.chunks_exact(cell)) {
            let unit = 1u64 << (64 - product_log2);
            plaintext.iter_mut().zip(samples).for_each(|(to, &x)| *to = (i64::from(x) as u64).wrapping_mul(unit));
        }
        let mut out = Vec::with_capacity(self.query_bytes());
        // A snapshot or a fork of the process has the same state: what the system adds keeps their masks and noise apart.
        let mut random = if self.entropy { self.random.with_entropy() } else { self.random.fork() };
        seeded::encrypt(&self.samples, &plaintexts, BODY_BITS, &mut random, &mut out);
        wipe(&mut plaintexts);
        Ok(out)
    }
}

/// Makes sure that no lag of a cell's autocorrelation meets another that has gone round the ring.
pub(super) fn check(spec: &RawSpec, ring: usize) -> Result<(), FheError> {
    match spec.cell + spec.taps {
        found if found <= ring => Ok(()),
        found => Err(FheError::Cell { found, ring }),
    }
}
