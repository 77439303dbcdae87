//! [`Threshold`]: from which score on a track counts as known.
//!
//! Unknown songs are imitated: part of the library is left out, the rest is whitened without it, and the clips of the part
//! left out are scored against the rest. (To leave a song out of the scores alone would flatter: the whitening that has
//! seen it keeps it apart from all others.) Known queries are clips that training has not seen. The
//! threshold lets at most a chosen share of the former through, unless that would lose more than a chosen share of the latter.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::examples::passages::Passages;
use crate::heads::hubness;
use crate::heads::stage::FloatStage;
use crate::math::product::times_transposed;
use crate::space::pool::prototypes;
use crate::space::whitening::{Whitening, WhiteningSettings};

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
            let expected = "lost and accepted from 0 to 0.5, positive relatives, and at least one clip a track".into();
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
    /// Share of held-out clips, as disturbed as in training, whose own track scores at or below it.
    pub lost: f32,
    /// Share of imitated unknown clips for which some track scores above it.
    pub accepted: f32,
}

/// Clips with their tracks, for imitating unknown songs.
pub(crate) struct Strangers<'a> {
    /// Base features, shape `[clips, features]`.
    pub(crate) features: ArrayView2<'a, f32>,
    /// Passage of every clip.
    pub(crate) clips: &'a [u32],
    /// Which passages are of one track.
    pub(crate) passages: &'a Passages,
    /// How much every passage counts where the space is made.
    pub(crate) weights: &'a [f32],
    /// Unit mean of every passage in the space of the whole library, shape `[passages, n]`.
    pub(crate) prototypes: ArrayView2<'a, f32>,
}

impl Strangers<'_> {
    /// Best scores of clips of tracks left out, against the tracks kept, leaving out relatives: cosines with `hubness` times what their
    /// rows score with other tracks' clips taken off.
    pub(crate) fn best(
        &self,
        whitening: WhiteningSettings,
        relatives: f32,
        hubness: f32,
    ) -> Result<Vec<f32>, LearnError> {
        const PARTS: usize = 5;
        const ENOUGH: usize = 500;
        let count = self.passages.tracks();
        // Each part leaves out a fifth of the tracks; a few hundred of them say enough, and a large library needs one part.
        let parts = (ENOUGH * PARTS).div_ceil(count.max(1)).clamp(1, PARTS);
        let related = related(self.prototypes, self.passages, relatives);
        let mut best = Vec::new();
        for part in 0..parts {
            best.extend(self.part(|track| track as usize % PARTS == part, whitening, &related, hubness)?);
        }
        Ok(best)
    }

    fn part(
        &self,
        left_out: impl Fn(u32) -> bool,
        settings: WhiteningSettings,
        related: &[Vec<u32>],
        strength: f32,
    ) -> Result<Vec<f32>, LearnError> {
        /// Clips that are scored against all rows at once, and the most that are scored.
        const AT_ONCE: usize = 1_024;
        const MOST: usize = 32_768;
        let track = |passage: usize| self.passages.track(passage);
        // No copy of the clips kept: what is left out has no weight.
        let weight = |(passage, &weight): (usize, &f32)| if left_out(track(passage)) { 0.0 } else { weight };
        let weights: Vec<f32> = self.weights.iter().enumerate().map(weight).collect();
        let whitening = Whitening::fit_weighted(self.features, self.clips, &weights, settings)?;
        let vectors = whitening.apply(self.features);
        let rows = prototypes(vectors.view(), self.clips, self.passages.len());
        let (mut strange, kept): (Vec<usize>, Vec<usize>) =
            (0..self.clips.len()).partition(|&i| left_out(track(self.clips[i] as usize)));
        let biases = self.biases(vectors.view(), rows.view(), &kept, &left_out, strength);
        let stride = strange.len().div_ceil(MOST).max(1);
        strange = strange.into_iter().step_by(stride).collect();
        let mut best = Vec::with_capacity(strange.len());
        for clips in strange.chunks(AT_ONCE) {
            let cosines = times_transposed(vectors.select(Axis(0), clips).view(), rows.view());
            best.extend(cosines.rows().into_iter().zip(clips).map(|(cosines, &clip)| {
                let relatives = &related[track(self.clips[clip] as usize) as usize];
                let stranger =
                    |passage: usize| !left_out(track(passage)) && relatives.binary_search(&track(passage)).is_err();
                let strangers = cosines.iter().zip(&biases).enumerate().filter(|(passage, _)| stranger(*passage));
                strangers.map(|(_, (cosine, bias))| cosine + bias).fold(-1.0, f32::max)
            }));
        }
        Ok(best)
    }

    /// What is added to the scores of the rows of tracks kept, from their clips; 0 for the others.
    fn biases(
        &self,
        vectors: ArrayView2<f32>,
        rows: ArrayView2<f32>,
        kept: &[usize],
        left_out: impl Fn(u32) -> bool,
        strength: f32,
    ) -> Vec<f32> {
        let mut biases = vec![0.0; self.passages.len()];
        let stay: Vec<usize> = (0..biases.len()).filter(|&p| !left_out(self.passages.track(p))).collect();
        let clips: Vec<usize> = hubness::sample(kept.len()).into_iter().map(|i| kept[i]).collect();
        let of_track = |row: usize, clip: usize| {
            self.passages.track(stay[row]) == self.passages.track(self.clips[clips[clip]] as usize)
        };
        let rows = rows.select(Axis(0), &stay);
        let of_rows = hubness::biases(rows.view(), vectors.select(Axis(0), &clips).view(), strength, of_track);
        for (&passage, bias) in stay.iter().zip(of_rows) {
            biases[passage] = bias;
        }
        biases
    }
}

