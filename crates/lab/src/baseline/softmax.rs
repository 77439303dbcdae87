//! Multinomial logistic regression by descent: as many classes as tracks, and minutes at thousands of them.

use ndarray::Array1;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::PhaseProgress;
use crate::LabError;

/// How to descend.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoftmaxSettings {
    /// Passes over the training vectors.
    pub epochs: usize,
    /// Vectors in a step.
    pub batch: usize,
    /// First step's learning rate; it falls along a cosine to zero.
    pub learning_rate: f32,
    /// Inverse strength of the penalty on squared weights, as scikit-learn counts it: the loss is the sum of the cross
    /// entropies times this, plus half the squared norm of the weights. Biases go free.
    pub c: f32,
}

impl Default for SoftmaxSettings {
    fn default() -> Self {
        Self { epochs: 30, batch: 1_024, learning_rate: 0.3, c: 1.0 }
    }
}

/// A linear classifier.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Softmax {
    /// Shape `[classes, features]`.
    pub(crate) weights: Array2<f32>,
    /// Shape `[classes]`.
    pub(crate) bias: Array1<f32>,
    /// Mean cross entropy over the last pass.
    pub(crate) loss: f32,
}

/// Adam's decay rates and the term that keeps it from dividing by zero (Kingma and Ba, arXiv 1412.6980).
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Numbers in one block of logits: it stays in the second-level cache.
const BLOCK: usize = 1 << 18;

/// Fits `classes` classes to standardised vectors `x`, shape `[vectors, features]`, by minibatches and Adam. The objective is
/// convex; at 1,000 tracks of 60 windows a pass takes as long as one gradient of a full-batch method, and twenty to
/// thirty of them come within a percent of the least loss.
pub(crate) fn fit(
    x: ArrayView2<f32>,
    labels: &[u32],
    classes: usize,
    settings: SoftmaxSettings,
    seed: u64,
    progress: PhaseProgress<'_>,
) -> Result<Softmax, LabError> {
    let positive = |value: f32| value > 0.0 && value.is_finite();
    if settings.batch == 0 || !positive(settings.learning_rate) || !positive(settings.c) {
        let expected = "a positive batch, learning rate and c".into();
        return Err(LabError::Setting { setting: "softmax".into(), found: format!("{settings:?}"), expected });
    }
    let (count, features) = x.dim();
    // The last column is the bias.
    let mut ones = Array2::ones((count, features + 1));
    ones.slice_axis_mut(Axis(1), (..features).into()).assign(&x);
    let x = ones;
    let mut theta = Array2::<f32>::zeros((classes, features + 1));
    let (mut first, mut second) = (theta.clone(), theta.clone());
    let penalty = (f64::from(settings.c) * count.max(1) as f64).recip() as f32;
    let steps = settings.epochs * count.div_ceil(settings.batch);
    let mut order: Vec<usize> = (0..count).collect();
    let mut loss = 0.0;
    let mut step = 0;
    for epoch in 0..settings.epochs {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(epoch as u64);
        order.shuffle(&mut rng);
        loss = 0.0;
        for batch in order.chunks(settings.batch) {
            let (mut gradient, entropy) = gradient(&x, labels, &theta, batch);
            loss += entropy / count as f64;
            let weights = theta.slice_axis(Axis(1), (..features).into());
            gradient.slice_axis_mut(Axis(1), (..features).into()).scaled_add(penalty, &weights);
            let through = step as f32 / steps as f32;
            let rate = settings.learning_rate * 0.5 * (1.0 + (std::f32::consts::PI * through).cos());
            step += 1;
            let rate = rate / (1.0 - BETA_1.powi(step));
            let unbias = 1.0 / (1.0 - BETA_2.powi(step));
            let moments = first.iter_mut().zip(second.iter_mut()).zip(gradient.iter());
            for (theta, ((m, v), &g)) in theta.iter_mut().zip(moments) {
                *m += (1.0 - BETA_1) * (g - *m);
                *v += (1.0 - BETA_2) * (g * g - *v);
                *theta -= rate * *m / ((*v * unbias).sqrt() + EPSILON);
            }
        }
        progress("regression", (epoch + 1) as f32 / settings.epochs as f32);
    }
    let weights = theta.slice_axis(Axis(1), (..features).into()).to_owned();
    let bias = theta.column(features).to_owned();
    Ok(Softmax { weights, bias, loss: loss as f32 })
}

/// Gradient of the batch's mean cross entropy, and their sum. Blocks of fixed size are added in order, so that the number of threads
/// does not matter.
fn gradient(x: &Array2<f32>, labels: &[u32], theta: &Array2<f32>, batch: &[usize]) -> (Array2<f32>, f64) {
    let rows = (BLOCK / theta.nrows().max(1)).clamp(16, 512);
    let part = |rows: &[usize]| {
        let x = x.select(Axis(0), rows);
        let mut p = x.dot(&theta.t());
        let mut entropy = 0.0;
        for (row, &i) in p.rows_mut().into_iter().zip(rows) {
            entropy += f64::from(residual(row, labels[i] as usize));
        }
        (p, x, entropy)
    };
    let parts: Vec<(Array2<f32>, Array2<f32>, f64)> = batch.par_chunks(rows).map(part).collect();
    let mut sum = Array2::zeros(theta.raw_dim());
    // One product per share of the classes: every thread writes rows of its own.
    const CLASSES: usize = 256;
    let scale = 1.0 / batch.len() as f32;
    let shares: Vec<_> = sum.axis_chunks_iter_mut(Axis(0), CLASSES).enumerate().collect();
    shares.into_par_iter().for_each(|(share, mut out)| {
        let classes = share * CLASSES..share * CLASSES + out.nrows();
        for (p, x, _) in &parts {
            general_mat_mul(scale, &p.slice_axis(Axis(1), classes.clone().into()).t(), x, 1.0, &mut out);
        }
    });
    (sum, parts.iter().map(|(.., entropy)| entropy).sum())
}

