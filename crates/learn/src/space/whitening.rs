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
use crate::math::matrix::{normalise_rows, times_transposed};
use crate::space::scatter::{Spread, Standard};

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
    /// Of examples that scatter as `spread` says among examples whose features are standardised by `standard`. Of fewer classes than features
    /// `means` are wanted. The result has `min(settings.width, features, classes - 1)` components.
    ///
    /// # Errors
    /// [`LearnError`] for fewer than two classes, for settings outside their range, and for sums that are not finite.
    pub(crate) fn of(
        spread: &Spread,
        standard: &Standard,
        classes: usize,
        means: Option<&ClassMeans>,
        settings: WhiteningSettings,
    ) -> Result<Self, LearnError> {
        let width = spread.mean.len();
        if classes < 2 {
            return Err(LearnError::TooFew { what: "classes", found: classes, expected: 2 });
        }
        if settings.width == 0 || settings.ridge.is_nan() || settings.ridge <= 0.0 {
            let found = format!("width {}, ridge {}", settings.width, settings.ridge);
            let expected = "a positive width and ridge".into();
            return Err(LearnError::Setting { setting: "whitening", found, expected });
        }
        let between = match means {
            Some(means) => Between::Means(means.centred(spread)),
            None => Between::Covariance(&spread.between),
        };
        // The global mean is zero, so the classes' means span one direction fewer than there are classes.
        let matrix =
            discriminants(&spread.within, between, settings.ridge, settings.width.min(width).min(classes - 1))?;
        let matrix = Array2::from_shape_fn((matrix.nrows(), width), |(i, j)| matrix[(i, j)] as f32);
        let moved = spread.mean.iter().zip(&standard.mean).zip(&standard.deviation);
        let mean = moved.map(|((&by, &m), &d)| (f64::from(m) + f64::from(d) * by) as f32).collect();
        let deviation =
            spread.scale.iter().zip(&standard.deviation).map(|(&s, &d)| (s * f64::from(d)) as f32).collect();
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

/// Standardised means of classes that are fewer than features: with them, eigenvectors are found among as many numbers as there are classes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClassMeans {
    /// Shape `[classes, features]`.
    pub(crate) means: Array2<f32>,
    /// Weight of every class's examples.
    pub(crate) weights: Vec<f64>,
}

impl ClassMeans {
    /// Only some of the classes.
    pub(crate) fn select(&self, classes: &[usize]) -> Self {
        let weights = classes.iter().map(|&class| self.weights[class]).collect();
        Self { means: self.means.select(Axis(0), classes), weights }
    }

    /// The means on the scale of `spread`, times the square root of their share of the weight: the Gram matrix of these rows is the covariance
    /// between classes.
    fn centred(&self, spread: &Spread) -> Array2<f64> {
        Array2::from_shape_fn(self.means.dim(), |(class, j)| {
            let mean = (f64::from(self.means[(class, j)]) - spread.mean[j]) / spread.scale[j];
            mean * (self.weights[class] / spread.weight).sqrt()
        })
    }
}

/// How classes lie apart.
enum Between<'a> {
    /// Rows whose Gram matrix is the covariance, `[classes, features]`.
    Means(Array2<f64>),
    /// The covariance, `[features, features]`.
    Covariance(&'a Array2<f64>),
}

