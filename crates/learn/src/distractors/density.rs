//! [`Density`]: where rows of a library lie, as a mixture of normal distributions.
//!
//! Components are clusters of the rows. A cluster has far fewer rows than a covariance has numbers, so each covariance is the posterior mean
//! under an inverse Wishart prior around the covariance that all clusters have in common (Fraley and Raftery, 2007). How many components there
//! are and how much the prior weighs is what makes the rows of songs likeliest that were left out.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::LearnError;
use crate::clusters::kmeans::{ClusterSettings, Clusters};
use crate::math::matrix::{normalise_rows, times_transposed};
use crate::math::random::stream;

/// Numbers of components that are tried.
const COMPONENTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Rows that the prior of a covariance counts for, as multiples of the width, which are tried.
const WEIGHTS: [f64; 5] = [0.125, 0.5, 2.0, 8.0, 32.0];
/// Share of the songs that is left out: one in so many.
const LEFT_OUT: u32 = 5;
/// Rows that are drawn at once.
const AT_ONCE: usize = 4_096;

/// A mixture of normal distributions.
#[derive(Clone, Debug)]
pub(crate) struct Density {
    parts: Vec<Component>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Component {
    weight: f64,
    mean: DVector<f64>,
    covariance: Cholesky<f64, Dyn>,
}

impl Density {
    /// Fits `rows`, shape `[rows, width]`, of which `songs[i]` says which row is of which song: rows of one song are left out together. With
    /// `components` there are as many, as far as there are rows for them; with 0 they are chosen.
    ///
    /// # Errors
    /// [`LearnError::TooFew`] for fewer than ten rows, [`LearnError::NotFinite`] for rows that are not numbers.
    pub(crate) fn fit(rows: ArrayView2<f32>, songs: &[u32], components: usize, seed: u64) -> Result<Self, LearnError> {
        const FEWEST: usize = 10;
        if rows.nrows() < FEWEST {
            return Err(LearnError::TooFew { what: "rows to draw others by", found: rows.nrows(), expected: FEWEST });
        }
        let (out, kept): (Vec<usize>, Vec<usize>) =
            (0..rows.nrows()).partition(|&row| stream(seed, songs[row].into()).random_range(0..LEFT_OUT) == 0);
        let (out, kept) = (rows.select(Axis(0), &out), rows.select(Axis(0), &kept));
        let mut best = (f64::NEG_INFINITY, 1, WEIGHTS[0]);
        // A component of a row or two says nothing that its neighbours do not.
        let most = (kept.nrows() / 2).max(1);
        let candidates = if components == 0 { COMPONENTS.to_vec() } else { vec![components.min(most)] };
        for count in candidates.into_iter().filter(|count| *count <= most) {
            let clusters = Clustered::new(kept.view(), count, seed)?;
            for weight in WEIGHTS {
                let likelihood = clusters.mixture(weight)?.log_likelihood(out.view());
                if likelihood > best.0 {
                    best = (likelihood, count, weight);
                }
            }
        }
        let (likelihood, count, weight) = best;
        tracing::info!(components = count, prior = weight, likelihood, "density of the rows");
        Clustered::new(rows, count, seed)?.mixture(weight)
    }

    /// Number of components.
    #[cfg(test)]
    pub(crate) fn components(&self) -> usize {
        self.parts.len()
    }

    /// Mean logarithm of the density at some rows.
    fn log_likelihood(&self, rows: ArrayView2<f32>) -> f64 {
        let logs: Vec<Vec<f64>> = self.parts.par_iter().map(|part| part.logs(rows)).collect();
        let one = |row: usize| {
            let top = logs.iter().map(|logs| logs[row]).fold(f64::NEG_INFINITY, f64::max);
            top + logs.iter().map(|logs| (logs[row] - top).exp()).sum::<f64>().ln()
        };
        (0..rows.nrows()).map(one).sum::<f64>() / rows.nrows().max(1) as f64
    }