/// For every track, the others of which some passage's unit vector, shape `[passages, n]`, agrees with one of its own by a cosine
/// above `limit` times the root mean square cosine of two passages. Ascending.
fn related(vectors: ArrayView2<f32>, passages: &Passages, limit: f32) -> Vec<Vec<u32>> {
    const ROWS: usize = 1_024;
    let some = vectors.slice_axis(Axis(0), (..vectors.nrows().min(ROWS)).into());
    let pairs = (some.nrows() * vectors.nrows().saturating_sub(1)).max(1);
    // Every vector agrees with itself by 1.
    let squares = times_transposed(some, vectors).iter().map(|c| f64::from(c * c)).sum::<f64>() - some.nrows() as f64;
    let limit = limit * (squares.max(0.0) / pairs as f64).sqrt() as f32;
    let mut related = vec![Vec::new(); passages.tracks()];
    for (chunk, rows) in vectors.axis_chunks_iter(Axis(0), ROWS).enumerate() {
        for (i, cosines) in times_transposed(rows, vectors).rows().into_iter().enumerate() {
            let own = passages.track(chunk * ROWS + i);
            let close = cosines.iter().zip(passages.all()).filter(|&(&cosine, &track)| cosine > limit && track != own);
            related[own as usize].extend(close.map(|(_, &track)| track));
        }
    }
    for relatives in &mut related {
        relatives.sort_unstable();
        relatives.dedup();
    }
    related
}

/// What thresholds are chosen by.
pub(crate) struct Calibration<'a> {
    /// Integer vectors of clips that training has not seen, one of every passage in turn, shape `[clips, width]`.
    pub(crate) inputs: Array2<f32>,
    /// Steps to one of those vectors.
    pub(crate) scale: f32,
    /// Which passages are of one track.
    pub(crate) passages: &'a Passages,
    /// Best scores of imitated unknown clips: cosines plus biases.
    pub(crate) strangers: Vec<f32>,
    /// What is asked for.
    pub(crate) settings: UnknownSettings,
}

impl Calibration<'_> {
    /// The threshold for a last stage whose groups hold the passages of `leaves`.
    pub(crate) fn threshold(&self, stage: &FloatStage, leaves: &[Vec<u32>]) -> Threshold {
        let slots = stage.rows.dim().1;
        let track = |passage: usize| self.passages.track(passage) as usize;
        let mut places = vec![Vec::new(); self.passages.tracks()];
        for (leaf, members) in leaves.iter().enumerate() {
            let of = |(slot, &passage): (usize, &u32)| (track(passage as usize), leaf * slots + slot);
            members.iter().enumerate().map(of).for_each(|(track, place)| places[track].push(place));
        }
        // Only the scores of a clip's own track's places matter: few products of vectors instead of one of large matrices.
        let (weights, biases) = (stage.integers(), stage.integer_biases(self.scale));
        let score = |clip: &[f32], place: usize| -> i64 {
            let row = &weights[place * clip.len()..(place + 1) * clip.len()];
            clip.iter().zip(row).map(|(&x, &w)| x as i64 * i64::from(w)).sum::<i64>() + i64::from(biases[place])
        };
        let own = |(i, clip): (usize, ArrayView1<f32>)| {
            let clip = clip.to_vec();
            places[track(i % self.passages.len())].iter().map(|&place| score(&clip, place)).max().unwrap_or(i64::MIN)
        };
        let own: Vec<i64> = self.inputs.rows().into_iter().enumerate().map(own).collect();
        let score = |cosine: &f32| (cosine * self.scale * stage.grid.scale()) as i64;
        choose(own, self.strangers.iter().map(score).collect(), &self.settings)
    }
}

/// The threshold on scores of known and unknown clips that `settings` ask for.
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
    use ndarray::array;

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

    #[test]
    fn relatives_agree() {
        // Cosines 0.8, 0 and 0.6: a root mean square of 0.577.
        let vectors = array![[1.0f32, 0.0], [0.8, 0.6], [0.0, 1.0]];
        let whole = Passages::whole(3);
        assert_eq!(related(vectors.view(), &whole, 1.2), [vec![1], vec![0], vec![]]);
        assert_eq!(related(vectors.view(), &whole, 1.0), [vec![1], vec![0, 2], vec![1]]);
        // The first two are passages of one track.
        assert_eq!(related(vectors.view(), &Passages::per_track([2, 1]), 1.0), [vec![1], vec![0]]);
    }
}