/// The `width` strongest generalised eigenvectors of the covariance between classes against `within + ridge`, as rows, each of unit
/// within-class variance.
fn discriminants(
    within: &Array2<f64>,
    between: Between<'_>,
    ridge: f32,
    width: usize,
) -> Result<DMatrix<f64>, LearnError> {
    let n = within.nrows();
    let within = DMatrix::from_fn(n, n, |i, j| within[(i, j)] + if i == j { f64::from(ridge) } else { 0.0 });
    // With within = L L^T and between = M^T M the problem is symmetric: L^-1 between L^-T u = lambda u, and a row is u^T L^-1.
    let diverged = LearnError::Diverged { what: "the covariance of features", steps: 0 };
    let lower = within.cholesky().ok_or(diverged)?.unpack();
    let mut rows = match between {
        // Of Y = L^-1 M^T, Y^T Y is the smaller matrix and has all the eigenvalues that are not zero.
        Between::Means(means) => {
            let mut y = DMatrix::from_fn(n, means.nrows(), |i, j| means[(j, i)]);
            solve_lower(&lower, &mut y);
            &y * strongest(y.transpose() * &y, width.min(means.nrows()))
        }
        Between::Covariance(between) => {
            let mut half = DMatrix::from_fn(n, n, |i, j| between[(i, j)]);
            solve_lower(&lower, &mut half);
            let mut both = half.transpose();
            solve_lower(&lower, &mut both);
            strongest((&both + both.transpose()) / 2.0, width)
        }
    };
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
    use crate::examples::Classes;
    use crate::math::random::random_rotation;
    use crate::space::scatter::{Drawn, Moments, Scatter, class_mean};

    /// The whitening of examples of so many classes, four of each in turn, by the classes' means or by their covariance.
    fn fit(
        features: ArrayView2<f32>,
        count: usize,
        by_means: bool,
        settings: WhiteningSettings,
    ) -> Result<Whitening, LearnError> {
        let rounds: Vec<usize> = (0..4).flat_map(|round| (0..count).map(move |class| 4 * class + round)).collect();
        let (rows, range, classes) = (features.select(Axis(0), &rounds), 0..count, Classes::one_per_label(count));
        let (drawn, weights) = (Drawn { features: rows.view(), classes: &range }, vec![1.0; count]);
        let standard = Moments::of(drawn, &classes, &weights).standard()?;
        let spread = Scatter::of(drawn, &classes, &weights, &standard, 1, |_| 0)[0].spread()?;
        let means: Vec<f32> = range.clone().flat_map(|class| class_mean(drawn, class, &standard)).collect();
        let means = Array2::from_shape_vec((count, features.ncols()), means).unwrap();
        let means = ClassMeans { means, weights: vec![4.0; count] };
        Whitening::of(&spread, &standard, count, by_means.then_some(&means), settings)
    }

    fn example() -> Array2<f32> {
        // Twelve examples of three labels, four features; made once by a generator of round numbers.
        Array2::from_shape_fn((12, 4), |(i, j)| {
            let (label, k) = ((i / 4) as f32, (i * 7 + j * 5) % 11);
            label * [1.0, -2.0, 0.5, 0.0][j] + k as f32 * [0.1, 0.3, 0.2, 0.4][j] + (i * j % 5) as f32 * 0.25
        })
    }

    #[test]
    fn within_class_covariance_becomes_the_identity() {
        let features = example();
        let settings = WhiteningSettings { width: 2, ridge: 1e-6 };
        let whitening = fit(features.view(), 3, true, settings).unwrap();
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
    fn means_and_their_covariance_give_the_same_directions() {
        let features = example();
        let settings = WhiteningSettings { width: 2, ridge: 1e-3 };
        let [one, other] = [true, false].map(|by_means| fit(features.view(), 3, by_means, settings).unwrap());
        let gram = |whitening: &Whitening| whitening.matrix.t().dot(&whitening.matrix);
        let error = (gram(&one) - gram(&other)).fold(0.0, |a: f32, b| a.max(b.abs()));
        assert!(error < 1e-2 * gram(&one).fold(0.0, |a: f32, b| a.max(b.abs())), "{error}");
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
        let features = example();
        let settings = WhiteningSettings { width: 2, ridge: 1e-3 };
        let whitening = fit(features.view(), 3, true, settings).unwrap();
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
        let features = example();
        let settings = WhiteningSettings { width: 2, ridge: 1e-3 };
        let whitening = fit(features.view(), 3, true, settings).unwrap();
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
        let mut features = example();
        let settings = WhiteningSettings { width: 128, ridge: 1e-4 };
        let of = |features: &Array2<f32>, count, settings| fit(features.view(), count, true, settings);
        assert!(matches!(of(&features, 1, settings), Err(LearnError::TooFew { .. })));
        for (width, ridge) in [(0, 1e-4), (2, 0.0), (2, f32::NAN)] {
            let refused = of(&features, 3, WhiteningSettings { width, ridge });
            assert!(matches!(refused, Err(LearnError::Setting { setting: "whitening", .. })));
        }
        features[(3, 2)] = f32::NAN;
        assert!(matches!(of(&features, 3, settings), Err(LearnError::Setting { setting: "features", .. })));
        let zero = array![[0.0f32, 0.0]];
        let mut rows = zero.clone();
        normalise_rows(&mut rows);
        assert_eq!(rows, zero);
    }
}
