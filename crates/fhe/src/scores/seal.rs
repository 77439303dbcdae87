//! [`Seal`]: replies that tell scores and no weights: re-randomised, flooded, switched to a small modulus, and stripped of every
//! coefficient that is no score.
//!
//! A client knows the masks of its own query, so the mask of a linear combination would tell it the weights. The server
//! therefore adds an encryption of zero under the client's zero key, which makes the mask pseudo-random, and uniform noise
//! to the body, which hides most of what the computed noise tells. `docs/crypto.md` states what that gives and what it
//! does not.

use rayon::prelude::*;

use crate::params::ParameterSet;
use crate::ring::fourier::Fourier;
use crate::ring::glwe::Glwe;
use crate::ring::random::{Random, RandomSeed};
use crate::ring::zero_key::ZeroKey;
use crate::scores::plan::TripPlan;
use crate::scores::reply::Returned;
use crate::wire::bits::pack;

/// What it takes to seal a reply to one query.
pub(crate) struct Seal<'a> {
    pub(crate) plan: &'a TripPlan,
    pub(crate) parameters: &'a ParameterSet,
    pub(crate) zero_key: &'a ZeroKey,
    pub(crate) fourier: &'a Fourier,
}

impl Seal<'_> {
    /// Appends the payload of a reply: every ciphertext re-randomised and flooded, and of its body only the scores. All
    /// randomness comes from `seed`, a stream for each ciphertext.
    pub(crate) fn write(
        &self,
        ciphertexts: Vec<Glwe>,
        returned: &[Vec<Returned>],
        seed: RandomSeed,
        out: &mut Vec<u8>,
    ) {
        let ciphertexts = ciphertexts.into_par_iter().zip(returned).enumerate();
        let values = ciphertexts.map_init(
            || self.fourier.scratch(),
            |scratch, (i, (mut glwe, scores))| {
                let mut random = Random::new(seed, i as u64);
                self.zero_key.rerandomise(&mut glwe, self.parameters, &mut random, self.fourier, scratch);
                let mut values = glwe.mask().to_vec();
                values.extend(scores.iter().map(|score| {
                    let mut body = [glwe.body()[score.coefficient]];
                    random.add_noise(self.parameters.glwe_noise_log2, &mut body);
                    body[0].wrapping_add(random.below(2 * self.plan.flood)).wrapping_sub(self.plan.flood)
                }));
                values
            },
        );
        let values: Vec<Vec<u64>> = values.collect();
        pack(values.into_iter().flatten(), self.plan.envelope.reply_bits, out);
    }
}
