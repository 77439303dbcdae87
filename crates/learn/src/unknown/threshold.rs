//! [`Threshold`]: what tells a known label from a stranger, chosen on known and unknown examples.
//!
//! Unknown queries are imitated, see `imitation`; known ones are examples that training has not seen. Both tests are chosen alike:
//! they let at most a chosen share of the former through, unless that would lose more than a chosen share of the latter.

use std::cmp::Ordering;

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sordino_model::{Lead, Podium, Reach, Tuning};

use crate::LearnError;
use crate::examples::{Classes, Songs};
use crate::heads::stage::FloatStage;
use crate::math::matrix::times_transposed;
use crate::unknown::imitation::Unknown;

/// How the unknown threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnknownSettings {
    /// Share of unknown queries that may be taken for a label of the library, 0 to 0.5.
    pub accepted: f32,
    /// Largest share of known queries, as disturbed as in training, that may be called unknown for it, 0 to 0.5.
    pub lost: f32,
    /// Held-out examples of every label to measure on.
    pub clips: usize,
}

impl Default for UnknownSettings {
    fn default() -> Self {
        Self { accepted: 0.03, lost: 0.05, clips: 8 }
    }
}

impl UnknownSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        for (setting, found) in [("unknown.accepted", self.accepted), ("unknown.lost", self.lost)] {
            if !(0.0..=0.5).contains(&found) {
                return Err(LearnError::Setting { setting, found: found.to_string(), expected: "0 to 0.5".into() });
            }
        }
        if self.clips == 0 {
            let expected = "at least one clip a track".into();
            return Err(LearnError::Setting { setting: "unknown.clips", found: "0".into(), expected });
        }
        Ok(())
    }
}

/// Two tests of the scores of a last stage: one for a decider that sees the best score alone, one for a client that sees several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Of the best score. The bias of every slot is its negative, so a score above zero means a known label.
    pub score: Cut,
    /// Of the best score less that of the third song; of few songs there is none.
    pub lead: Option<Cut>,
}

impl Threshold {
    /// The test of a client that sees several scores.
    pub fn of_client(&self) -> Cut {
        self.lead.unwrap_or(self.score)
    }

    /// What it makes of the halves of a model.
    pub(crate) fn tuning(&self) -> Tuning {
        let Self { score, lead } = self;
        Tuning {
            above: score.above,
            lead: Lead {
                above: lead.map(|lead| i64::from(lead.above)),
                copies: Vec::new(),
                leads: lead.map(|lead| lead.reach),
                // A score that the model gives has the threshold taken off.
                scores: Some(score.reach.less(i64::from(score.above))),
            },
        }
    }
}

/// Where known and unknown part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// In score units: what is above it is known.
    pub above: i32,
    /// Share of held-out examples, as disturbed as in training, that are at or below it.
    pub lost: f32,
    /// Share of imitated unknown examples that are above it.
    pub accepted: f32,
    /// How far all of them reach.
    pub reach: Reach,
}

/// What thresholds are chosen by.
pub(crate) struct Calibration<'a> {
    /// Integer vectors of examples that training has not seen, shape `[examples, width]`.
    pub(crate) inputs: Array2<f32>,
    /// The class of each.
    pub(crate) of: &'a [usize],
    /// Steps to one of those vectors.
    pub(crate) scale: f32,
    /// The label of every class.
    pub(crate) classes: &'a Classes,
    /// Which labels are copies: a copy of a label counts as that label.
    pub(crate) songs: &'a Songs,
    /// Imitated unknown examples.
    pub(crate) unknown: &'a [Unknown],
    /// What is asked for.
    pub(crate) settings: UnknownSettings,
    /// Leaves in which a client looks.
    pub(crate) looked_into: usize,
}

