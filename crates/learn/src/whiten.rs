//! [`Whitening`]: features to the unit vectors that tracks are compared by.
//!
//! Linear discriminant analysis with whitening by the within-class covariance (Fukunaga, *Introduction to Statistical
//! Pattern Recognition*, 2nd edition, chapter 10): standardise, make the covariance of one track's disturbed clips
//! the identity, keep the directions in which tracks differ most, and normalise to unit length. Scores between
//! such vectors are cosines, so their range is known before any query arrives.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::LearnError;

/// How to whiten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhiteningSettings {
    /// Components kept: the length of the vectors that the last stage sees.
    pub width: usize,
    /// Added to the diagonal of the within-class covariance of standardised features.
    pub ridge: f32,
    /// Whether to rotate the result by a random orthogonal matrix. Cosines do not change, but the components become
    /// alike in size, which a shared grid of few integers needs.
    pub rotate: bool,
}

impl Default for WhiteningSettings {
    fn default() -> Self {
        Self { width: 96, ridge: 1e-3, rotate: true }
    }
}

/// `x -> normalise(matrix . ((x - mean) / deviation))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    /// Mean of every feature, shape `[features]`.
    pub mean: Array1<f32>,
    /// Standard deviation of every feature, shape `[features]`; 1 where a feature is constant.
    pub deviation: Array1<f32>,
    /// Projection, shape `[width, features]`.
    pub matrix: Array2<f32>,
}

impl Whitening {
    /// Fits to `features` of shape `[clips, features]`, where `classes[i] < class_count` says which track clip `i` is
    /// of. The result has `min(settings.width, features)` components.
    ///
    /// # Errors
    /// [`LearnError`] where shapes disagree, for fewer than two classes, or for features that are not finite.
    pub fn fit(
        features: ArrayView2<f32>,
        classes: &[u32],
        class_count: usize,
        settings: WhiteningSettings,
        seed: u64,
    ) -> Result<Self, LearnError> {
        let (clips, width) = features.dim();
        if classes.len() != clips {
            let (found, expected) = (vec![classes.len()], vec![clips]);
            return Err(LearnError::Shape { what: "classes of clips", found, expected });
        }
        if class_count < 2 {
            return Err(LearnError::TooFew { what: "tracks", found: class_count, expected: 2 });
        }
        if settings.width == 0 || settings.ridge.is_nan() || settings.ridge <= 0.0 {
            let found = format!("width {}, ridge {}", settings.width, settings.ridge);
            let expected = "a positive width and ridge".into();
            return Err(LearnError::Setting { setting: "whitening", found, expected });
        }
        let (mean, deviation) = moments(features);
        let (within, between) = scatters(features, classes, class_count, &mean, &deviation);
        if within.iter().chain(between.iter()).any(|v| !v.is_finite()) {
            return Err(LearnError::Diverged { what: "the covariance of features", steps: 0 });
        }
        let mut matrix = discriminants(within, &between, settings.ridge, settings.width.min(width));
        if settings.rotate {
            matrix = rotation(matrix.nrows(), seed) * matrix;
        }
        let matrix = Array2::from_shape_fn((matrix.nrows(), width), |(i, j)| matrix[(i, j)] as f32);
        Ok(Self { mean, deviation, matrix })
    }

    /// Number of features taken.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// Number of components given.
    pub fn width(&self) -> usize {
        self.matrix.nrows()
    }

    /// Standardised and whitened, not yet of unit length: `[clips, features]` to `[clips, width]`.
    pub fn project(&self, features: ArrayView2<f32>) -> Array2<f32> {
        // One scaled matrix and one offset, so that no standardised copy of the features is made.
        let scaled = &self.matrix / &self.deviation;
        features.dot(&scaled.t()) - scaled.dot(&self.mean)
    }

    /// Unit vectors: `[clips, features]` to `[clips, width]`.
    pub fn apply(&self, features: ArrayView2<f32>) -> Array2<f32> {
        let mut projected = self.project(features);
        normalise_rows(&mut projected);
        projected
    }
}

/// Scales every row to unit length; rows of zeros stay.
pub(crate) fn normalise_rows(rows: &mut Array2<f32>) {
    for mut row in rows.rows_mut() {
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 {
            row.mapv_inplace(|v| v / norm);
        }
    }
}

/// Mean and standard deviation of every column, in double precision.
pub(crate) fn moments(features: ArrayView2<f32>) -> (Array1<f32>, Array1<f32>) {
    let (clips, width) = features.dim();
    let mut sum = Array1::<f64>::zeros(width);
    for row in features.rows() {
        sum.zip_mut_with(&row, |s, &v| *s += f64::from(v));
    }
    let mean = sum / clips.max(1) as f64;
    let mut square = Array1::<f64>::zeros(width);
    for row in features.rows() {
        for ((s, &v), m) in square.iter_mut().zip(row).zip(&mean) {
            *s += (f64::from(v) - m).powi(2);
        }
    }
    let deviation = square.mapv(|s| {
        let deviation = (s / clips.max(1) as f64).sqrt() as f32;
        if deviation > 1e-6 { deviation } else { 1.0 }
    });
    (mean.mapv(|m| m as f32), deviation)
}

