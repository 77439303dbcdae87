//! [`Tournament`]: who meets whom in a knockout tournament, and what playing it encrypted takes.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::layout::SparsePacking;

/// The steps of encrypted decisions, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionCounts {
    /// Keyswitches to a small key, one before every blind rotation.
    pub keyswitches: usize,
    /// Blind rotations that find the larger of two scores.
    pub matches: usize,
    /// Blind rotations that find the sign of a difference, or of a score.
    pub signs: usize,
    /// Blind rotations that refresh a bit so that it can become a selector.
    pub refreshes: usize,
    /// Conversions of refreshed bits into selectors.
    pub conversions: usize,
    /// CMUX gates, and other products with a selector.
    pub gates: usize,
    /// Keyswitches in the ring that make selectors of bits which the client sent: automorphisms, and products with the key's square.
    #[serde(default)]
    pub ring_keyswitches: usize,
    /// Blind rotations that look up a table whose result is summed with others; they take more digits than those that compare.
    #[serde(default)]
    pub tables: usize,
    /// Autocorrelations of encrypted samples, each with the energies of all bands of one scale.
    #[serde(default)]
    pub correlations: usize,
}

impl AddAssign for DecisionCounts {
    fn add_assign(&mut self, other: Self) {
        self.keyswitches += other.keyswitches;
        self.matches += other.matches;
        self.signs += other.signs;
        self.refreshes += other.refreshes;
        self.conversions += other.conversions;
        self.gates += other.gates;
        self.ring_keyswitches += other.ring_keyswitches;
        self.tables += other.tables;
        self.correlations += other.correlations;
    }
}

impl DecisionCounts {
    /// All blind rotations.
    pub fn rotations(&self) -> usize {
        self.comparisons() + self.refreshes + self.tables
    }

    /// Blind rotations that compare two scores, or a score with zero.
    pub fn comparisons(&self) -> usize {
        self.matches + self.signs
    }

    /// Matches played.
    pub fn matches(count: usize) -> Self {
        Self { keyswitches: count, matches: count, ..Self::default() }
    }

    /// Tables looked up.
    pub fn tables(count: usize) -> Self {
        Self { keyswitches: count, tables: count, ..Self::default() }
    }

    /// Signs taken.
    pub fn signs(count: usize) -> Self {
        Self { keyswitches: count, signs: count, ..Self::default() }
    }

    /// Signs made into selectors.
    pub fn selectors(count: usize) -> Self {
        Self { keyswitches: count, refreshes: count, conversions: count, ..Self::default() }
    }

    /// Bits of a client unpacked, and made into the rows of selectors: of every number a row, and its partner by the square.
    pub fn unpacked(bits: SparsePacking) -> Self {
        Self { ring_keyswitches: bits.automorphisms() + bits.count(), ..Self::default() }
    }

    /// Gates.
    pub fn gates(count: usize) -> Self {
        Self { gates: count, ..Self::default() }
    }
}

/// A knockout tournament: which of `2^rounds` positions are taken. In round `r` (from 0), the winners of positions that
/// differ only in their `r` lowest bits meet those that differ in bit `r`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tournament {
    /// How many stand before every round, and after the last: `taken[r][i]` for the candidates whose position shifted by `r` is `i`.
    taken: Vec<Vec<bool>>,
}

impl Tournament {
    /// The tournament of candidates at the given positions, `true` where taken; those up to the next power of two are empty.
    pub fn new(mut positions: Vec<bool>) -> Self {
        positions.resize(positions.len().next_power_of_two(), false);
        let mut taken = vec![positions];
        while let Some(last) = taken.last().filter(|last| last.len() > 1) {
            taken.push(last.chunks_exact(2).map(|pair| pair[0] || pair[1]).collect());
        }
        Self { taken }
    }

    /// Positions, a power of two.
    pub fn positions(&self) -> &[bool] {
        &self.taken[0]
    }

    /// Candidates.
    pub fn candidates(&self) -> usize {
        self.count(0)
    }

    /// Most set bits of a taken position, and so most matches that a candidate wins from the right.
    pub fn heaviest(&self) -> u32 {
        let positions = self.positions().iter().enumerate();
        positions.filter(|(_, taken)| **taken).map(|(position, _)| position.count_ones()).max().unwrap_or(0)
    }

    /// Rounds, and bits of a position.
    pub fn rounds(&self) -> usize {
        self.taken.len() - 1
    }

    /// Playing all matches.
    pub fn play(&self) -> DecisionCounts {
        DecisionCounts::matches(self.candidates().saturating_sub(1))
    }

    /// Reading the winner's position. The sign of the root is taken while the last match is played; then, for every round below, the two matches that can come next
    /// are selected and their signs taken while the bit above becomes a selector, and that selects one of them.
    pub fn read(&self) -> DecisionCounts {
        let mut decisions = DecisionCounts::default();
        for r in 0..self.rounds() {
            let count = self.count(r + 1);
            // One fewer where all are on one side: then there is nothing to choose.
            let sides = if r + 1 == self.rounds() { 1 } else { self.sides(r + 1) };
            decisions += DecisionCounts::signs(sides);
            decisions += DecisionCounts::selectors(1);
            decisions += DecisionCounts::gates(count.saturating_sub(1));
        }
        decisions
    }

    /// Playing the path of the winner again without it.
    pub fn replay(&self) -> DecisionCounts {
        let mut gates = 0;
        for r in 0..self.rounds() {
            let (standing, matches) = (self.taken[r].len(), self.taken[r + 1].len());
            // The old value and the old lead of the path, their replacements, and both sides of the match.
            gates += self.count(r).saturating_sub(1) + scatter(standing);
            gates += self.count(r + 1).saturating_sub(1) + scatter(matches);
            gates += 2 * (matches - 1);
        }
        let mut decisions = DecisionCounts::matches(self.rounds());
        decisions += DecisionCounts::gates(gates);
        decisions
    }

    /// Matches of round `round`, byes not counted.
    pub fn matches(&self, round: usize) -> usize {
        self.taken[round].chunks_exact(2).filter(|pair| pair[0] && pair[1]).count()
    }

    /// Whether candidates stand on the left, on the right or on both sides of the matches of round `round`: 1 or 2.
    pub fn sides(&self, round: usize) -> usize {
        let side = |side: usize| self.taken[round].iter().skip(side).step_by(2).any(|taken| *taken);
        usize::from(side(0)) + usize::from(side(1))
    }

    /// Candidates that stand before round `r`.
    fn count(&self, round: usize) -> usize {
        self.taken[round].iter().filter(|taken| **taken).count()
    }
}

/// Gates that place a value at one of `count` positions, a power of two.
fn scatter(count: usize) -> usize {
    count - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_one_fewer_than_candidates() {
        for count in 1..40 {
            let tournament = Tournament::new(vec![true; count]);
            assert_eq!(tournament.play().matches, count - 1);
            assert_eq!(1 << tournament.rounds(), count.next_power_of_two());
        }
    }

    #[test]
    fn gates_follow_whoever_is_there() {
        // Positions 1 and 6 of 8: the root is the only match, and every selection is among at most two.
        let tournament = Tournament::new(vec![false, true, false, false, false, false, true]);
        assert_eq!((tournament.candidates(), tournament.rounds()), (2, 3));
        assert_eq!(tournament.play(), DecisionCounts::matches(1));
        assert_eq!(tournament.read().gates, 2);
        assert_eq!((tournament.read().refreshes, tournament.read().signs), (3, 1 + 2 + 2));
    }
}