    /// Draws rows, `[count, width]`. Row `i` follows from the seed and `i` alone.
    pub(crate) fn draw(&self, count: usize, seed: u64) -> Array2<f32> {
        let width = self.parts[0].mean.len();
        let mut rows = Array2::<f32>::zeros((count, width));
        let factors: Vec<Array2<f32>> = self.parts.iter().map(Component::factor).collect();
        let fill = |(chunk, mut rows): (usize, ndarray::ArrayViewMut2<f32>)| {
            let mut of = vec![Vec::new(); self.parts.len()];
            let mut normal = Array2::<f32>::zeros(rows.raw_dim());
            for (i, mut row) in normal.rows_mut().into_iter().enumerate() {
                let mut rng = stream(seed, (chunk * AT_ONCE + i) as u64);
                of[self.choose(&mut rng)].push(i);
                row.map_inplace(|v| *v = StandardNormal.sample(&mut rng));
            }
            for ((part, factor), members) in self.parts.iter().zip(&factors).zip(&of) {
                let drawn = normal.select(Axis(0), members).dot(&factor.t());
                for (&i, drawn) in members.iter().zip(drawn.rows()) {
                    let mean = part.mean.iter().map(|&mean| mean as f32);
                    rows.row_mut(i).iter_mut().zip(drawn.iter().zip(mean)).for_each(|(to, (by, mean))| *to = mean + by);
                }
            }
        };
        rows.axis_chunks_iter_mut(Axis(0), AT_ONCE).into_par_iter().enumerate().for_each(fill);
        rows
    }

    fn choose(&self, rng: &mut impl Rng) -> usize {
        let mut place = rng.random::<f64>();
        let chosen = self.parts.iter().position(|part| {
            place -= part.weight;
            place < 0.0
        });
        chosen.unwrap_or(self.parts.len() - 1)
    }
}

impl Component {
    /// Logarithms of the weighted density at rows.
    fn logs(&self, rows: ArrayView2<f32>) -> Vec<f64> {
        let width = self.mean.len();
        let mut away = DMatrix::from_fn(width, rows.nrows(), |i, row| f64::from(rows[(row, i)]) - self.mean[i]);
        let lower = self.covariance.l_dirty();
        lower.solve_lower_triangular_mut(&mut away);
        let half_log_determinant: f64 = (0..width).map(|i| lower[(i, i)].ln()).sum();
        let constant = self.weight.ln() - half_log_determinant - 0.5 * width as f64 * std::f64::consts::TAU.ln();
        away.column_iter().map(|away| constant - 0.5 * away.norm_squared()).collect()
    }

    /// `L` of the covariance `L L^T`.
    fn factor(&self) -> Array2<f32> {
        let lower = self.covariance.l();
        Array2::from_shape_fn((lower.nrows(), lower.ncols()), |(i, j)| lower[(i, j)] as f32)
    }
}

/// Rows in clusters.
struct Clustered {
    members: Vec<Vec<u32>>,
    means: Vec<Array1<f32>>,
    /// Sum of squares and products around a cluster's mean, for each.
    scatters: Vec<Array2<f32>>,
}

impl Clustered {
    fn new(rows: ArrayView2<f32>, count: usize, seed: u64) -> Result<Self, LearnError> {
        /// Components may be of very different sizes.
        const BALANCE: f32 = 4.0;
        let mut directions = rows.to_owned();
        normalise_rows(&mut directions);
        let settings = ClusterSettings { balance: BALANCE, ..ClusterSettings::default() };
        let mut members = Clusters::fit(directions.view(), count, settings, seed)?.members();
        members.retain(|members| !members.is_empty());
        let part = |members: &Vec<u32>| {
            let rows = rows.select(Axis(0), &members.iter().map(|&row| row as usize).collect::<Vec<_>>());
            let mean = rows.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(rows.ncols()));
            let away = &rows - &mean;
            let scatter = times_transposed(away.t(), away.t());
            (mean, scatter)
        };
        let (means, scatters) = members.iter().map(part).unzip();
        Ok(Self { members, means, scatters })
    }