/// Within-class and between-class covariance of standardised features, both `[features, features]`, each divided by
/// the number of clips.
fn scatters(
    features: ArrayView2<f32>,
    classes: &[u32],
    class_count: usize,
    mean: &Array1<f32>,
    deviation: &Array1<f32>,
) -> (Array2<f64>, Array2<f64>) {
    const CHUNK: usize = 4_096;
    let (clips, width) = features.dim();
    let mut total = Array2::<f64>::zeros((width, width));
    let mut class_mean = Array2::<f64>::zeros((class_count, width));
    let mut class_size = vec![0usize; class_count];
    for (chunk, labels) in features.axis_chunks_iter(Axis(0), CHUNK).zip(classes.chunks(CHUNK)) {
        let standard = (&chunk - mean) / deviation;
        total += &standard.t().dot(&standard).mapv(f64::from);
        for (row, &class) in standard.rows().into_iter().zip(labels) {
            class_mean.row_mut(class as usize).zip_mut_with(&row, |m, &v| *m += f64::from(v));
            class_size[class as usize] += 1;
        }
    }
    // Scaling each sum by 1 / sqrt(size) makes the product below the sum over classes of size * mean * mean^T.
    for (mut row, &size) in class_mean.rows_mut().into_iter().zip(&class_size) {
        row /= (size.max(1) as f64).sqrt();
    }
    let between = class_mean.t().dot(&class_mean) / clips as f64;
    let within = total / clips as f64 - &between;
    (within, between)
}

/// The `width` strongest generalised eigenvectors of `between` against `within + ridge`, as rows, each of unit
/// within-class variance.
fn discriminants(within: Array2<f64>, between: &Array2<f64>, ridge: f32, width: usize) -> DMatrix<f64> {
    let n = within.nrows();
    let within = DMatrix::from_fn(n, n, |i, j| {
        (within[(i, j)] + within[(j, i)]) / 2.0 + if i == j { f64::from(ridge) } else { 0.0 }
    });
    let between = DMatrix::from_fn(n, n, |i, j| (between[(i, j)] + between[(j, i)]) / 2.0);
    let eigen = SymmetricEigen::new(within);
    // Rounding can push the smallest eigenvalue of a covariance below zero; the ridge is its true lower bound.
    let scale = eigen.eigenvalues.map(|v| v.max(f64::from(ridge)).recip().sqrt());
    let whiten = DMatrix::from_diagonal(&scale) * eigen.eigenvectors.transpose();
    let spread = SymmetricEigen::new(&whiten * between * whiten.transpose());
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| spread.eigenvalues[b].total_cmp(&spread.eigenvalues[a]));
    let strongest = DMatrix::from_fn(width, n, |i, j| spread.eigenvectors[(j, order[i])]);
    strongest * whiten
}

/// A random orthogonal matrix: the Q of a Gaussian matrix.
fn rotation(size: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(size, size, |_, _| StandardNormal.sample(&mut rng)).qr().q()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn example() -> (Array2<f32>, Vec<u32>) {
        // Twelve clips of three tracks, four features; made once by a generator of round numbers.
        let features = Array2::from_shape_fn((12, 4), |(i, j)| {
            let (track, k) = ((i / 4) as f32, (i * 7 + j * 5) % 11);
            track * [1.0, -2.0, 0.5, 0.0][j] + k as f32 * [0.1, 0.3, 0.2, 0.4][j] + (i * j % 5) as f32 * 0.25
        });
        (features, (0..12).map(|i| i / 4).collect())
    }

    #[test]
    fn within_class_covariance_becomes_the_identity() {
        let (features, classes) = example();
        let settings = WhiteningSettings { width: 4, ridge: 1e-6, rotate: true };
        let whitening = Whitening::fit(features.view(), &classes, 3, settings, 1).unwrap();
        let mut projected = whitening.project(features.view());
        for class in 0..3 {
            let mut part = projected.slice_mut(ndarray::s![class * 4..class * 4 + 4, ..]);
            let mean = part.mean_axis(Axis(0)).unwrap();
            part -= &mean;
        }
        let covariance = projected.t().dot(&projected) / 12.0;
        let error = (&covariance - &Array2::eye(4)).mapv(f32::abs).fold(0.0, |a: f32, &b| a.max(b));
        assert!(error < 1e-3, "{covariance}");
    }

    #[test]
    fn rotation_leaves_cosines_alone() {
        let (features, classes) = example();
        let gram = |rotate| {
            let settings = WhiteningSettings { width: 3, ridge: 1e-3, rotate };
            let vectors = Whitening::fit(features.view(), &classes, 3, settings, 5).unwrap().apply(features.view());
            vectors.dot(&vectors.t())
        };
        let difference = (gram(true) - gram(false)).mapv(f32::abs).fold(0.0, |a: f32, &b| a.max(b));
        assert!(difference < 1e-4, "{difference}");
    }

    #[test]
    fn bad_input_is_an_error() {
        let (mut features, classes) = example();
        let fit = |features: &Array2<f32>, classes: &[u32], count| {
            Whitening::fit(features.view(), classes, count, WhiteningSettings::default(), 0)
        };
        assert!(matches!(fit(&features, &classes[1..], 3), Err(LearnError::Shape { .. })));
        assert!(matches!(fit(&features, &[0; 12], 1), Err(LearnError::TooFew { .. })));
        features[(3, 2)] = f32::NAN;
        assert!(matches!(fit(&features, &classes, 3), Err(LearnError::Diverged { .. })));
        let zero = array![[0.0f32, 0.0]];
        let mut rows = zero.clone();
        normalise_rows(&mut rows);
        assert_eq!(rows, zero);
    }
}
