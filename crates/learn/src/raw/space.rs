//! [`RawSpace`]: where rows of raw sound live, and what their features' length is measured by.

use ndarray::{Array2, ArrayView2};

use crate::LearnError;
use crate::examples::{Classes, Songs};
use crate::heads::hubness;
use crate::math::affine::Affine;
use crate::math::matrix::{normalise_rows, times_transposed};
use crate::math::random::random_rotation;
use crate::space::unit_vectors::prototypes;
use crate::space::whitening::Whitening;

/// A whitened space with the rows of some classes in it. Scores are not divided by a vector's length: encrypted, nothing is.
pub(crate) struct RawSpace {
    /// To vectors of unit scatter within a class, rotated so that their components are alike.
    pub(crate) map: Affine,
    /// What features are on average: where the map is zero.
    pub(crate) mean: Vec<f32>,
    /// Unit rows of the classes, `[classes, directions]`.
    pub(crate) rows: Array2<f32>,
    /// What is added to a row's cosine.
    pub(crate) biases: Vec<f32>,
    /// A usual length.
    pub(crate) usual: f32,
}

/// What one vector comes to.
pub(crate) struct Seen {
    /// The score of every row.
    pub(crate) scores: Vec<f32>,
    /// The mean of the absolute values along the directions.
    pub(crate) length: f32,
    /// The largest of them.
    pub(crate) peak: f32,
}

impl RawSpace {
    /// The space of these examples `[examples, features]`, each of one of `classes`, which are those of `of` and none else.
    pub(crate) fn new(
        whitening: &Whitening,
        features: ArrayView2<f32>,
        classes: &[u32],
        of: usize,
        hubness: f32,
        song: impl Fn(usize) -> u32 + Sync,
        seed: u64,
    ) -> Self {
        let whitening = whitening.rotated(random_rotation(whitening.width(), seed).view());
        let mut vectors = whitening.project(features);
        let lengths: f32 = vectors.rows().into_iter().map(|v| v.dot(&v).sqrt()).sum();
        let usual = lengths / vectors.nrows().max(1) as f32;
        normalise_rows(&mut vectors);
        let rows = prototypes(vectors.view(), classes, of);
        // Every so many examples are enough to tell how much of a hub a row is.
        let step = vectors.nrows().div_ceil(hubness::EXAMPLES).max(1);
        let some: Vec<usize> = (0..vectors.nrows()).step_by(step).collect();
        let examples = vectors.select(ndarray::Axis(0), &some);
        let own = |row: usize, example: usize| song(row) == song(classes[some[example]] as usize);
        let biases = hubness::biases(rows.view(), examples.view(), hubness, own);
        Self { map: whitening.affine(), mean: whitening.mean.to_vec(), rows, biases, usual }
    }

    /// What these features come to, one by one.
    pub(crate) fn see(&self, features: ArrayView2<f32>) -> Vec<Seen> {
        let vectors = times_transposed(features, self.map.weight.view()) + &self.map.bias;
        let scores = times_transposed(vectors.view(), self.rows.view());
        let seen = vectors.rows().into_iter().zip(scores.rows()).map(|(vector, scores)| Seen {
            scores: scores.iter().zip(&self.biases).map(|(score, bias)| score + bias * self.usual).collect(),
            length: vector.iter().map(|x| x.abs()).sum::<f32>() / vector.len() as f32,
            peak: vector.iter().fold(0.0, |most, x| most.max(x.abs())),
        });
        seen.collect()
    }

    /// Rows on the features themselves, `[classes, features]`.
    pub(crate) fn rows_on_features(&self) -> Array2<f32> {
        self.rows.dot(&self.map.weight)
    }
}

/// The best score of the song of a vector, and of all others.
pub(crate) fn best_of(seen: &Seen, classes: &Classes, songs: &Songs, song: u32) -> (f32, f32) {
    let mut best = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (class, &score) in seen.scores.iter().enumerate() {
        let place = if songs.of(classes.label(class)) == song { &mut best.0 } else { &mut best.1 };
        *place = place.max(score);
    }
    best
}

/// Refuses features that are not numbers; there are none, but a division by a length of zero would make some.
pub(crate) fn finite(value: f32) -> Result<f32, LearnError> {
    if value.is_finite() { Ok(value) } else { Err(LearnError::Diverged { what: "the scores of raw sound", steps: 0 }) }
}
