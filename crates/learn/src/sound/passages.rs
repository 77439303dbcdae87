//! Where the passages of a track lie: the stretches that have rows of their own.
//!
//! A query hears a part of a track. One row for a whole track is a mean over all its parts, and the whitening then takes what
//! tells the parts apart for scatter and shrinks it. With a row for every passage, a query is compared with what it heard
//! (`experiments/passages` measures what that is worth). A passage is a class; passages of one track share its label.

use std::ops::RangeInclusive;

/// How many passages a track has whose excerpts may begin at frames `0..=last`, for passages about `hop` frames apart; one where
/// `hop` is zero.
pub(crate) fn count(last: usize, hop: f32) -> usize {
    if hop > 0.0 { (last as f32 / hop).round() as usize + 1 } else { 1 }
}

/// Where the excerpts of passage `passage` of `count` begin, of the frames `0..=last`: those that lie nearest to its centre. The
/// centres are evenly spaced from the first frame to the last.
pub(crate) fn starts(last: usize, passage: usize, count: usize) -> RangeInclusive<usize> {
    if count <= 1 {
        return 0..=last;
    }
    // Between the centres of passages i - 1 and i lies frame (2 i - 1) last / (2 (count - 1)).
    let edge = |i: usize| (2 * i - 1) * last / (2 * (count - 1));
    let first = if passage == 0 { 0 } else { edge(passage) };
    let end = if passage + 1 == count { last } else { edge(passage + 1) };
    first..=end
}

/// The middle of them: the centre of the passage.
pub(crate) fn centre(last: usize, passage: usize, count: usize) -> usize {
    if count <= 1 { last / 2 } else { passage * last / (count - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_a_query_length_apart() {
        // 30 s of 31.25 frames a second, queries of 309 frames: 20 s of starts.
        assert_eq!(count(626, 309.0), 3);
        assert_eq!((count(626, 0.0), count(0, 309.0), count(100, 309.0)), (1, 1, 1));
        assert_eq!(count(7_500, 309.0), 25);
    }

    #[test]
    fn passages_cover_all_starts() {
        assert_eq!(starts(626, 0, 1), 0..=626);
        assert_eq!([0, 1, 2].map(|i| starts(626, i, 3)), [0..=156, 156..=469, 469..=626]);
        assert_eq!([0, 1, 2].map(|i| centre(626, i, 3)), [0, 313, 626]);
        for (last, count) in [(0, 2), (1, 3), (5, 9), (1_000, 7)] {
            assert_eq!((*starts(last, 0, count).start(), *starts(last, count - 1, count).end()), (0, last));
            for i in 1..count {
                assert_eq!(starts(last, i - 1, count).end(), starts(last, i, count).start());
            }
            for i in 0..count {
                assert!(starts(last, i, count).contains(&centre(last, i, count)));
            }
        }
    }
}
