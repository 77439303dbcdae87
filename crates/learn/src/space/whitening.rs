//! [`Whitening`]: features to the unit vectors that classes are compared by.
//!
//! Linear discriminant analysis with whitening by the within-class covariance (Fukunaga, *Introduction to Statistical
//! Pattern Recognition*, 2nd edition, chapter 10): standardise, make the covariance of one class's examples
//! the identity, keep the directions in which classes differ most, and normalise to unit length. Scores between
//! such vectors are cosines, so their range is known before any query arrives.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::LearnError;
use crate::math::affine::Affine;
use crate::math::matrix::{gram, normalise_rows, times_transposed, weighted_moments};

/// How to whiten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WhiteningSettings {
    /// Components kept: the length of the vectors that the last stage sees.
    pub(crate) width: usize,
    /// Added to the diagonal of the within-class covariance of standardised features.
    pub(crate) ridge: f32,
}

/// `x -> normalise(matrix . ((x - mean) / deviation))`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Whitening {
    /// Mean of every feature, shape `[features]`.
    pub(crate) mean: Array1<f32>,
    /// Standard deviation of every feature, shape `[features]`; 1 where a feature is constant.
    pub(crate) deviation: Array1<f32>,
    /// Projection, shape `[width, features]`.
    pub(crate) matrix: Array2<f32>,
}

impl Whitening {
    /// Fits to `features` of shape `[examples, features]`, where `classes[i] < weights.len()` says which class example `i` is
    /// of, and the examples of class `c` count `weights[c]` times. Those of weight 0 are left out. The result has
    /// `min(settings.width, features)` components.
    ///
    /// # Errors
    /// [`LearnError`] where shapes disagree, for fewer than two classes, for features that are not finite, and for weights that are
    /// negative or no numbers.
    pub(crate) fn fit(
        features: ArrayView2<f32>,
        classes: &[u32],
        weights: &[f32],
        settings: WhiteningSettings,
    ) -> Result<Self, LearnError> {
        let (examples, width) = features.dim();
        let class_count = weights.iter().filter(|weight| **weight != 0.0).count();
        if classes.len() != examples {
            let (found, expected) = (vec![classes.len()], vec![examples]);
            return Err(LearnError::Shape { what: "classes of examples", found, expected });
        }
        if class_count < 2 {
            return Err(LearnError::TooFew { what: "classes", found: class_count, expected: 2 });
        }
        if settings.width == 0 || settings.ridge.is_nan() || settings.ridge <= 0.0 {
            let found = format!("width {}, ridge {}", settings.width, settings.ridge);
            let expected = "a positive width and ridge".into();
            return Err(LearnError::Setting { setting: "whitening", found, expected });
        }
        if let Some(weight) = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            let expected = "a number that is not negative".into();
            return Err(LearnError::Setting { setting: "weight of a class", found: weight.to_string(), expected });
        }
        let example_weights: Vec<f32> = classes.iter().map(|&class| weights[class as usize]).collect();
        let (mean, deviation) = weighted_moments(features, &example_weights);
        let (within, means) = scatters(features, classes, weights.len(), &example_weights, &mean, &deviation);
        if within.iter().chain(&means).any(|v| !v.is_finite()) {
            return Err(LearnError::Diverged { what: "the covariance of features", steps: 0 });
        }
        // The global mean is zero, so the classes' means span one direction fewer than there are classes.
        let matrix = discriminants(&within, &means, settings.ridge, settings.width.min(width).min(class_count - 1))?;
        let matrix = Array2::from_shape_fn((matrix.nrows(), width), |(i, j)| matrix[(i, j)] as f32);
        Ok(Self { mean, deviation, matrix })
    }

    /// Number of components given.
    pub(crate) fn width(&self) -> usize {
        self.matrix.nrows()
    }

    /// The same with only the `width` strongest directions.
    pub(crate) fn narrowed(&self, width: usize) -> Self {
        let keep = width.min(self.width());
        let matrix = self.matrix.slice_axis(Axis(0), (..keep).into()).to_owned();
        Self { mean: self.mean.clone(), deviation: self.deviation.clone(), matrix }
    }

    /// The same followed by a rotation, shape `[width, width]`. Cosines do not change, but after a random rotation the
    /// components are alike in size, which a shared grid of few integers needs.
    pub(crate) fn rotated(&self, rotation: ArrayView2<f32>) -> Self {
        let matrix = rotation.dot(&self.matrix);
        Self { mean: self.mean.clone(), deviation: self.deviation.clone(), matrix }
    }

    /// Everything before the normalisation as one affine map.
    pub(crate) fn affine(&self) -> Affine {
        let weight = &self.matrix / &self.deviation;
        let bias = -weight.dot(&self.mean);
        Affine { weight, bias }
    }

    /// Standardised and whitened, not yet of unit length: `[examples, features]` to `[examples, width]`.
    pub(crate) fn project(&self, features: ArrayView2<f32>) -> Array2<f32> {
        let Affine { weight, bias } = self.affine();
        times_transposed(features, weight.view()) + bias
    }

    /// Unit vectors: `[examples, features]` to `[examples, width]`.
    pub(crate) fn apply(&self, features: ArrayView2<f32>) -> Array2<f32> {
        let mut projected = self.project(features);
        normalise_rows(&mut projected);
        projected
    }
}

