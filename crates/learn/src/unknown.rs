//! [`Threshold`]: from which score on a track counts as known.
//!
//! Two kinds of scores on held-out disturbed clips of the library, in the units of the integer stage: a clip's score in
//! its own track's slots (what a known query gets) and its best score in all others (what a song outside the library
//! would get: the library without the song it is of). The threshold lets a chosen share of the latter through, unless
//! that would lose more than a chosen share of the former.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::product::times_transposed;
use crate::stage::FloatStage;

/// How the unknown threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnknownSettings {
    /// Share of unknown queries that may be taken for a track of the library, 0 to 0.5.
    pub accepted: f32,
    /// Largest share of known queries, as disturbed as in training, that may be called unknown for it, 0 to 0.5.
    pub lost: f32,
    /// Tracks whose means agree by a cosine of more than this many times what is usual between two tracks (its root mean
    /// square) count as one song when unknown songs are imitated: versions and excerpts of a song that is known.
    pub relatives: f32,
    /// Held-out clips of every track to measure on.
    pub clips: usize,
}

impl Default for UnknownSettings {
    fn default() -> Self {
        Self { accepted: 0.01, lost: 0.05, relatives: 5.0, clips: 8 }
    }
}

impl UnknownSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        let shares = (0.0..=0.5).contains(&self.lost) && (0.0..=0.5).contains(&self.accepted);
        if !shares || self.clips == 0 || self.relatives.is_nan() || self.relatives <= 0.0 {
            let expected = "lost and accepted from 0 to 0.5, and at least one clip a track".into();
            return Err(LearnError::Setting { setting: "unknown", found: format!("{self:?}"), expected });
        }
        Ok(())
    }
}

/// A threshold on the scores of a last stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Scores above it mean a known track; the bias of every slot is its negative.
    pub score: i32,
    /// Share of held-out clips whose own track scores at or below it.
    pub lost: f32,
    /// Share of held-out clips for which some other song scores above it.
    pub accepted: f32,
}

/// For every track, the others whose unit vectors, shape `[tracks, width]`, agree with its own by a cosine above `limit` times
/// the root mean square cosine of two tracks.
pub(crate) fn relatives(vectors: ArrayView2<f32>, limit: f32) -> Vec<Vec<u32>> {
    const ROWS: usize = 1_024;
    let some = vectors.slice_axis(Axis(0), (..vectors.nrows().min(ROWS)).into());
    let pairs = (some.nrows() * vectors.nrows().saturating_sub(1)).max(1);
    // Every vector agrees with itself by 1.
    let squares = times_transposed(some, vectors).iter().map(|c| f64::from(c * c)).sum::<f64>() - some.nrows() as f64;
    let limit = limit * (squares.max(0.0) / pairs as f64).sqrt() as f32;
    let mut relatives = Vec::with_capacity(vectors.nrows());
    for (chunk, rows) in vectors.axis_chunks_iter(Axis(0), ROWS).enumerate() {
        for (i, cosines) in times_transposed(rows, vectors).rows().into_iter().enumerate() {
            let own = chunk * ROWS + i;
            let close = cosines.iter().enumerate().filter(|&(other, &cosine)| other != own && cosine > limit);
            relatives.push(close.map(|(other, _)| other as u32).collect());
        }
    }
    relatives
}

/// Clips that training has not seen, round by round: each round has one clip of every track.
pub(crate) struct Calibration {
    /// Integer vectors, shape `[rounds * tracks, width]`.
    pub(crate) inputs: Array2<f32>,
    /// For every track, those that count as the same song.
    pub(crate) relatives: Vec<Vec<u32>>,
    /// What is asked for.
    pub(crate) settings: UnknownSettings,
}

