//! [`Pool`]: training clips as whitened features.

use ndarray::{Array2, ArrayView2, Axis};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sordino_front::{Front, FrontError};

use crate::examples::passages::Passages;
use crate::math::product::times_transposed;
use crate::run::progress::Report;
use crate::run::session::{Session, stream};
use crate::sound::clips::Clips;
use crate::space::examples::Examples;
use crate::space::whitening::{Whitening, WhiteningSettings, normalise_rows};
use crate::unknown::threshold::Strangers;
use crate::{LearnError, TrainConfig};

/// Most clips whose raw features are held at once, 1.8 GB of them; the whitening is fitted to these. 15,000
/// passages suffer where a quarter as many, four of each, must do (`experiments/passages`).
const RAW_CLIPS: usize = 393_216;

/// Disturbed clips of every passage. Clip `i` is of passage `i % passage_count`.
pub(crate) struct Pool {
    /// Whitened features before the unit length, strongest direction first, shape `[clips, directions]`.
    pub(crate) projected: Array2<f32>,
    /// Number of passages.
    pub(crate) passage_count: usize,
    /// How often every passage's clips are drawn where routing is learned: the square root of its track's weight.
    pub(crate) turns: Vec<f32>,
    /// The whitening.
    pub(crate) whitening: Whitening,
    /// Best scores of imitated unknown clips: cosines plus biases.
    pub(crate) strangers: Vec<f32>,
}

impl Pool {
    /// Draws clips of every passage, `config.clips_per_track` of every track, fits the whitening to as many of them as fit in memory,
    /// and keeps what it makes of them.
    pub(crate) fn draw(
        library: &dyn Clips,
        front: &Front,
        config: &TrainConfig,
        settings: WhiteningSettings,
        session: &Session<'_>,
    ) -> Result<Self, LearnError> {
        const FEWEST: usize = 5;
        /// The fewest clips that say how a passage is disturbed.
        const LEAST: usize = 4;
        let found = library.tracks();
        if found < FEWEST {
            return Err(LearnError::TooFew { what: "tracks", found, expected: FEWEST });
        }
        let passages = library.passages();
        let passage_count = passages.len();
        let rounds = passages.rounds(config.clips_per_track, LEAST.min(config.clips_per_track));
        // Two clips of a passage are the fewest that show how its clips differ.
        let at_once = (RAW_CLIPS / passage_count).clamp(2, rounds);
        let raw = Rounds { library, front, purpose: Purpose::Training }.draw(0..at_once, rounds, session)?;
        let fitted: Vec<u32> = (0..raw.nrows()).map(|i| (i % passage_count) as u32).collect();
        let mut weights: Vec<f32> = passages.all().iter().map(|&track| library.weight(track as usize)).collect();
        let turns = weights.iter().map(|weight| weight.sqrt()).collect();
        let mut whitening = Whitening::fit_weighted(raw.view(), &fitted, &weights, settings)?;
        if config.focus > 0.0 {
            let confusions = confusions(whitening.narrowed(config.width).apply(raw.view()).view(), passage_count);
            weights.iter_mut().zip(confusions).for_each(|(weight, c)| *weight *= c.powf(config.focus));
            whitening = Whitening::fit_weighted(raw.view(), &fitted, &weights, settings)?;
        }
        session.done("space")?;
        let mut projected = Array2::zeros((rounds * passage_count, whitening.width()));
        let mut keep = |first: usize, raw: &Array2<f32>| {
            let rows = (first * passage_count..first * passage_count + raw.nrows()).into();
            projected.slice_axis_mut(Axis(0), rows).assign(&whitening.project(raw.view()));
        };
        keep(0, &raw);
        let narrow = whitening.narrowed(config.width);
        let prototypes = prototypes(narrow.apply(raw.view()).view(), &fitted, passage_count);
        let strangers = Strangers {
            features: raw.view(),
            clips: &fitted,
            passages: &passages,
            weights: &weights,
            prototypes: prototypes.view(),
        };
        let settings = WhiteningSettings { width: config.width, ..settings };
        let strangers = strangers.best(settings, config.unknown.relatives, config.tracks.hubness)?;
        session.done("imitated unknown songs")?;
        drop(raw);
        let mut done = at_once;
        while done < rounds {
            let end = (done + at_once).min(rounds);
            let raw = Rounds { library, front, purpose: Purpose::Training }.draw(done..end, rounds, session)?;
            keep(done, &raw);
            done = end;
        }
        Ok(Self { projected, passage_count, turns, whitening, strangers })
    }

    /// The clips as a stage sees them that takes the `width` strongest directions, rotated or not.
    pub(crate) fn examples<'a>(&'a self, width: usize, rotation: Option<ArrayView2<'a, f32>>) -> Examples<'a> {
        Examples::new(self.projected.view(), width, rotation, self.passage_count)
    }
}

/// Unit mean of every passage's vectors: `[clips, width]` to `[passages, width]`.
pub(crate) fn prototypes(vectors: ArrayView2<f32>, passages: &[u32], passage_count: usize) -> Array2<f32> {
    let mut sums = Array2::<f32>::zeros((passage_count, vectors.ncols()));
    for (row, &passage) in vectors.rows().into_iter().zip(passages) {
        let mut sum = sums.row_mut(passage as usize);
        sum += &row;
    }
    normalise_rows(&mut sums);
    sums
}

