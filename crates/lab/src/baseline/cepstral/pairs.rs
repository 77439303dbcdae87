//! [`PairRegression`]: does this half second come from the same song as that one, asked of every half second of the library.
//!
//! The Concrete_Shazam entry names it as what to try next: one logistic regression on two feature vectors in place of one class for every
//! track, applied to the query and to every window of the library; the tracks of the best windows vote. On two vectors side by side it would
//! be a sum of a score of each, so that every query had the same winner. Here it sees the squares of their differences, a learned distance.
//!
//! Of `sum v (a - b)^2` the part that the query does not share with every row is linear in the query `a`: `b (-2 v) a + v b^2`.
//! So encrypted it is what [`FlatRegression`] is, with a row for every window of the library, some sixty times as many as tracks.

use ndarray::{Array1, Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::regression::{FlatRegression, RegressionSettings, Standardised};
use crate::LabError;
use crate::baseline::softmax::{self, Softmax};
use crate::baseline::{Library, PhaseProgress};

/// How the distance is learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PairSettings {
    /// Windows, and how a linear classifier of rows is rounded and votes.
    pub regression: RegressionSettings,
    /// Pairs to learn from: half of one song, half of two.
    pub pairs: usize,
}

impl Default for PairSettings {
    fn default() -> Self {
        Self { regression: RegressionSettings::default(), pairs: 200_000 }
    }
}

/// A learned distance of two windows.
pub struct PairRegression;

impl PairRegression {
    /// Learns the distance from pairs of windows, and keeps every window of the library as a row.
    ///
    /// # Errors
    /// As [`FlatRegression::fit`]; [`LabError::Setting`] for no pairs, or fewer than two tracks.
    pub fn fit(
        library: &Library<'_>,
        settings: PairSettings,
        seed: u64,
        progress: PhaseProgress<'_>,
    ) -> Result<FlatRegression, LabError> {
        settings.regression.check()?;
        let mut heard = Standardised::of(library, settings.regression.mfcc, progress)?;
        // As far out as a query reaches: a silent window lies so far from all others that it alone would make the distance.
        let range = settings.regression.range;
        heard.vectors.mapv_inplace(|b| b.clamp(-range, range));
        let distance = distance(&heard, settings, seed, progress)?;
        let weights = heard.vectors.map(|b| -2.0 * b) * &distance;
        let bias = (&heard.vectors * &heard.vectors * &distance).sum_axis(Axis(1));
        let tracks = heard.tracks.clone();
        FlatRegression::of("mfcc-pairs", heard, Softmax { weights, bias, loss: 0.0 }, tracks, settings.regression)
    }
}

/// What each squared difference of two windows says for one song, never positive: shape `[coefficients]`.
fn distance(
    heard: &Standardised,
    settings: PairSettings,
    seed: u64,
    progress: PhaseProgress<'_>,
) -> Result<Array1<f32>, LabError> {
    let Standardised { vectors, tracks, .. } = heard;
    let several = tracks.first() != tracks.last();
    if settings.pairs == 0 || !several {
        let found = format!("{} pairs of {} windows", settings.pairs, tracks.len());
        let expected = "at least one, of windows of at least two tracks".into();
        return Err(LabError::Setting { setting: "pairs".into(), found, expected });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Windows of a track stand together.
    let own = |window: usize| {
        let track = tracks[window];
        tracks.partition_point(|&other| other < track)..tracks.partition_point(|&other| other <= track)
    };
    let mut squares = Array2::zeros((settings.pairs, vectors.ncols()));
    let labels: Vec<u32> = (0..settings.pairs as u32).map(|pair| pair % 2).collect();
    for (mut row, &same) in squares.rows_mut().into_iter().zip(&labels) {
        let one = rng.random_range(0..tracks.len());
        let other = if same == 1 {
            rng.random_range(own(one))
        } else {
            loop {
                let other = rng.random_range(0..tracks.len());
                if tracks[other] != tracks[one] {
                    break other;
                }
            }
        };
        let differences = vectors.row(one).to_owned() - vectors.row(other);
        row.assign(&differences.mapv(|d| d * d));
    }
    let fitted = softmax::fit(squares.view(), &labels, 2, settings.regression.softmax, seed, progress)?;
    let said = &fitted.weights.row(1) - &fitted.weights.row(0);
    // A coefficient that differs more within songs than between them says nothing of a song. What is left is a distance: without this, the
    // row furthest away could be the best.
    Ok(said.mapv(|v| v.min(0.0)))
}