impl Calibration {
    /// The threshold for a last stage whose groups hold the tracks of `leaves`.
    pub(crate) fn threshold(&self, stage: &FloatStage, leaves: &[Vec<u32>]) -> Threshold {
        const ROWS: usize = 512;
        let slots = stage.rows.dim().1;
        let slot_tracks: Vec<Option<u32>> =
            leaves.iter().flat_map(|leaf| (0..slots).map(|slot| leaf.get(slot).copied())).collect();
        let mut held = Held::default();
        for (chunk, rows) in self.inputs.axis_chunks_iter(Axis(0), ROWS).enumerate() {
            for (i, scores) in stage.integer_scores(rows).rows().into_iter().enumerate() {
                let track = (chunk * ROWS + i) % self.relatives.len().max(1);
                held.add(scores, track as u32, &self.relatives[track], &slot_tracks);
            }
        }
        held.threshold(&self.settings)
    }
}

/// Scores of held-out clips, in the units of an integer stage without bias.
#[derive(Clone, Debug, Default)]
struct Held {
    /// Best score in the slots of the clip's own track.
    own: Vec<i64>,
    /// Best score in any slot of another song.
    other: Vec<i64>,
}

impl Held {
    /// Adds a clip of `track` with its scores, shape `[slots]`, where slot `i` holds track `slot_tracks[i]`, if any.
    fn add(&mut self, scores: ArrayView1<i64>, track: u32, relatives: &[u32], slot_tracks: &[Option<u32>]) {
        let (mut own, mut other) = (i64::MIN, i64::MIN);
        for (&score, slot) in scores.iter().zip(slot_tracks) {
            match slot {
                Some(t) if *t == track => own = own.max(score),
                Some(t) if relatives.contains(t) => {}
                Some(_) => other = other.max(score),
                None => {}
            }
        }
        self.own.push(own);
        self.other.push(other);
    }

    /// The threshold that `settings` ask for.
    fn threshold(mut self, settings: &UnknownSettings) -> Threshold {
        let clips = self.own.len();
        // A share like 0.02 is a little less than it says in binary; what is meant is what is written.
        let count = |share: f32| (f64::from(share) * clips as f64 * (1.0 + 1e-6)).floor() as usize;
        self.own.sort_unstable();
        self.other.sort_unstable_by(|a, b| b.cmp(a));
        // So many may lie below, or above: the next one is the first that must not.
        let keeps = self.own.get(count(settings.lost)).map_or(0, |s| s.saturating_sub(1));
        let rejects = self.other.get(count(settings.accepted)).map_or(keeps, |s| *s);
        let score = keeps.min(rejects).clamp(-(1 << 24), 1 << 24);
        let share = |count: usize| count as f32 / clips.max(1) as f32;
        Threshold {
            score: score as i32,
            lost: share(self.own.iter().filter(|&&s| s <= score).count()),
            accepted: share(self.other.iter().filter(|&&s| s > score).count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn settings(accepted: f32, lost: f32) -> UnknownSettings {
        UnknownSettings { accepted, lost, ..UnknownSettings::default() }
    }

    #[test]
    fn shares_are_kept() {
        // Track 1 sits in two slots, track 2 is its relative, slot 4 is padding: only slot 0 is a stranger's score.
        let slots = [Some(0), Some(1), Some(1), Some(2), None];
        let mut held = Held::default();
        for clip in 0..100 {
            let scores = array![clip - 80, clip, clip - 5, 1_000_000, 1_000_000];
            held.add(scores.view(), 1, &[2], &slots);
        }
        // Strangers score -80..=19, known clips 0..=99.
        for (accepted, lost, score) in
            [(0.0, 0.5, 19), (0.02, 0.5, 17), (0.0, 0.02, 1), (0.0, 0.0, -1), (0.5, 0.5, -31)]
        {
            let threshold = held.clone().threshold(&settings(accepted, lost));
            assert_eq!(threshold.score, score, "accepted {accepted}, lost {lost}");
            assert!(threshold.lost <= lost && (threshold.accepted <= accepted || lost < 0.1));
        }
    }

    #[test]
    fn relatives_agree() {
        // Cosines 0.8, 0 and 0.6: a root mean square of 0.577.
        let vectors = array![[1.0f32, 0.0], [0.8, 0.6], [0.0, 1.0]];
        assert_eq!(relatives(vectors.view(), 1.2), [vec![1], vec![0], vec![]]);
        assert_eq!(relatives(vectors.view(), 1.0), [vec![1], vec![0, 2], vec![1]]);
    }
}
