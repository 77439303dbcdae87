//! [`RawKey`]: the part of an evaluation key by which a server works on samples.

use std::io::{Read, Write};

use sordino_front::threads;
use tfhe::core_crypto::prelude::Polynomial;

use super::samples::BODY_BITS;
use crate::keys::evaluation::{BODY_BITS as ROTATION_BITS, take};
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
/// of tables once more, for rotations of less noise than those of an evaluation key. It travels as a part of that.
pub struct RawKey {
    parameters: &'static ParameterSet,
    /// Parameters of the ring in which tables are looked up.
    #[cfg(feature = "server")]
    tables: &'static ParameterSet,
    /// The two polynomials at every level of [`RELINEARISE`], each a seeded list.
    relinearise: [Vec<u8>; 2],
    keyswitch: SeededKeyswitchKey,
    /// GGSW ciphertexts under the ring's key of tables, a seeded list for every step.
    rotation: Vec<Vec<u8>>,
}

/// Bytes of the parts of a key, and how many of the last there are.
struct Lengths {
    relinearise: usize,
    keyswitch: usize,
    rotation: usize,
    steps: usize,
}

impl Lengths {
    fn of(tables: &ParameterSet) -> Self {
        let samples = tables.of_samples();
        let relinearise = seeded::seeded_len(RELINEARISE.levels as usize, samples.ring(), BODY_BITS);
        let keyswitch = SeededKeyswitchKey::wire_bytes(samples, DecisionGadgets::STANDARD.compare_keyswitch);
        let rotation = seeded::seeded_len(rows(), tables.ring(), ROTATION_BITS);
        Self { relinearise, keyswitch, rotation, steps: tables.compare.dimension.0 / ROTATION.bits }
    }
}

/// Ciphertexts of a step of a rotation.
fn rows() -> usize {
    ROTATION.patterns() * 2 * ROTATION.digits.levels as usize
}

impl RawKey {
    /// The key that leads from samples under [`SecretKey::for_samples`] to comparisons under `secret`, with the system's randomness. `made` is called from several
    /// threads for every one of [`RawKey::pieces`] pieces.
    pub(crate) fn generate(secret: &SecretKey, random: &mut Random, made: impl Fn() + Sync) -> Self {
        let samples = secret.for_samples();
        let (p, q) = (samples.parameters(), secret.parameters());
        let turned = Polynomial::from_container(inverse(samples.glwe().as_ref()));
        let square = samples.times(&turned);
        let seeds = [random.fork(), random.fork()];
        let relinearise =
            threads::map(vec![turned.into_container(), square].into_iter().zip(seeds).collect(), |(p, mut random)| {
                let mut messages = at_every_level(p, RELINEARISE);
                let mut out = Vec::new();
                seeded::encrypt(&samples, &messages, BODY_BITS, &mut random, &mut out);
                wipe(&mut messages);
                made();
                out
            });
        let Ok(relinearise) = <[Vec<u8>; 2]>::try_from(relinearise) else { unreachable!("there are two") };
        let gadget = DecisionGadgets::STANDARD.compare_keyswitch;
        let seeds = [random.seed(), random.seed()];
        let keyswitch = SeededKeyswitchKey::encrypt(&samples, q.compare, secret.compare(), gadget, seeds);
        made();
        let pieces = Pieces::of(secret);
        let steps = (0..Lengths::of(q).steps).map(|step| (step, random.seed())).collect();
        let rotation = threads::map(steps, |(step, seed)| {
            let block = pieces.block(pieces.step(ROTATION, secret.compare(), step), seed);
            made();
            block
        });
        Self {
            parameters: p,
            #[cfg(feature = "server")]
            tables: q,
            relinearise,
            keyswitch,
            rotation,
        }
    }

    /// Pieces that a key is made of.
    pub(crate) fn pieces(tables: &ParameterSet) -> usize {
        3 + Lengths::of(tables).steps
    }

    /// Bytes of the key as it travels, beside an evaluation key of this parameter set.
    pub fn wire_bytes(tables: &ParameterSet) -> usize {
        let Lengths { relinearise, keyswitch, rotation, steps } = Lengths::of(tables);
        2 * relinearise + keyswitch + steps * rotation
    }

    /// Writes the key: both lists that relinearise, the keyswitch key, the rotation key step by step.
    pub(crate) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        self.relinearise.iter().try_for_each(|list| out.write_all(list))?;
        out.write_all(self.keyswitch.as_bytes())?;
        self.rotation.iter().try_for_each(|block| out.write_all(block))
    }

    /// Reads a key that [`RawKey::write`] wrote for this parameter set.
    pub(crate) fn read(input: &mut impl Read, tables: &'static ParameterSet) -> Result<Self, FheError> {
        let lengths = Lengths::of(tables);
        let relinearise = [take(input, lengths.relinearise)?, take(input, lengths.relinearise)?];
        let keyswitch = SeededKeyswitchKey::from_bytes(take(input, lengths.keyswitch)?);
        let rotation = (0..lengths.steps).map(|_| take(input, lengths.rotation)).collect::<Result<_, _>>()?;
        Ok(Self {
            parameters: tables.of_samples(),
            #[cfg(feature = "server")]
            tables,
            relinearise,
            keyswitch,
            rotation,
        })
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
    use crate::bootstrap::blind_rotation::RotationKey;
    use crate::bootstrap::keyswitch::KeyswitchKey;
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
        /// Expands the key for use, rotations with the transform of the key that it is a part of.
        pub(crate) fn expand(&self, tables: &Fourier) -> RawServerKey {
            let ring = self.parameters.ring();
            let fourier = Fourier::new(ring);
            let step = |bytes: &Vec<u8>| {
                let rows = expansion::expand(bytes, rows(), self.tables.ring(), ROTATION_BITS);
                transform(rows.iter().map(Glwe::as_slice), tables, &mut tables.scratch())
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
