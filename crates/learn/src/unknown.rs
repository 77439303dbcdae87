//! [`Threshold`]: from which score on a track counts as known.
//!
//! Two kinds of scores on held-out disturbed clips of the library, in the units of the integer stage: a clip's score in
//! its own track's slots (what a known query gets) and its best score in all others (what a song outside the library
//! would get: the library without the song it is of). The threshold is the highest that loses no more than a chosen
//! share of the former; the share of the latter above it says how many unknown songs would slip through.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::LearnError;

/// How the unknown threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnknownSettings {
    /// Share of known queries that may be called unknown, 0 to 0.5.
    pub lost: f32,
    /// Held-out clips of every track to measure on.
    pub clips: usize,
}

impl Default for UnknownSettings {
    fn default() -> Self {
        Self { lost: 0.02, clips: 8 }
    }
}

impl UnknownSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        if !(0.0..=0.5).contains(&self.lost) || self.clips == 0 {
            let (found, expected) = (format!("{self:?}"), "lost from 0 to 0.5, and at least one clip a track".into());
            return Err(LearnError::Setting { setting: "unknown", found, expected });
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
    /// Share of held-out clips for which some other track scores above it.
    pub accepted: f32,
}

/// Scores of held-out clips, in the units of an integer stage without bias.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Held {
    /// Best score in the slots of the clip's own track.
    own: Vec<i64>,
    /// Best score in any other slot.
    other: Vec<i64>,
}

impl Held {
    /// Adds clips of `tracks` with scores `[clips, slots]`, where slot `i` holds track `slot_tracks[i]`, if any.
    pub(crate) fn add(&mut self, scores: ArrayView2<i64>, tracks: &[u32], slot_tracks: &[Option<u32>]) {
        for (row, &track) in scores.rows().into_iter().zip(tracks) {
            let (mut own, mut other) = (i64::MIN, i64::MIN);
            for (&score, slot) in row.iter().zip(slot_tracks) {
                match slot {
                    Some(t) if *t == track => own = own.max(score),
                    Some(_) => other = other.max(score),
                    None => {}
                }
            }
            self.own.push(own);
            self.other.push(other);
        }
    }

    /// The highest threshold that loses at most a share `lost` of the clips.
    pub(crate) fn threshold(mut self, lost: f32) -> Threshold {
        let clips = self.own.len().max(1);
        self.own.sort_unstable();
        // A share like 0.02 is a little less than it says in binary; what is meant is what is written.
        let spare = (f64::from(lost) * self.own.len() as f64 * (1.0 + 1e-6)).floor() as usize;
        // `own[spare]` must stay above the threshold, with all that follow it.
        let score = self.own.get(spare).map_or(0, |s| s.saturating_sub(1)).clamp(-(1 << 24), 1 << 24);
        let share = |count: usize| count as f32 / clips as f32;
        Threshold {
            score: score as i32,
            lost: share(self.own.iter().filter(|&&s| s <= score).count()),
            accepted: share(self.other.iter().filter(|&&s| s > score).count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn at_most_the_chosen_share_is_lost() {
        // Track 1 sits in two slots; slot 3 is padding and must not count.
        let slots = [Some(0), Some(1), Some(1), None];
        let mut held = Held::default();
        let scores = Array2::from_shape_fn((100, 4), |(clip, slot)| match slot {
            0 => -1_000 + clip as i64,
            1 => clip as i64,
            2 => clip as i64 - 5,
            _ => 1_000_000,
        });
        held.add(scores.view(), &[1; 100], &slots);
        for (lost, score) in [(0.0, -1), (0.02, 1), (0.025, 1), (0.5, 49)] {
            let threshold = held.clone().threshold(lost);
            assert_eq!(threshold.score, score, "lost {lost}");
            assert!(threshold.lost <= lost && threshold.accepted == 0.0);
        }
        held.add(Array2::from_elem((100, 4), 7).view(), &[0; 100], &slots);
        assert_eq!(held.threshold(0.0).accepted, 0.5);
    }
}