/// Turns logits into probabilities minus the one that should be 1; returns the cross entropy.
fn residual(mut logits: ArrayViewMut1<f32>, label: usize) -> f32 {
    let top = logits.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let right = logits[label] - top;
    let mut sum = 0.0;
    logits.iter_mut().for_each(|v| {
        *v = (*v - top).exp();
        sum += *v;
    });
    logits /= sum;
    logits[label] -= 1.0;
    sum.ln() - right
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn settings(epochs: usize) -> SoftmaxSettings {
        SoftmaxSettings { epochs, batch: 4_096, c: 1e6, ..SoftmaxSettings::default() }
    }

    #[test]
    fn a_saturated_model_finds_the_frequencies() {
        // Two kinds of vectors, three classes: without a penalty the fit is exact, so that the probabilities are the
        // frequencies: 1/2, 1/4, 1/4 for the one kind, 1/8, 1/8, 3/4 for the other.
        let kinds = [(-1.0, [4, 2, 2]), (1.0, [1, 1, 6])];
        let mut rows = Vec::new();
        let mut labels = Vec::new();
        for (value, counts) in kinds {
            for (class, count) in counts.into_iter().enumerate() {
                for _ in 0..count {
                    rows.push(value);
                    labels.push(class as u32);
                }
            }
        }
        let x = Array2::from_shape_vec((rows.len(), 1), rows).unwrap();
        let fit = fit(x.view(), &labels, 3, settings(2_000), 1, &|_, _| {}).unwrap();
        for (value, counts) in kinds {
            let total: f32 = counts.iter().sum::<i32>() as f32;
            let logits = (0..3).map(|class| fit.weights[(class, 0)] * value + fit.bias[class]);
            let odds: Vec<f32> = logits.map(f32::exp).collect();
            for (odds_of, count) in odds.iter().zip(counts) {
                let (found, expected) = (odds_of / odds.iter().sum::<f32>(), count as f32 / total);
                assert!((found - expected).abs() < 1e-3, "{found} against {expected}");
            }
        }
    }

    #[test]
    fn the_penalty_is_scikit_learns() {
        // One vector at 1 of class 1 and one at -1 of class 0: the rows of weights are w and -w, the loss is
        // 2 ln(1 + exp(-2 w)) + w^2, and its derivative is zero at w = 2 / (1 + exp(2 w)).
        let x = Array2::from_shape_vec((2, 1), vec![-1.0, 1.0]).unwrap();
        let settings = SoftmaxSettings { c: 1.0, ..settings(3_000) };
        let fit = fit(x.view(), &[0, 1], 2, settings, 1, &|_, _| {}).unwrap();
        let w = fit.weights[(1, 0)];
        assert!((w + fit.weights[(0, 0)]).abs() < 1e-4);
        assert!((w - 2.0 / (1.0 + (2.0 * w).exp())).abs() < 1e-3, "{w}");
    }

    #[test]
    fn the_default_descent_arrives() {
        // Overlapping classes, as windows of music are: ten times as many passes find no better place.
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let labels: Vec<u32> = (0..3_000).map(|i| (i % 50) as u32).collect();
        let centre =
            |class: u32, j: usize| ((class as usize * 37 + j * 101 + j * class as usize * 13) % 29) as f32 / 14.0 - 1.0;
        let mut draw = |class, j| centre(class, j) + (0..4).map(|_| rng.random_range(-0.8..0.8f32)).sum::<f32>();
        let x = Array2::from_shape_fn((3_000, 8), |(i, j)| draw(labels[i], j));
        let loss = |epochs| {
            let settings = SoftmaxSettings { epochs, ..SoftmaxSettings::default() };
            let fit = fit(x.view(), &labels, 50, settings, 1, &|_, _| {}).unwrap();
            let logits = x.dot(&fit.weights.t()) + &fit.bias;
            let entropies = logits
                .rows()
                .into_iter()
                .zip(&labels)
                .map(|(row, &label)| row.iter().map(|v| v.exp()).sum::<f32>().ln() - row[label as usize]);
            let penalty = fit.weights.iter().map(|w| w * w).sum::<f32>() / 2.0;
            (entropies.sum::<f32>() + penalty) / 3_000.0
        };
        let (found, best) = (loss(SoftmaxSettings::default().epochs), loss(300));
        assert!(found < 1.01 * best && found < 3.0, "{found} against {best}");
    }

    #[test]
    fn threads_do_not_matter() {
        let x = Array2::from_shape_fn((700, 5), |(i, j)| ((i * 31 + j * 17) % 23) as f32 / 11.0 - 1.0);
        let labels: Vec<u32> = (0..700).map(|i| (i % 40) as u32).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let settings = SoftmaxSettings { epochs: 3, batch: 128, ..SoftmaxSettings::default() };
            pool.install(|| fit(x.view(), &labels, 40, settings, 9, &|_, _| {}).unwrap())
        };
        assert_eq!(run(1), run(3));
    }
}
