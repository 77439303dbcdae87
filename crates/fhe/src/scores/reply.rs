//! Replies: scores re-randomised, flooded, switched to a small modulus, and stripped of every coefficient that is no score.
//!
//! A client knows the masks of its own query, so the mask of a linear combination would tell it the weights. The server
//! therefore adds an encryption of zero under the client's zero key, which makes the mask pseudo-random, and uniform noise
//! to the body, which hides most of what the computed noise tells. `docs/crypto.md` states what that gives and what it
//! does not.

use rayon::prelude::*;
use sordino_model::layout::Packing;

use crate::params::ParameterSet;
use crate::ring::fourier::Fourier;
use crate::ring::glwe::Glwe;
use crate::ring::random::{Random, RandomSeed};
use crate::ring::zero_key::ZeroKey;
use crate::scores::plan::TripPlan;
use crate::wire::bits::{pack, packed_len};

/// A score of a reply: where it is, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    /// Coefficient of the ciphertext's body.
    pub(crate) coefficient: usize,
    /// Group, or number of the probe where groups are selected.
    pub(crate) group: usize,
    /// Slot of that group.
    pub(crate) slot: usize,
}

/// The scores that a reply carries, ciphertext by ciphertext, in the order in which they are sent.
///
/// Without selection these are the used slots. With it, all slots of each probe: which of them are padding depends on the
/// group, which the server does not know.
pub(crate) fn returned(plan: &TripPlan, counts: &[usize]) -> Vec<Vec<Returned>> {
    let packing = &plan.layout.packing;
    match plan.probes {
        Some(probes) => {
            let lanes = (0..probes).flat_map(|group| (0..packing.lanes()).map(move |lane| (group, lane)));
            let slots = |(group, lane)| {
                let slot = move |i| Returned { coefficient: i, group, slot: lane * packing.slots() + i };
                (0..packing.lane_outputs(lane)).map(slot).collect()
            };
            lanes.map(slots).collect()
        }
        None => {
            let mut ciphertexts = vec![Vec::new(); packing.ciphertexts()];
            for (group, &count) in counts.iter().enumerate() {
                for slot in 0..count {
                    let place = packing.place(group, slot);
                    let returned = Returned { coefficient: place.coefficient, group, slot };
                    ciphertexts[ciphertext_of(packing, place.column, place.lane)].push(returned);
                }
            }
            ciphertexts
        }
    }
}

fn ciphertext_of(packing: &Packing, column: usize, lane: usize) -> usize {
    column * packing.lanes() + lane
}

/// Bytes of a reply's payload.
pub(crate) fn reply_len(plan: &TripPlan, returned: &[Vec<Returned>]) -> usize {
    let ring = plan.layout.packing.ring();
    packed_len(returned.iter().map(|scores| ring + scores.len()).sum(), plan.envelope.reply_bits)
}

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
