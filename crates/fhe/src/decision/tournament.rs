//! [`EncryptedTournament`]: encrypted argmax as a knockout tournament, its index, and the tournament without its winner.
//!
//! A match of `left` and `right` is one keyswitch and one blind rotation of `right - left` over the table `max(x, 0)`; the winner's score is
//! `left + max(right - left, 0)`. The index is read afterwards, from the root down, where only one match of every round
//! matters: its difference is selected by the bits known so far, its sign taken at full resolution, and circuit bootstrapping turns
//! the bit into a selector for the rounds below ([`PositionReader`]). (A table for two functions would carry all the signs along, save those
//! few rotations, and double the rounding noise of every match.)
//!
//! A match decides rightly where the difference lies within a quarter of the torus and beyond the noise: see [`crate::noise::decision`].

use std::borrow::Borrow;

use crate::bootstrap::evaluator::Evaluator;
use crate::decision::position::PositionReader;
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::{Glwe, Lwe, add_assign, difference, trivial_lwe};

/// The lead of a candidate without an opponent: far from zero and from a quarter of the torus.
const WALKOVER: u64 = 1 << 61;

/// A tournament that has been played.
pub(crate) struct EncryptedTournament {
    /// A score below all others that can still be compared with them: what an empty position counts as.
    floor: u64,
    /// From the candidates up.
    rounds: Vec<Round>,
    winner: Lwe,
    /// Whether the right half won; nothing where there is only one position.
    root_sign: Option<Lwe>,
}

/// One round: who stood before it, and by how much the right one of every pair leads.
pub(crate) struct Round {
    standing: Vec<Option<Lwe>>,
    pub(crate) leads: Vec<Option<Lwe>>,
}

impl Round {
    fn new(standing: Vec<Option<Lwe>>, ring: usize) -> Self {
        let lead = |pair: &[Option<Lwe>]| match (&pair[0], &pair[1]) {
            (Some(left), Some(right)) => Some(difference(right, left)),
            (Some(_), None) => Some(trivial_lwe(WALKOVER.wrapping_neg(), ring)),
            (None, Some(_)) => Some(trivial_lwe(WALKOVER, ring)),
            (None, None) => None,
        };
        let leads = standing.chunks_exact(2).map(lead).collect();
        Self { standing, leads }
    }
}

impl EncryptedTournament {
    /// Plays the tournament of the candidates at the given positions; `None` is an empty position. `floor` is a score below
    /// zero, at most a quarter of the torus below every candidate. Returns nothing where all positions are empty.
    pub(crate) fn play(evaluator: &Evaluator<'_>, mut candidates: Vec<Option<Lwe>>, floor: u64) -> Option<Self> {
        candidates.resize(candidates.len().next_power_of_two(), None);
        let (mut rounds, mut standing, mut root_sign) = (Vec::new(), candidates, None);
        while standing.len() > 1 {
            let round = Round::new(standing, evaluator.size());
            let pairs = round.standing.chunks_exact(2);
            let played = |pair: &[Option<Lwe>]| pair.iter().all(Option::is_some);
            let leads: Vec<Lwe> =
                pairs.clone().zip(&round.leads).filter(|(p, _)| played(p)).filter_map(|(_, l)| l.clone()).collect();
            let gains = match &round.leads[..] {
                // Nothing else is left to do while the last match is played: its sign is taken along.
                [Some(root)] => {
                    let (gain, sign) = evaluator.decide(leads.first(), root);
                    root_sign = sign;
                    Vec::from_iter(gain)
                }
                _ => evaluator.positive_part(&leads),
            };
            let mut gains = gains.into_iter();
            standing = pairs
                .map(|pair| match (&pair[0], &pair[1]) {
                    (Some(left), Some(_)) => gains.next().map(|mut winner| {
                        add_assign(&mut winner, left);
                        winner
                    }),
                    (left, right) => left.as_ref().or(right.as_ref()).cloned(),
                })
                .collect();
            rounds.push(round);
        }
        let winner = standing.pop().flatten()?;
        Some(Self { floor, rounds, winner, root_sign })
    }

    /// The largest score.
    pub(crate) fn winner(&self) -> &Lwe {
        &self.winner
    }

    /// The winner's position, as selectors, the most significant bit first; and a selector for the sign of `aside`, which is made
    /// where a thread would wait.
    pub(crate) fn index(&self, evaluator: &Evaluator<'_>, aside: Option<&Lwe>) -> (Vec<Ggsw>, Option<Ggsw>) {
        PositionReader::read(evaluator, &self.rounds, self.root_sign.as_ref(), aside)
    }

    /// The same tournament with the candidate at `index` gone. Only the matches of its path are played again.
    pub(crate) fn without(&self, evaluator: &Evaluator<'_>, index: &[Ggsw]) -> Self {
        let floor = trivial_lwe(self.floor, evaluator.size());
        let mut rounds = Vec::with_capacity(self.rounds.len());
        let (mut value, mut root_sign) = (floor.clone(), None);
        for (round, depth) in self.rounds.iter().zip((1..=index.len()).rev()) {
            let (place, path) = (&index[..depth], &index[..depth - 1]);
            let standing = replaced(evaluator, &round.standing, place, &value);
            let side = |side: usize| -> Vec<Option<Lwe>> {
                standing.iter().skip(side).step_by(2).map(|x| x.as_ref().or(Some(&floor)).cloned()).collect()
            };
            let (left, right) = (selected(evaluator, &side(0), path), selected(evaluator, &side(1), path));
            let lead = difference(&right, &left);
            let leads = replaced(evaluator, &round.leads, path, &lead);
            value = left;
            let gain = if depth == 1 {
                let (gain, sign) = evaluator.decide(Some(&lead), &lead);
                root_sign = sign;
                gain
            } else {
                evaluator.positive_part(&[lead]).pop()
            };
            gain.iter().for_each(|gain| add_assign(&mut value, gain));
            rounds.push(Round { standing, leads });
        }
        Self { floor: self.floor, rounds, winner: value, root_sign }
    }
}

/// The entry that `bits` point at.
pub(crate) fn selected(evaluator: &Evaluator<'_>, entries: &[Option<Lwe>], bits: &[impl Borrow<Ggsw>]) -> Lwe {
    let nodes: Vec<Option<Glwe>> = entries.iter().map(|entry| entry.as_ref().map(Glwe::embed)).collect();
    let node = evaluator.select(nodes.iter().map(Option::as_ref), bits);
    node.map_or_else(|| trivial_lwe(0, evaluator.size()), |node| node.extract(0))
}

/// The entries, with `value` in the place of the one that `bits` point at.
fn replaced(evaluator: &Evaluator<'_>, entries: &[Option<Lwe>], bits: &[Ggsw], value: &Lwe) -> Vec<Option<Lwe>> {
    let change = difference(value, &selected(evaluator, entries, bits));
    let changes = evaluator.scatter(Glwe::embed(&change), bits, entries.len());
    let change = |(entry, change): (&Option<Lwe>, &Glwe)| {
        entry.clone().map(|mut entry| {
            add_assign(&mut entry, &change.extract(0));
            entry
        })
    };
    entries.iter().zip(&changes).map(change).collect()
}
