//! [`Returned`]: which scores a reply carries, and where.

use sordino_model::layout::Packing;

use crate::scores::plan::TripPlan;
use crate::wire::bits::packed_len;

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
