//! One vote per window, and a quorum.

use std::collections::BTreeMap;

use sordino_learn::Answer;

/// The three tracks with most votes, of equals the one that comes first in the library; known with at least `quorum` votes.
pub(crate) fn majority(votes: impl IntoIterator<Item = u32>, quorum: usize) -> Answer {
    let mut counts = BTreeMap::<u32, usize>::new();
    for track in votes {
        *counts.entry(track).or_default() += 1;
    }
    let mut counts: Vec<(u32, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(track, count)| (std::cmp::Reverse(count), track));
    counts.truncate(3);
    let known = counts.first().is_some_and(|&(_, count)| count >= quorum);
    Answer { tracks: counts.into_iter().map(|(track, _)| track).collect(), known, ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_votes_win_and_few_are_not_enough() {
        let answer = |votes: &[u32]| majority(votes.iter().copied(), 3);
        assert_eq!(answer(&[7, 2, 7, 9, 2, 7, 1]), Answer { tracks: vec![7, 2, 1], known: true, ..Answer::default() });
        assert_eq!(answer(&[4, 3, 4, 3]), Answer { tracks: vec![3, 4], known: false, ..Answer::default() });
        assert_eq!(answer(&[]), Answer { tracks: vec![], known: false, ..Answer::default() });
    }
}