/// Within-class covariance of standardised features, `[features, features]`, and the classes' means times the square
/// root of their share of the weight, `[classes, features]`, whose Gram matrix is the between-class covariance.
fn scatters(
    features: ArrayView2<f32>,
    classes: &[u32],
    class_count: usize,
    weights: &[f32],
    mean: &Array1<f32>,
    deviation: &Array1<f32>,
) -> (Array2<f64>, Array2<f64>) {
    let width = features.ncols();
    let all: f64 = weights.iter().map(|&w| f64::from(w)).sum();
    let standard = |first: usize, rows: ArrayView2<f32>| {
        let mut rows = (&rows - mean) / deviation;
        rows.rows_mut().into_iter().zip(&weights[first..]).for_each(|(mut row, w)| row *= w.sqrt());
        rows
    };
    let total = gram(features, standard) / all;
    let mut means = Array2::<f64>::zeros((class_count, width));
    let mut shares = vec![0.0f64; class_count];
    for ((row, &class), &weight) in features.rows().into_iter().zip(classes).zip(weights) {
        let weight = f64::from(weight);
        shares[class as usize] += weight;
        let standard = row.iter().zip(mean).zip(deviation).map(|((v, m), d)| weight * f64::from((v - m) / d));
        means.row_mut(class as usize).iter_mut().zip(standard).for_each(|(sum, v)| *sum += v);
    }
    // The mean is sum / share, its weight sqrt(share / all).
    for (mut row, &share) in means.rows_mut().into_iter().zip(&shares) {
        row /= (share * all).sqrt().max(f64::MIN_POSITIVE);
    }
    let within = total - means.t().dot(&means);
    (within, means)
}

/// The `width` strongest generalised eigenvectors of `means^T means` against `within + ridge`, as rows, each of unit
/// within-class variance.
fn discriminants(
    within: &Array2<f64>,
    means: &Array2<f64>,
    ridge: f32,
    width: usize,
) -> Result<DMatrix<f64>, LearnError> {
    let (classes, n) = means.dim();
    let within = DMatrix::from_fn(n, n, |i, j| {
        (within[(i, j)] + within[(j, i)]) / 2.0 + if i == j { f64::from(ridge) } else { 0.0 }
    });
    // With within = L L^T and Y = L^-1 means^T the problem is symmetric: Y Y^T u = lambda u, and a row is u^T L^-1.
    let diverged = LearnError::Diverged { what: "the covariance of features", steps: 0 };
    let lower = within.cholesky().ok_or(diverged)?.unpack();
    let mut y = DMatrix::from_fn(n, classes, |i, j| means[(j, i)]);
    solve_lower(&lower, &mut y);
    // The smaller of Y^T Y and Y Y^T has all the eigenvalues that are not zero.
    let directions = if classes < n {
        &y * strongest(y.transpose() * &y, width.min(classes))
    } else {
        strongest(&y * y.transpose(), width)
    };
    let mut rows = directions;
    for mut column in rows.column_iter_mut() {
        let norm = column.norm();
        column /= norm.max(f64::MIN_POSITIVE);
    }
    tr_solve_lower(&lower, &mut rows);
    Ok(rows.transpose())
}

/// Rows that are solved at once: what lies outside a block is a product of matrices, which is many times faster.
const BLOCK: usize = 64;

/// `y <- lower^-1 y`.
fn solve_lower(lower: &DMatrix<f64>, y: &mut DMatrix<f64>) {
    let n = lower.nrows();
    for from in (0..n).step_by(BLOCK) {
        let size = BLOCK.min(n - from);
        let (solved, mut rest) = y.rows_range_pair_mut(..from, from..);
        let mut own = rest.rows_mut(0, size);
        own.gemm(-1.0, &lower.view((from, 0), (size, from)), &solved, 1.0);
        lower.view((from, from), (size, size)).solve_lower_triangular_mut(&mut own);
    }
}

/// `y <- lower^-T y`.
fn tr_solve_lower(lower: &DMatrix<f64>, y: &mut DMatrix<f64>) {
    let n = lower.nrows();
    for from in (0..n).step_by(BLOCK).rev() {
        let size = BLOCK.min(n - from);
        let (mut rest, solved) = y.rows_range_pair_mut(..from + size, from + size..);
        let mut own = rest.rows_mut(from, size);
        own.gemm(-1.0, &lower.view((from + size, from), (n - from - size, size)).transpose(), &solved, 1.0);
        lower.view((from, from), (size, size)).tr_solve_lower_triangular_mut(&mut own);
    }
}