impl Calibration<'_> {
    /// The threshold for a last stage whose groups hold the classes of `leaves`.
    pub(crate) fn threshold(&self, stage: &FloatStage, leaves: &[Vec<u32>]) -> Threshold {
        let known = self.known(stage, leaves);
        let units = |cosine: f32| (cosine * self.scale * stage.grid.scale()) as i64;
        let of_score = self.unknown.iter().map(|unknown| units(unknown.best)).collect();
        let score = cut(known.iter().map(|known| known.own).collect(), of_score, &self.settings);
        let flat = leaves.len() == 1;
        let lead = |unknown: &Unknown| if flat { unknown.lead } else { unknown.probed_lead };
        let strangers: Vec<i64> = self.unknown.iter().filter_map(lead).map(units).collect();
        let leads: Vec<i64> = known.iter().filter_map(|known| known.lead).collect();
        let some = !leads.is_empty() && !strangers.is_empty();
        Threshold { score, lead: some.then(|| cut(leads, strangers, &self.settings)) }
    }

    /// Scores of known examples, as integers will have them.
    fn known(&self, stage: &FloatStage, leaves: &[Vec<u32>]) -> Vec<Known> {
        /// Examples scored at once.
        const AT_ONCE: usize = 256;
        let slots = stage.rows.dim().1;
        let song = |class: usize| self.songs.of(self.classes.label(class)) as usize;
        let weights = stage.integer_rows();
        let biases = stage.integer_biases(self.scale);
        let mut known = Vec::with_capacity(self.of.len());
        for (of, inputs) in self.of.chunks(AT_ONCE).zip(self.inputs.axis_chunks_iter(Axis(0), AT_ONCE)) {
            let scores = times_transposed(inputs, weights.view());
            let one = |(&class, scores): (&usize, ArrayView1<f32>)| {
                let score = |place: usize| scores[place] as i64 + i64::from(biases[place]);
                let scored = |leaf: usize| {
                    let slot = move |(slot, &class): (usize, &u32)| (song(class as usize), score(leaf * slots + slot));
                    leaves[leaf].iter().enumerate().map(slot)
                };
                let own = song(class);
                let all = (0..leaves.len()).flat_map(scored);
                let best = all.filter(|(song, _)| *song == own).map(|(_, score)| score).max();
                let podium = probed(leaves.len(), self.looked_into, scored);
                Known {
                    own: best.unwrap_or(i64::MIN),
                    lead: podium.lead().filter(|_| podium.winners().next() == Some(own)),
                }
            };
            known.par_extend(of.par_iter().zip(scores.axis_iter(Axis(0)).into_par_iter()).map(one));
        }
        known
    }
}

/// A known example.
struct Known {
    /// The best score of its own song.
    own: i64,
    /// By how much that leads the third song, where its own is the best: no threshold names the others rightly.
    lead: Option<i64>,
}

/// The best songs of the so many leaves that hold the best scores, `scored` giving songs and scores of each: what a good router leads to.
pub(crate) fn probed<T, I>(leaves: usize, looked_into: usize, scored: impl Fn(usize) -> I) -> Podium<T>
where
    T: PartialOrd + Copy + std::ops::Sub<Output = T>,
    I: Iterator<Item = (usize, T)>,
{
    let largest = |leaf: usize| scored(leaf).map(|(_, score)| score).reduce(|a, b| if b > a { b } else { a });
    let mut best: Vec<(usize, T)> = (0..leaves).filter_map(|leaf| Some((leaf, largest(leaf)?))).collect();
    if looked_into < best.len() {
        let falling =
            |a: &(usize, T), b: &(usize, T)| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0));
        best.select_nth_unstable_by(looked_into, falling);
        best.truncate(looked_into);
    }
    let mut podium = Podium::default();
    let near = best.into_iter().flat_map(|(leaf, _)| scored(leaf));
    near.for_each(|(song, score)| podium.add(song, score));
    podium
}

/// Where known and unknown values part as `settings` ask for.
pub(crate) fn cut(mut known: Vec<i64>, mut unknown: Vec<i64>, settings: &UnknownSettings) -> Cut {
    // A share like 0.02 is a little less than it says in binary; what is meant is what is written.
    let count = |share: f32, of: usize| (f64::from(share) * of as f64 * (1.0 + 1e-6)).floor() as usize;
    known.sort_unstable();
    unknown.sort_unstable_by(|a, b| b.cmp(a));
    // So many may lie below, or above: the next one is the first that must not.
    let keeps = known.get(count(settings.lost, known.len())).map_or(0, |s| s.saturating_sub(1));
    let rejects = unknown.get(count(settings.accepted, unknown.len())).map_or(keeps, |s| *s);
    // Where both wishes can be met, the lower threshold: later queries are more disturbed than training examples, and would be lost otherwise.
    let above = keeps.min(rejects).clamp(-(1 << 24), 1 << 24);
    let share = |count: usize, of: usize| count as f32 / of.max(1) as f32;
    Cut {
        above: above as i32,
        lost: share(known.iter().filter(|&&s| s <= above).count(), known.len()),
        accepted: share(unknown.iter().filter(|&&s| s > above).count(), unknown.len()),
        reach: Reach::of(known, unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let (known, unknown): (Vec<i64>, Vec<i64>) = ((0..100).collect(), (-80..20).collect());
        // Keeping half of the known allows 49, rejecting all of the unknown asks for 19.
        let cases = [(0.0, 0.5, 19), (0.02, 0.5, 17), (0.0, 0.02, 1), (0.0, 0.0, -1), (0.5, 0.5, -31)];
        for (accepted, lost, score) in cases {
            let settings = UnknownSettings { accepted, lost, ..UnknownSettings::default() };
            let threshold = cut(known.clone(), unknown.clone(), &settings);
            assert_eq!(threshold.above, score, "accepted {accepted}, lost {lost}");
            assert!(threshold.lost <= lost && (threshold.accepted <= accepted || lost < 0.1), "{threshold:?}");
        }
    }
}
