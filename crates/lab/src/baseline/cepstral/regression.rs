//! [`FlatRegression`]: one linear classifier over all tracks and a vote over half-second windows, as in Concrete_Shazam.
//!
//! The entry that won the bounty for encrypted music recognition sums 20 MFCC over every half second, fits a multinomial
//! logistic regression, rounds inputs and weights to 8 bits after training, evaluates every window encrypted, and lets the client take
//! the best track of every window and the majority over the windows. Here features are standardised before
//! the fit and the rounding, which its 8 bits for a whole tensor profit from.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use sordino_front::VectorBound;
use sordino_learn::Answer;
use sordino_model::Learns;
use sordino_model::stage::{Hierarchy, Stage};

use super::MfccSettings;
use super::{MfccWindows, encrypted};
use crate::LabError;
use crate::baseline::softmax::{self, Softmax, SoftmaxSettings};
use crate::baseline::vote::majority;
use crate::baseline::{Library, PhaseProgress};
use crate::evaluate::{AnswerSettings, Evaluation, Queries, Response, System, in_the_clear};

/// Largest entry of a rounded vector or row of weights: 8 bits with sign.
const LEVEL: f32 = 127.0;

/// How the classifier is built.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegressionSettings {
    /// Windows to vectors.
    pub mfcc: MfccSettings,
    /// The fit.
    pub softmax: SoftmaxSettings,
    /// Standard deviations that the largest 8-bit input stands for; what is beyond is cut off.
    pub range: f32,
    /// Windows that must agree for a track to be known.
    pub votes: usize,
}

impl RegressionSettings {
    pub(super) fn check(&self) -> Result<(), LabError> {
        if self.range > 0.0 && self.range.is_finite() {
            return Ok(());
        }
        let (found, expected) = (self.range.to_string(), "a positive number".into());
        Err(LabError::Setting { setting: "range".into(), found, expected })
    }
}

impl Default for RegressionSettings {
    fn default() -> Self {
        Self { mfcc: MfccSettings::default(), softmax: SoftmaxSettings::default(), range: 4.0, votes: 5 }
    }
}

/// Linear scores of every window, one for each row of a track: in floating point and in integers. As a [`System`] it responds in integers,
/// as it would encrypted.
pub struct FlatRegression {
    name: &'static str,
    windows: MfccWindows,
    mean: Array1<f32>,
    inv_std: Array1<f32>,
    float: Softmax,
    /// The integers of the hierarchy, exact in single precision.
    weights: Array2<f32>,
    bias: Array1<f32>,
    hierarchy: Hierarchy,
    /// The track of every row.
    tracks: Vec<u32>,
    scale: f32,
    votes: usize,
}

/// Standardised windows of a library, and how they were standardised.
pub(super) struct Standardised {
    windows: MfccWindows,
    mean: Array1<f32>,
    inv_std: Array1<f32>,
    /// Shape `[windows, coefficients]`.
    pub(super) vectors: Array2<f32>,
    /// The track of each.
    pub(super) tracks: Vec<u32>,
}

impl Standardised {
    /// What may be heard of a library, each coefficient with mean 0 and variance 1.
    pub(super) fn of(library: &Library<'_>, mfcc: MfccSettings, progress: PhaseProgress<'_>) -> Result<Self, LabError> {
        let windows = MfccWindows::new(mfcc)?;
        let examples = windows.of_library(library, progress)?;
        if examples.tracks.is_empty() {
            return Err(LabError::Setting {
                setting: "library".into(),
                found: format!("{} tracks without a whole window", library.len()),
                expected: "at least one window".into(),
            });
        }
        let mean = examples.vectors.sum_axis(Axis(0)) / examples.vectors.nrows() as f32;
        let mut vectors = examples.vectors - &mean;
        let inv_std = vectors.map_axis(Axis(0), |column| {
            let variance = column.iter().map(|v| v * v).sum::<f32>() / column.len() as f32;
            if variance > 0.0 { variance.sqrt().recip() } else { 0.0 }
        });
        vectors *= &inv_std;
        Ok(Self { windows, mean, inv_std, vectors, tracks: examples.tracks })
    }
}

impl FlatRegression {
    /// Fits the classifier to what may be heard of a library. 1,000 tracks of 30 s take half a minute on two cores, and the time
    /// grows with the square of their number.
    ///
    /// # Errors
    /// [`LabError::Setting`] for settings out of range or a library without a window, [`LabError::Corpus`] for a track that
    /// cannot be read.
    pub fn fit(
        library: &Library<'_>,
        settings: RegressionSettings,
        seed: u64,
        progress: PhaseProgress<'_>,
    ) -> Result<Self, LabError> {
        settings.check()?;
        let heard = Standardised::of(library, settings.mfcc, progress)?;
        let (x, tracks) = (heard.vectors.view(), &heard.tracks);
        let float = softmax::fit(x, tracks, library.len(), settings.softmax, seed, progress)?;
        let name = if settings.mfcc.rate == 8_000 { "mfcc-regression-8k" } else { "mfcc-regression" };
        Self::of(name, heard, float, (0..library.len() as u32).collect(), settings)
    }

