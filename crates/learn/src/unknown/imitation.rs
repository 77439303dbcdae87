//! [`Imitation`]: unknown queries, imitated from the library itself.
//!
//! Part of the library is left out, the rest is whitened without it, and the examples of the part left out are scored against
//! the rest. To leave a label out of the scores alone would flatter: the whitening that has seen it keeps it apart from all others.

use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use sordino_model::Podium;

use crate::clusters::kmeans::ClusterSettings;
use crate::clusters::tree::Tree;
use crate::examples::{Classes, Songs};
use crate::heads::hubness;
use crate::math::matrix::times_transposed;
use crate::space::unit_vectors::prototypes;
use crate::space::whitening::{Whitening, WhiteningSettings};
use crate::unknown::threshold::probed;
use crate::{LearnError, TrainConfig};

/// Examples of a library, part of which is taken for unknown.
pub(crate) struct Imitation<'a> {
    /// Base features, shape `[examples, features]`.
    pub(crate) features: ArrayView2<'a, f32>,
    /// Class of every example.
    pub(crate) examples: &'a [u32],
    /// The label of every class.
    pub(crate) classes: &'a Classes,
    /// Which labels are of one song, as copies and parts of it are. They are left out together, and none is a stranger to another.
    pub(crate) songs: &'a Songs,
    /// How much every class counts where the space is made.
    pub(crate) weights: &'a [f32],
    /// The settings of the model.
    pub(crate) config: &'a TrainConfig,
}

/// How well an unknown example scores, in cosines plus biases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unknown {
    /// The best score.
    pub(crate) best: f32,
    /// That less the score of the third song, where there are three.
    pub(crate) lead: Option<f32>,
    /// The same among the rows of the likeliest clusters, in which a client looks.
    pub(crate) probed_lead: Option<f32>,
}

impl Imitation<'_> {
    /// Scores of examples of songs left out, against those kept; none in a library of two. Nothing else is left out: strangers that
    /// resemble the library are those that a threshold is for.
    pub(crate) fn scores(&self) -> Result<Vec<Unknown>, LearnError> {
        const PARTS: usize = 5;
        const ENOUGH: usize = 500;
        let count = self.songs.len();
        // Each part leaves out a fifth of the songs; a few hundred of them say enough, and a large library needs one part.
        let parts = (ENOUGH * PARTS).div_ceil(count.max(1)).clamp(1, PARTS);
        let mut scores = Vec::new();
        for part in 0..parts {
            // Against one song alone nothing stands out, and in two that is all that is left.
            let leaves_out = |song: usize| song % PARTS == part;
            if (0..count).filter(|&song| !leaves_out(song)).count() < 2 {
                continue;
            }
            scores.extend(self.part(|label| leaves_out(self.songs.of(label) as usize))?);
        }
        Ok(scores)
    }

    fn part(&self, left_out: impl Fn(u32) -> bool) -> Result<Vec<Unknown>, LearnError> {
        /// Examples that are scored against all rows at once, and the most that are scored.
        const AT_ONCE: usize = 256;
        const MOST: usize = 16_384;
        let TrainConfig { width, ridge, clusters, seed, tracks, .. } = self.config;
        let label = |class: usize| self.classes.label(class);
        // No copy of the examples kept: what is left out has no weight.
        let weight = |(class, &weight): (usize, &f32)| if left_out(label(class)) { 0.0 } else { weight };
        let weights: Vec<f32> = self.weights.iter().enumerate().map(weight).collect();
        let settings = WhiteningSettings { width: *width, ridge: *ridge };
        let vectors = Whitening::fit(self.features, self.examples, &weights, settings)?.apply(self.features);
        let rows = prototypes(vectors.view(), self.examples, self.classes.len());
        let (mut unknown, kept): (Vec<usize>, Vec<usize>) =
            (0..self.examples.len()).partition(|&i| left_out(label(self.examples[i] as usize)));
        let biases = self.biases(vectors.view(), rows.view(), &kept, &left_out, tracks.hubness);
        let stay: Vec<usize> = (0..rows.nrows()).filter(|&class| !left_out(label(class))).collect();
        let rows = rows.select(Axis(0), &stay);
        let leaves = self.leaves(rows.view(), *clusters, *seed)?;
        let stride = unknown.len().div_ceil(MOST).max(1);
        unknown = unknown.into_iter().step_by(stride).collect();
        let song = |row: usize| self.songs.of(label(stay[row])) as usize;
        let mut found = Vec::with_capacity(unknown.len());
        for examples in unknown.chunks(AT_ONCE) {
            let cosines = times_transposed(vectors.select(Axis(0), examples).view(), rows.view());
            let one = |cosines: ArrayView1<f32>| {
                let score = |row: usize| (song(row), cosines[row] + biases[stay[row]]);
                let mut podium = Podium::default();
                (0..stay.len()).map(score).for_each(|(song, score)| podium.add(song, score));
                let looked_into = self.config.looked_into();
                let near = probed(leaves.len(), looked_into, |leaf: usize| {
                    leaves[leaf].iter().map(|&row| score(row as usize))
                });
                Unknown { best: podium.best().unwrap_or(-1.0), lead: podium.lead(), probed_lead: near.lead() }
            };
            found.par_extend(cosines.axis_iter(Axis(0)).into_par_iter().map(one));
        }
        Ok(found)
    }

    /// The rows of every cluster, as the model's stages would part them.
    fn leaves(&self, rows: ArrayView2<f32>, clusters: ClusterSettings, seed: u64) -> Result<Vec<Vec<u32>>, LearnError> {
        // Clusters that hold as many rows as in the whole library: fewer of them, where somebody said how many there are.
        let left = rows.nrows() as f64 / self.classes.len().max(1) as f64;
        let share = left.powf(1.0 / self.config.stages.len().max(1) as f64);
        let fewer = |&slots: &usize| if slots == 0 { 0 } else { ((slots as f64 * share).round() as usize).max(1) };
        let stages = self.config.stages.iter().map(fewer).collect();
        let branching = TrainConfig { spill: 1, stages, ..self.config.clone() }.branching(rows.nrows());
        let fits = branching.iter().product::<usize>() <= rows.nrows();
        Ok(Tree::grow(rows, if fits { &branching } else { &[] }, clusters, seed)?.leaves().to_vec())
    }

    /// What is added to the scores of the rows of labels kept, from their examples; 0 for the others.
    fn biases(
        &self,
        vectors: ArrayView2<f32>,
        rows: ArrayView2<f32>,
        kept: &[usize],
        left_out: impl Fn(u32) -> bool,
        strength: f32,
    ) -> Vec<f32> {
        let mut biases = vec![0.0; self.classes.len()];
        let stay: Vec<usize> = (0..biases.len()).filter(|&p| !left_out(self.classes.label(p))).collect();
        let examples: Vec<usize> = hubness::sample(kept.len()).into_iter().map(|i| kept[i]).collect();
        let song = |class: usize| self.songs.of(self.classes.label(class));
        let same_song = |row: usize, example: usize| song(stay[row]) == song(self.examples[examples[example]] as usize);
        let rows = rows.select(Axis(0), &stay);
        let of_rows = hubness::biases(rows.view(), vectors.select(Axis(0), &examples).view(), strength, same_song);
        for (&class, bias) in stay.iter().zip(of_rows) {
            biases[class] = bias;
        }
        biases
    }
}