    /// The mixture under a prior that counts for `weight` times the width.
    fn mixture(&self, weight: f64) -> Result<Density, LearnError> {
        /// Added to the diagonal, as a share of its mean; and the same where rows are fewer than directions, and do not differ in all of
        /// them.
        const RIDGE: f64 = 1e-6;
        const SINGULAR: f64 = 1e-3;
        let (count, width) = (self.members.iter().map(Vec::len).sum::<usize>(), self.means[0].len());
        let freedom = count.saturating_sub(self.members.len()).max(1) as f64;
        let sum = self.scatters.iter().fold(Array2::<f64>::zeros((width, width)), |sum, s| sum + s.mapv(f64::from));
        let mut common = sum / freedom;
        let share = if freedom > width as f64 { RIDGE } else { SINGULAR };
        let ridge = share * common.diag().sum() / width as f64;
        common.diag_mut().mapv_inplace(|v| v + ridge.max(f64::MIN_POSITIVE));
        let prior = weight * width as f64;
        let part = |((members, mean), scatter): ((&Vec<u32>, &Array1<f32>), &Array2<f32>)| {
            let size = members.len() as f64;
            let covariance = DMatrix::from_fn(width, width, |i, j| {
                (f64::from(scatter[(i, j)]) + prior * common[(i, j)]) / (size + prior)
            });
            let covariance =
                Cholesky::new(covariance).ok_or(LearnError::NotFinite { what: "row", row: members[0] as usize })?;
            let mean = DVector::from_iterator(width, mean.iter().map(|&v| f64::from(v)));
            Ok(Component { weight: size / count as f64, mean, covariance })
        };
        let parts = self.members.iter().zip(&self.means).zip(&self.scatters).map(part);
        Ok(Density { parts: parts.collect::<Result<_, LearnError>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points around two centres that are far apart, long in different directions.
    fn two(count: usize, seed: u64) -> Array2<f32> {
        let mut rng = stream(seed, 0);
        Array2::from_shape_fn((count, 4), |(row, i)| {
            let (centre, long) = if row % 2 == 0 { (6.0, 1) } else { (-6.0, 2) };
            let normal: f32 = StandardNormal.sample(&mut rng);
            f32::from(u8::from(i == 0)) * centre + normal * if i == long { 2.0 } else { 0.5 }
        })
    }

    #[test]
    fn what_is_drawn_is_distributed_as_what_was_fitted() {
        let rows = two(4_000, 1);
        let songs: Vec<u32> = (0..4_000).collect();
        let density = Density::fit(rows.view(), &songs, 2, 7).unwrap();
        assert_eq!(density.components(), 2);
        let drawn = density.draw(20_000, 3);
        let left = |rows: &Array2<f32>| {
            rows.rows().into_iter().filter(|row| row[0] < 0.0).count() as f32 / rows.nrows() as f32
        };
        assert!((left(&drawn) - 0.5).abs() < 0.02, "{}", left(&drawn));
        for (side, expected) in [(1.0, [6.0, 0.5, 2.0, 0.5, 0.5]), (-1.0, [-6.0, 0.5, 0.5, 2.0, 0.5])] {
            let own: Vec<usize> = (0..drawn.nrows()).filter(|&row| drawn[(row, 0)] * side > 0.0).collect();
            let own = drawn.select(Axis(0), &own);
            let (mean, deviation) = crate::math::matrix::moments(own.view());
            let found = [mean[0], deviation[0], deviation[1], deviation[2], deviation[3]];
            let near =
                found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.06 * expected.abs());
            assert!(near, "{found:?} instead of {expected:?}");
        }
    }

    #[test]
    fn components_are_chosen_by_songs_that_were_left_out() {
        let rows = two(2_000, 1);
        let songs: Vec<u32> = (0..2_000).collect();
        let chosen = Density::fit(rows.view(), &songs, 0, 7).unwrap();
        assert_eq!(chosen.components(), 2);
        let one = Density::fit(rows.view(), &songs, 1, 7).unwrap();
        let fresh = two(2_000, 2);
        assert!(chosen.log_likelihood(fresh.view()) > one.log_likelihood(fresh.view()) + 0.5);
        // A known answer: four standard normal coordinates.
        let standard = Density {
            parts: vec![Component {
                weight: 1.0,
                mean: DVector::zeros(4),
                covariance: Cholesky::new(DMatrix::identity(4, 4)).unwrap(),
            }],
        };
        let at = Array2::from_shape_vec((1, 4), vec![1.0, 2.0, 0.0, -1.0]).unwrap();
        let expected = -0.5 * 6.0 - 2.0 * std::f64::consts::TAU.ln();
        assert!((standard.log_likelihood(at.view()) - expected).abs() < 1e-9);
    }

    #[test]
    fn fewer_rows_than_directions_have_a_density() {
        let mut rng = stream(6, 0);
        let rows = Array2::from_shape_simple_fn((30, 60), || 10.0 * rng.sample::<f32, _>(StandardNormal));
        let songs: Vec<u32> = (0..30).map(|row| row / 3).collect();
        for components in [0, 1, 8] {
            let drawn = Density::fit(rows.view(), &songs, components, 7).unwrap().draw(200, 1);
            let deviation = drawn.mapv(|v| v * v).mean().unwrap().sqrt();
            assert!((5.0..15.0).contains(&deviation), "{deviation}");
        }
    }

    #[test]
    fn a_row_follows_from_its_place() {
        let songs: Vec<u32> = (0..40).collect();
        let density = Density::fit(two(40, 1).view(), &songs, 2, 7).unwrap();
        let (few, many) = (density.draw(3, 9), density.draw(AT_ONCE + 5, 9));
        assert_eq!(few, many.slice_axis(Axis(0), (..3).into()));
        assert_ne!(few, density.draw(3, 10));
        assert!(matches!(Density::fit(two(9, 1).view(), &songs, 0, 7), Err(LearnError::TooFew { found: 9, .. })));
    }
}