    /// Rounds linear scores, one for each of `tracks`, the track that a row is of.
    pub(super) fn of(
        name: &'static str,
        heard: Standardised,
        float: Softmax,
        tracks: Vec<u32>,
        settings: RegressionSettings,
    ) -> Result<Self, LabError> {
        let Standardised { windows, mean, inv_std, .. } = heard;
        let scale = LEVEL / settings.range;
        let largest = float.weights.iter().fold(f32::MIN_POSITIVE, |a, w| a.max(w.abs()));
        let weight_scale = LEVEL / largest;
        let weights = float.weights.mapv(|w| (w * weight_scale).round_ties_even());
        let bias = float.bias.mapv(|b| (b * weight_scale * scale).round_ties_even());
        let width = mean.len();
        let bound = VectorBound { width, max_abs: LEVEL as i32, norm_squared: (LEVEL * LEVEL) as u64 * width as u64 };
        // Both casts are exact: weights lie within 127, and biases of more than 2^24 would not fit any plan.
        let table = weights.iter().map(|&w| w as i8).collect();
        let rows = tracks.len();
        let stage = Stage::new(rows, bound, table, bias.iter().map(|&b| b as i32).collect(), vec![rows]);
        let hierarchy = stage.and_then(|stage| Hierarchy::new(vec![stage])).map_err(|error| LabError::Setting {
            setting: "regression".into(),
            found: error.to_string(),
            expected: "a classifier of at least one track".into(),
        })?;
        Ok(Self { name, windows, mean, inv_std, float, weights, bias, hierarchy, tracks, scale, votes: settings.votes })
    }

    /// Its integer weights as a model of one stage, for the `flat` protocol: one query a window.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// What the client encrypts of a clip: one vector of 8-bit integers per window.
    pub fn window_vectors(&self, samples: &[f32]) -> Vec<Vec<i32>> {
        let rounded = self.rounded(samples);
        rounded.rows().into_iter().map(|row| row.iter().map(|&v| v as i32).collect()).collect()
    }

    /// What the client makes of the decrypted scores, one row of all tracks' scores per window.
    pub fn decide(&self, scores: &[Vec<i64>]) -> Answer {
        let best = |scores: &Vec<i64>| (0..scores.len()).rev().max_by_key(|&row| scores[row]);
        majority(scores.iter().filter_map(best).map(|row| self.tracks[row]), self.votes)
    }

    /// The answer before any rounding.
    ///
    /// # Errors
    /// As [`System::respond`].
    pub fn answer_in_floating_point(&self, samples: &[f32]) -> Result<Answer, LabError> {
        let x = self.standardised(samples);
        self.vote(samples, x.dot(&self.float.weights.t()) + &self.float.bias)
    }

    /// Share of the windows of a clip of the track at `position` that are given to it, in integers.
    pub fn window_accuracy(&self, position: u32, samples: &[f32]) -> f32 {
        let scores = self.rounded(samples).dot(&self.weights.t()) + &self.bias;
        let right = best_of_rows(scores.view()).filter(|&row| self.tracks[row] == position).count();
        right as f32 / scores.nrows().max(1) as f32
    }

    fn standardised(&self, samples: &[f32]) -> Array2<f32> {
        (self.windows.of(samples) - &self.mean) * &self.inv_std
    }

    fn rounded(&self, samples: &[f32]) -> Array2<f32> {
        self.standardised(samples).mapv(|v| (v * self.scale).round_ties_even().clamp(-LEVEL, LEVEL))
    }

    fn vote(&self, samples: &[f32], scores: Array2<f32>) -> Result<Answer, LabError> {
        if samples.iter().any(|v| !v.is_finite()) {
            return Err(not_finite());
        }
        Ok(majority(best_of_rows(scores.view()).map(|row| self.tracks[row]), self.votes))
    }
}

pub(crate) fn not_finite() -> LabError {
    LabError::Setting { setting: "samples".into(), found: "NaN or infinity".into(), expected: "finite numbers".into() }
}

/// The first largest column of every row.
fn best_of_rows(scores: ArrayView2<'_, f32>) -> impl Iterator<Item = usize> {
    let best = |row: ndarray::ArrayView1<f32>| {
        row.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (i, &v)| if v > best.1 { (i, v) } else { best }).0
    };
    (0..scores.nrows()).map(move |i| best(scores.row(i)))
}

impl System for FlatRegression {
    fn name(&self) -> &'static str {
        self.name
    }

    fn learns(&self) -> Learns {
        Learns { server: "that a query was made, and its length", client: "every track's score for every half second" }
    }

    fn rate(&self) -> u32 {
        self.windows.settings().rate
    }

    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        Ok(self.vote(samples, self.rounded(samples).dot(&self.weights.t()) + &self.bias)?.into())
    }

    /// In floating point, in integers, and a sample of clips encrypted.
    fn evaluate(&self, queries: &Queries<'_>, settings: &AnswerSettings) -> Result<Evaluation, LabError> {
        let float = |samples: &[f32]| Ok(self.answer_in_floating_point(samples)?.into());
        let float = in_the_clear(self, queries, "float", float)?;
        let integer = in_the_clear(self, queries, "integer", |samples| self.respond(samples))?;
        let mut answers = vec![float, integer];
        if settings.encrypted > 0 {
            answers.push(encrypted::answers(self, queries, settings, &answers[1])?);
        }
        Ok(Evaluation { answers })
    }
}