/// Eigenvectors of the `count` largest eigenvalues of a symmetric matrix, as columns.
fn strongest(matrix: DMatrix<f64>, count: usize) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(matrix);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    DMatrix::from_fn(eigen.eigenvectors.nrows(), count, |i, j| eigen.eigenvectors[(i, order[j])])
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::math::random::random_rotation;

    fn example() -> (Array2<f32>, Vec<u32>) {
        // Twelve examples of three labels, four features; made once by a generator of round numbers.
        let features = Array2::from_shape_fn((12, 4), |(i, j)| {
            let (label, k) = ((i / 4) as f32, (i * 7 + j * 5) % 11);
            label * [1.0, -2.0, 0.5, 0.0][j] + k as f32 * [0.1, 0.3, 0.2, 0.4][j] + (i * j % 5) as f32 * 0.25
        });
        (features, (0..12).map(|i| i / 4).collect())
    }

    #[test]
    fn within_class_covariance_becomes_the_identity() {
        let (features, classes) = example();
        let settings = WhiteningSettings { width: 2, ridge: 1e-6 };
        let whitening = Whitening::fit(features.view(), &classes, &[1.0; 3], settings).unwrap();
        let mut projected = whitening.project(features.view());
        for class in 0..3 {
            let mut part = projected.slice_axis_mut(Axis(0), (class * 4..class * 4 + 4).into());
            let mean = part.mean_axis(Axis(0)).unwrap();
            part -= &mean;
        }
        let covariance = projected.t().dot(&projected) / 12.0;
        let error = (&covariance - &Array2::<f32>::eye(2)).mapv(f32::abs).fold(0.0, |a: f32, &b| a.max(b));
        assert!(error < 1e-3, "{covariance}");
    }

    #[test]
    fn blocks_solve_as_the_whole_does() {
        // More than two blocks, the last of them not full.
        let n = 2 * BLOCK + 9;
        let lower = DMatrix::from_fn(n, n, |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 2.0 + (i % 5) as f64,
            std::cmp::Ordering::Greater => ((i * 7 + j * 3) % 11) as f64 / 50.0 - 0.1,
        });
        let y = DMatrix::from_fn(n, 5, |i, j| ((i * 5 + j * 13) % 17) as f64 - 8.0);
        let (mut below, mut above) = (y.clone(), y.clone());
        solve_lower(&lower, &mut below);
        tr_solve_lower(&lower, &mut above);
        let error = (&lower * below - &y).amax().max((lower.transpose() * above - &y).amax());
        assert!(error < 1e-9, "{error}");
    }

    #[test]
    fn vectors_are_those_of_numpy() {
        // NumPy 2, double precision: generalised eigenvectors of the between-class covariance against the within-class one
        // of the standardised features, by Cholesky and eigh.
        let length_squared = [
            33.0979, 14.870328, 27.324566, 11.0202, 10.491913, 0.096723, 1.98525, 2.674786, 13.533303, 20.168626,
            18.391625, 8.509356,
        ];
        let cosine_with_first = [
            1.0, 0.953595, 0.958599, 0.994175, -0.875012, 0.997139, -0.652807, 0.253025, -0.999983, -0.870091,
            -0.999626, -0.972969,
        ];
        let (features, classes) = example();
        let settings = WhiteningSettings { width: 2, ridge: 1e-3 };
        let whitening = Whitening::fit(features.view(), &classes, &[1.0; 3], settings).unwrap();
        let (projected, unit) = (whitening.project(features.view()), whitening.apply(features.view()));
        for example in 0..12 {
            let (found, expected) = (projected.row(example).dot(&projected.row(example)), length_squared[example]);
            assert!(
                (found - expected).abs() < 2e-3 * expected,
                "example {example}: |z|^2 {found}, expected {expected}"
            );
            let (found, expected) = (unit.row(0).dot(&unit.row(example)), cosine_with_first[example]);
            assert!((found - expected).abs() < 1e-3, "example {example}: cosine {found}, expected {expected}");
        }
    }

    #[test]
    fn rotation_leaves_cosines_alone() {
        let (features, classes) = example();
        let settings = WhiteningSettings { width: 2, ridge: 1e-3 };
        let whitening = Whitening::fit(features.view(), &classes, &[1.0; 3], settings).unwrap();
        let gram = |whitening: &Whitening| {
            let vectors = whitening.apply(features.view());
            vectors.dot(&vectors.t())
        };
        let difference = (gram(&whitening.rotated(random_rotation(2, 5).view())) - gram(&whitening))
            .mapv(f32::abs)
            .fold(0.0, |a: f32, &b| a.max(b));
        assert!(difference < 1e-4, "{difference}");
    }

    #[test]
    fn bad_input_is_an_error() {
        let (mut features, classes) = example();
        let fit = |features: &Array2<f32>, classes: &[u32], count| {
            Whitening::fit(features.view(), classes, &vec![1.0; count], WhiteningSettings { width: 128, ridge: 1e-4 })
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
