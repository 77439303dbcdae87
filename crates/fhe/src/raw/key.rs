//! [`RawKey`]: what a server needs besides an evaluation key to work on samples.

use sordino_front::threads;
use tfhe::core_crypto::prelude::Polynomial;

use super::client::BODY_BITS;
use crate::keys::gadgets::{DecisionGadgets, RotationGadget};
use crate::keys::keyswitch::SeededKeyswitchKey;
use crate::keys::pieces::{Pieces, at_every_level};
use crate::keys::secret::wipe;
use crate::params::ParameterSet;
use crate::ring::automorphism::automorphism;
use crate::ring::gadget::Gadget;
use crate::ring::random::Random;
use crate::wire::seeded;
use crate::{FheError, SecretKey};

/// Digits of the products that bring an autocorrelation back under the key of the samples.
pub(super) const RELINEARISE: Gadget = Gadget::new(8, 6);
/// Blind rotations whose results are summed by the hundred, with weights: two digits make them some 270 times less noisy than those of comparisons.
pub(super) const ROTATION: RotationGadget = RotationGadget { digits: Gadget::new(15, 2), bits: 2 };

/// Public: encryptions of `s(X^-1)` and `s s(X^-1)` under the samples' key `s`, of `s` under the small key of comparisons, and of that key under the ring's key
/// of tables once more, for rotations of less noise than those of an evaluation key.
pub struct RawKey {
    parameters: &'static ParameterSet,
    /// Parameters of the ring in which tables are looked up.
    tables: &'static ParameterSet,
    /// The two polynomials at every level of [`RELINEARISE`], each a seeded list.
    relinearise: [Vec<u8>; 2],
    keyswitch: SeededKeyswitchKey,
    /// GGSW ciphertexts under the ring's key of tables, a seeded list for every step.
    rotation: Vec<Vec<u8>>,
}

impl RawKey {
    /// The key that leads from samples under `samples` to comparisons under `secret`, with the system's randomness.
    ///
    /// # Errors
    /// [`FheError::Parameters`] for keys whose small keys differ.
    pub fn generate(samples: &SecretKey, secret: &SecretKey) -> Result<Self, FheError> {
        Self::draw(samples, secret, Random::from_system())
    }

    /// The same from a seed, for tests that must be repeatable.
    ///
    /// # Errors
    /// Those of [`RawKey::generate`].
    #[cfg(any(test, feature = "insecure"))]
    pub fn generate_from_insecure_seed(samples: &SecretKey, secret: &SecretKey, seed: u64) -> Result<Self, FheError> {
        Self::draw(samples, secret, Random::from_insecure_seed("raw key", seed))
    }

    fn draw(samples: &SecretKey, secret: &SecretKey, mut random: Random) -> Result<Self, FheError> {
        let (p, q) = (samples.parameters(), secret.parameters());
        if p.compare != q.compare {
            return Err(FheError::Parameters { found: p.id.0, expected: q.id.0 });
        }
        let turned = Polynomial::from_container(inverse(samples.glwe().as_ref()));
        let square = samples.times(&turned);
        let seeds = [random.fork(), random.fork()];
        let relinearise =
            threads::map(vec![turned.into_container(), square].into_iter().zip(seeds).collect(), |(p, mut random)| {
                let mut messages = at_every_level(p, RELINEARISE);
                let mut out = Vec::new();
                seeded::encrypt(samples, &messages, BODY_BITS, &mut random, &mut out);
                wipe(&mut messages);
                out
            });
        let Ok(relinearise) = <[Vec<u8>; 2]>::try_from(relinearise) else { unreachable!("there are two") };
        let gadget = DecisionGadgets::STANDARD.compare_keyswitch;
        let seeds = [random.seed(), random.seed()];
        let keyswitch = SeededKeyswitchKey::encrypt(samples, q.compare, secret.compare(), gadget, seeds);
        let pieces = Pieces::of(secret);
        let steps = (0..q.compare.dimension.0 / ROTATION.bits).map(|step| (step, random.seed())).collect();
        let rotation =
            threads::map(steps, |(step, seed)| pieces.block(pieces.step(ROTATION, secret.compare(), step), seed));
        Ok(Self { parameters: p, tables: q, relinearise, keyswitch, rotation })
    }

    /// Bytes of the key as it will travel.
    pub fn bytes(&self) -> usize {
        let rotation: usize = self.rotation.iter().map(Vec::len).sum();
        self.relinearise.iter().map(Vec::len).sum::<usize>() + self.keyswitch.as_bytes().len() + rotation
    }

    /// The parameters of the samples.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }
}

/// `p(X^-1)`.
pub(super) fn inverse(p: &[u64]) -> Vec<u64> {
    let mut out = vec![0; p.len()];
    automorphism(p, 2 * p.len() - 1, &mut out);
    out
}

#[cfg(feature = "server")]
pub use expanded::RawServerKey;

#[cfg(feature = "server")]
mod expanded {
    use rayon::prelude::*;

    use super::*;
    use crate::ServerKey;
    use crate::bootstrap::blind_rotation::RotationKey;
    use crate::bootstrap::keyswitch::KeyswitchKey;
    use crate::keys::evaluation::BODY_BITS as ROTATION_BITS;
    use crate::ring::fourier::Fourier;
    use crate::ring::ggsw::{GadgetKey, transform};
    use crate::ring::glwe::Glwe;
    use crate::wire::expansion;

    /// A [`RawKey`] expanded.
    pub struct RawServerKey {
        pub(crate) fourier: Fourier,
        /// By `s(X^-1)`.
        pub(crate) inverse: GadgetKey,
        /// By `s s(X^-1)`.
        pub(crate) square: GadgetKey,
        pub(crate) keyswitch: KeyswitchKey,
        pub(crate) rotation: RotationKey,
    }

    impl RawKey {
        /// Expands the key for use.
        ///
        /// `server` is the evaluation key of the same client: both are used with its transform.
        pub fn expand(&self, server: &ServerKey) -> RawServerKey {
            let ring = self.parameters.ring();
            let fourier = Fourier::new(ring);
            let rows = ROTATION.patterns() * 2 * ROTATION.digits.levels as usize;
            let step = |bytes: &Vec<u8>| {
                let rows = expansion::expand(bytes, rows, self.tables.ring(), ROTATION_BITS);
                transform(rows.iter().map(Glwe::as_slice), &server.fourier, &mut server.fourier.scratch())
            };
            let steps = self.rotation.par_iter().map(step).collect();
            let relinearise = |bytes: &[u8]| {
                let rows = expansion::expand(bytes, RELINEARISE.levels as usize, ring, BODY_BITS);
                GadgetKey::new(
                    RELINEARISE,
                    transform(rows.iter().map(Glwe::as_slice), &fourier, &mut fourier.scratch()),
                )
            };
            let gadget = DecisionGadgets::STANDARD.compare_keyswitch;
            RawServerKey {
                inverse: relinearise(&self.relinearise[0]),
                square: relinearise(&self.relinearise[1]),
                keyswitch: KeyswitchKey::expand(&self.keyswitch, self.parameters, self.tables.compare, gadget),
                rotation: RotationKey::new(ROTATION, steps),
                fourier,
            }
        }
    }

    impl RawServerKey {
        /// Memory that the key takes.
        pub fn bytes(&self) -> usize {
            self.inverse.bytes() + self.square.bytes() + self.keyswitch.bytes() + self.rotation.bytes()
        }
    }
}