/// How easily every passage is taken for others, 1 on average and never zero, from rounds of unit vectors `[clips, width]`: the
/// mean over its clips of the probability that a softmax over cosines puts on other passages. A clip is compared with its
/// passage's mean without itself.
fn confusions(vectors: ArrayView2<f32>, passage_count: usize) -> Vec<f32> {
    const SCALE: f32 = 32.0;
    const FEWEST: f32 = 0.05;
    const AT_ONCE: usize = 512;
    let mut sums = Array2::<f32>::zeros((passage_count, vectors.ncols()));
    for round in vectors.axis_chunks_iter(Axis(0), passage_count) {
        sums += &round;
    }
    let mut rows = sums.clone();
    normalise_rows(&mut rows);
    let mut confusions = vec![0.0f32; passage_count];
    for (chunk, clips) in vectors.axis_chunks_iter(Axis(0), AT_ONCE).enumerate() {
        let cosines = times_transposed(clips, rows.view());
        let wrong = |i: usize| {
            let passage = (chunk * AT_ONCE + i) % passage_count;
            let others = &sums.row(passage) - &clips.row(i);
            let own = others.dot(&clips.row(i)) / others.dot(&others).sqrt().max(f32::MIN_POSITIVE);
            let odds =
                |(other, &cosine): (usize, &f32)| if other == passage { 0.0 } else { (SCALE * (cosine - own)).exp() };
            let against: f32 = cosines.row(i).iter().enumerate().map(odds).sum();
            (passage, against / (1.0 + against))
        };
        let wrong: Vec<(usize, f32)> = (0..clips.nrows()).into_par_iter().map(wrong).collect();
        wrong.into_iter().for_each(|(passage, share)| confusions[passage] += share);
    }
    let mean = confusions.iter().sum::<f32>().max(f32::MIN_POSITIVE) / passage_count as f32;
    confusions.into_iter().map(|confusion| FEWEST + confusion / mean).collect()
}

/// What clips are drawn for; each has its own random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Training,
    Calibration,
}

/// Rounds of clips: each round has one clip of every passage.
pub(crate) struct Rounds<'a> {
    pub(crate) library: &'a dyn Clips,
    pub(crate) front: &'a Front,
    pub(crate) purpose: Purpose,
}

impl Rounds<'_> {
    /// Base features of the clips of some rounds, round by round: `[rounds * passages, features]`.
    pub(crate) fn draw(
        &self,
        rounds: std::ops::Range<usize>,
        of: usize,
        session: &Session<'_>,
    ) -> Result<Array2<f32>, LearnError> {
        let of_tracks = self.library.passages();
        let passages = of_tracks.len();
        let phase = match self.purpose {
            Purpose::Training => "clips",
            Purpose::Calibration => "held-out clips",
        };
        let mut features = Array2::zeros((rounds.len() * passages, self.front.width()));
        for (mut block, round) in features.axis_chunks_iter_mut(Axis(0), passages).zip(rounds) {
            let seed = session.seed ^ ((self.purpose as u64 + 1) << 56);
            let rows: Vec<_> = block.rows_mut().into_iter().enumerate().collect();
            rows.into_par_iter().try_for_each(|(passage, mut row)| {
                let rng = &mut stream(seed, (round * passages + passage) as u64);
                let features = self.features(passage, &of_tracks, rng)?;
                row.iter_mut().zip(features).for_each(|(o, v)| *o = v);
                Ok::<(), LearnError>(())
            })?;
            session.report(&Report { phase, step: round + 1, steps: of, loss: None, metric: None })?;
        }
        Ok(features)
    }

    /// Base features of one clip. A track may fall silent for longer than a query, so a few excerpts of the passage are tried, and
    /// where it is silent throughout, excerpts of the whole track.
    fn features(&self, passage: usize, passages: &Passages, rng: &mut ChaCha8Rng) -> Result<Vec<f32>, LearnError> {
        const TRIES: usize = 16;
        let mut tried = 1;
        loop {
            let from = if tried <= TRIES { passage } else { rng.random_range(passages.siblings(passage)) };
            let power = self.library.draw(from, rng)?;
            match self.front.features_of_mel(power.view()) {
                Err(FrontError::NotFinite { .. }) if tried < 4 * TRIES => tried += 1,
                features => return Ok(features?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn passages_that_look_alike_are_confused() {
        // Two rounds of three passages: the first two near each other, the third far from both.
        let mut vectors = array![
            [1.0f32, 0.0, 0.0],
            [0.98, 0.2, 0.0],
            [0.0, 0.0, 1.0],
            [0.99, 0.1, 0.0],
            [1.0, 0.15, 0.0],
            [0.0, 0.1, 1.0]
        ];
        normalise_rows(&mut vectors);
        let found = confusions(vectors.view(), 3);
        assert!(found[0] > 10.0 * found[2] && found[1] > 10.0 * found[2], "{found:?}");
        assert!(found.iter().all(|c| *c >= 0.05));
    }
}
