//! [`Passages`]: the stretches of a library's tracks that have rows of their own.
//!
//! A query hears a part of a track. One row for a whole track is a mean over all its parts, and the whitening then takes what
//! tells the parts apart for scatter and shrinks it. With a row for every passage, a query is compared with what it heard
//! (`experiments/passages` measures what that is worth). Rows of one track share its label.

use std::ops::{Range, RangeInclusive};

use serde::{Deserialize, Serialize};

/// Which track every passage is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passages(Vec<u32>);

impl Passages {
    /// One passage for each of `tracks` tracks.
    pub fn whole(tracks: usize) -> Self {
        Self((0..tracks as u32).collect())
    }

    /// So many passages of every track, tracks in order.
    pub fn per_track(counts: impl IntoIterator<Item = usize>) -> Self {
        Self(counts.into_iter().enumerate().flat_map(|(track, count)| vec![track as u32; count]).collect())
    }

    /// Number of passages.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of tracks.
    pub fn tracks(&self) -> usize {
        self.0.last().map_or(0, |&track| track as usize + 1)
    }

    /// The track of a passage.
    pub fn track(&self, passage: usize) -> u32 {
        self.0[passage]
    }

    /// All passages of the track that `passage` is of.
    pub fn siblings(&self, passage: usize) -> Range<usize> {
        let track = self.0[passage];
        self.0.partition_point(|&other| other < track)..self.0.partition_point(|&other| other <= track)
    }

    /// The tracks of all passages, in order.
    pub fn all(&self) -> &[u32] {
        &self.0
    }

    /// So many rounds of one clip of every passage give every track `per_track` clips or a few more, and every passage `least`.
    pub(crate) fn rounds(&self, per_track: usize, least: usize) -> usize {
        (per_track * self.tracks()).div_ceil(self.len().max(1)).max(least)
    }
}

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
        for (last, count) in [(0, 2), (1, 3), (5, 9), (1_000, 7)] {
            assert_eq!((*starts(last, 0, count).start(), *starts(last, count - 1, count).end()), (0, last));
            for i in 1..count {
                assert_eq!(starts(last, i - 1, count).end(), starts(last, i, count).start());
            }
        }
    }

    #[test]
    fn clips_are_shared_between_a_tracks_passages() {
        let passages = Passages::per_track([3, 3, 1]);
        assert_eq!((passages.len(), passages.tracks(), passages.track(5)), (7, 3, 1));
        assert_eq!([0, 2, 3, 6].map(|passage| passages.siblings(passage)), [0..3, 0..3, 3..6, 6..7]);
        assert_eq!((passages.rounds(20, 4), passages.rounds(4, 4)), (9, 4));
        assert_eq!(Passages::whole(4).rounds(20, 4), 20);
    }
}
