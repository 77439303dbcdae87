//! [`select`]: one of many ciphertexts, by a tree of gates.

use std::borrow::{Borrow, Cow};

use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::Glwe;

/// The node that `bits`, most significant first, point at; `gates` gives, for a bit, the first or the second of every pair. Empty nodes are
/// public, and never pointed at.
pub(crate) fn select<'n>(
    nodes: impl IntoIterator<Item = Option<&'n Glwe>>,
    bits: &[impl Borrow<Ggsw>],
    mut gates: impl FnMut(&Ggsw, &[(&Glwe, &Glwe)]) -> Vec<Glwe>,
) -> Option<Glwe> {
    let mut nodes: Vec<Option<Cow<'_, Glwe>>> = nodes.into_iter().map(|node| node.map(Cow::Borrowed)).collect();
    for bit in bits.iter().rev() {
        nodes.resize(nodes.len().next_multiple_of(2), None);
        let pairs: Vec<(&Glwe, &Glwe)> =
            nodes.chunks_exact(2).filter_map(|pair| Some((pair[0].as_deref()?, pair[1].as_deref()?))).collect();
        let mut chosen = gates(bit.borrow(), &pairs).into_iter();
        nodes = nodes
            .chunks_exact_mut(2)
            .map(|pair| match (pair[0].take(), pair[1].take()) {
                (Some(_), Some(_)) => chosen.next().map(Cow::Owned),
                (zero, one) => zero.or(one),
            })
            .collect();
    }
    nodes.into_iter().next().flatten().map(Cow::into_owned)
}
