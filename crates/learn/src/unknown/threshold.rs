//! [`Threshold`]: from which score on a label counts as known.
//!
//! Unknown queries are imitated, see `imitation`; known ones are examples that training has not seen. The
//! threshold lets at most a chosen share of the former through, unless that would lose more than a chosen share of the latter.

use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::examples::{Classes, Songs};
use crate::heads::stage::FloatStage;

/// How the unknown threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnknownSettings {
    /// Share of unknown queries that may be taken for a label of the library, 0 to 0.5.
    pub accepted: f32,
    /// Largest share of known queries, as disturbed as in training, that may be called unknown for it, 0 to 0.5.
    pub lost: f32,
    /// Labels whose means agree by a cosine of more than this many times what is usual between two (its root mean square) count
    /// as one when unknown queries are imitated: versions and excerpts of a song that is known.
    pub relatives: f32,
    /// Held-out examples of every label to measure on.
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
            let expected = "lost and accepted from 0 to 0.5, positive relatives, and at least one clip a track".into();
            return Err(LearnError::Setting { setting: "unknown", found: format!("{self:?}"), expected });
        }
        Ok(())
    }
}

/// A threshold on the scores of a last stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Scores above it mean a known label; the bias of every slot is its negative.
    pub score: i32,
    /// Share of held-out examples, as disturbed as in training, whose own label scores at or below it.
    pub lost: f32,
    /// Share of imitated unknown examples for which some label scores above it.
    pub accepted: f32,
}

/// What thresholds are chosen by.
pub(crate) struct Calibration<'a> {
    /// Integer vectors of examples that training has not seen, one of every class in turn, shape `[examples, width]`.
    pub(crate) inputs: Array2<f32>,
    /// Steps to one of those vectors.
    pub(crate) scale: f32,
    /// The label of every class.
    pub(crate) classes: &'a Classes,
    /// Which labels are copies: a copy of a label counts as that label.
    pub(crate) songs: &'a Songs,
    /// Best scores of imitated unknown examples: cosines plus biases.
    pub(crate) unknown: Vec<f32>,
    /// What is asked for.
    pub(crate) settings: UnknownSettings,
}

impl Calibration<'_> {
    /// The threshold for a last stage whose groups hold the classes of `leaves`.
    pub(crate) fn threshold(&self, stage: &FloatStage, leaves: &[Vec<u32>]) -> Threshold {
        let slots = stage.rows.dim().1;
        let song = |class: usize| self.songs.of(self.classes.label(class)) as usize;
        let mut places = vec![Vec::new(); self.songs.len()];
        for (leaf, members) in leaves.iter().enumerate() {
            let of = |(slot, &class): (usize, &u32)| (song(class as usize), leaf * slots + slot);
            members.iter().enumerate().map(of).for_each(|(song, place)| places[song].push(place));
        }
        // Only the scores of an example's own song's places matter: few products of vectors instead of one of large matrices.
        let (weights, biases) = (stage.integers(), stage.integer_biases(self.scale));
        let score = |example: &[f32], place: usize| -> i64 {
            let row = &weights[place * example.len()..(place + 1) * example.len()];
            example.iter().zip(row).map(|(&x, &w)| x as i64 * i64::from(w)).sum::<i64>() + i64::from(biases[place])
        };
        let own = |(i, example): (usize, ArrayView1<f32>)| {
            let example = example.to_vec();
            places[song(i % self.classes.len())].iter().map(|&place| score(&example, place)).max().unwrap_or(i64::MIN)
        };
        let own: Vec<i64> = self.inputs.rows().into_iter().enumerate().map(own).collect();
        let score = |cosine: &f32| (cosine * self.scale * stage.grid.scale()) as i64;
        choose(own, self.unknown.iter().map(score).collect(), &self.settings)
    }
}

/// The threshold on scores of known and unknown examples that `settings` ask for.
fn choose(mut known: Vec<i64>, mut unknown: Vec<i64>, settings: &UnknownSettings) -> Threshold {
    // A share like 0.02 is a little less than it says in binary; what is meant is what is written.
    let count = |share: f32, of: usize| (f64::from(share) * of as f64 * (1.0 + 1e-6)).floor() as usize;
    known.sort_unstable();
    unknown.sort_unstable_by(|a, b| b.cmp(a));
    // So many may lie below, or above: the next one is the first that must not.
    let keeps = known.get(count(settings.lost, known.len())).map_or(0, |s| s.saturating_sub(1));
    let rejects = unknown.get(count(settings.accepted, unknown.len())).map_or(keeps, |s| *s);
    // Where both wishes leave room, the middle of it is safest.
    let score = if rejects < keeps { rejects.midpoint(keeps) } else { keeps }.clamp(-(1 << 24), 1 << 24);
    let share = |count: usize, of: usize| count as f32 / of.max(1) as f32;
    Threshold {
        score: score as i32,
        lost: share(known.iter().filter(|&&s| s <= score).count(), known.len()),
        accepted: share(unknown.iter().filter(|&&s| s > score).count(), unknown.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let (known, unknown): (Vec<i64>, Vec<i64>) = ((0..100).collect(), (-80..20).collect());
        // Keeping half of the known allows 49, rejecting all of the unknown asks for 19: the middle is 34.
        let cases = [(0.0, 0.5, 34), (0.02, 0.5, 33), (0.0, 0.02, 1), (0.0, 0.0, -1), (0.5, 0.5, 9)];
        for (accepted, lost, score) in cases {
            let settings = UnknownSettings { accepted, lost, ..UnknownSettings::default() };
            let threshold = choose(known.clone(), unknown.clone(), &settings);
            assert_eq!(threshold.score, score, "accepted {accepted}, lost {lost}");
            assert!(threshold.lost <= lost && (threshold.accepted <= accepted || lost < 0.1), "{threshold:?}");
        }
    }
}
