//! [`Moments`] and [`Scatter`]: what a whitening is made of, in sums that parts of a library can be added up from.
//!
//! Two passes. The first finds every feature's mean and deviation. The second, on features that are standardised by them, finds how examples
//! scatter around the mean of their class, and those means around the mean of all. To leave some classes out is to leave out their sums.

use std::ops::{AddAssign, Range};

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use sordino_corpus::Part;

use crate::LearnError;
use crate::examples::Classes;
use crate::math::sums::Sums;

/// Examples of neighbouring classes, in rounds of one of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn<'a> {
    /// Base features, shape `[rounds * classes, features]`.
    pub(crate) features: ArrayView2<'a, f32>,
    /// The classes that they are of; whole blocks of labels.
    pub(crate) classes: &'a Range<usize>,
}

impl<'a> Drawn<'a> {
    /// Examples of every class.
    pub(crate) fn rounds(&self) -> usize {
        self.features.nrows() / self.classes.len().max(1)
    }

    /// The example of a class in a round.
    pub(crate) fn example(&self, round: usize, class: usize) -> ArrayView1<'a, f32> {
        self.features.index_axis_move(Axis(0), round * self.classes.len() + class - self.classes.start)
    }

    /// The examples of a round, `[classes, features]`.
    pub(crate) fn round(&self, round: usize) -> ArrayView2<'a, f32> {
        let first = round * self.classes.len();
        self.features.slice_axis_move(Axis(0), (first..first + self.classes.len()).into())
    }

    /// The classes, block by block.
    fn blocks(&self, all: &Classes) -> Vec<Range<usize>> {
        let Range { start, end } = *self.classes;
        if self.classes.is_empty() {
            return Vec::new();
        }
        let labels = all.label(start) as usize..all.label(end - 1) as usize + 1;
        let blocks = labels.clone().step_by(Part::BLOCK);
        blocks.map(|first| all.of_labels(first..(first + Part::BLOCK).min(labels.end))).collect()
    }
}

/// Weighted sums of every feature and of its square.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    weight: Sums,
    sums: Sums,
    squares: Sums,
}

impl Moments {
    /// Those of no examples of so many features.
    pub(crate) fn none(width: usize) -> Self {
        Self { weight: Sums::zeros(1), sums: Sums::zeros(width), squares: Sums::zeros(width) }
    }

    /// Those of examples whose classes count `weights[class]` times.
    pub(crate) fn of(drawn: Drawn<'_>, all: &Classes, weights: &[f32]) -> Self {
        let width = drawn.features.ncols();
        let block = |classes: &Range<usize>| {
            let (mut weight, mut sums, mut squares) = (0.0, vec![0.0_f64; width], vec![0.0_f64; width]);
            for class in classes.clone() {
                let own = f64::from(weights[class]);
                for round in 0..drawn.rounds() {
                    weight += own;
                    for ((sum, square), &v) in sums.iter_mut().zip(&mut squares).zip(drawn.example(round, class)) {
                        let v = f64::from(v);
                        *sum += own * v;
                        *square += own * (v * v);
                    }
                }
            }
            (weight, sums, squares)
        };
        let blocks: Vec<_> = drawn.blocks(all).par_iter().map(block).collect();
        let mut moments = Self::none(width);
        for (weight, sums, squares) in blocks {
            moments.weight.add([weight]);
            moments.sums.add(sums);
            moments.squares.add(squares);
        }
        moments
    }

    /// Mean and standard deviation of every feature.
    ///
    /// # Errors
    /// [`LearnError::Setting`] for features that are not finite.
    pub(crate) fn standard(&self) -> Result<Standard, LearnError> {
        let (Some(weight), Some(sums), Some(squares)) =
            (self.weight.values(), self.sums.values(), self.squares.values())
        else {
            let (found, expected) = ("not all finite".into(), "finite numbers; look for broken audio".into());
            return Err(LearnError::Setting { setting: "features", found, expected });
        };
        let weight = weight[0].max(f64::MIN_POSITIVE);
        let means: Vec<f64> = sums.iter().map(|sum| sum / weight).collect();
        let deviation = means.iter().zip(&squares).map(|(mean, square)| {
            let deviation = (square / weight - mean * mean).max(0.0).sqrt() as f32;
            if deviation > LEAST { deviation } else { 1.0 }
        });
        Ok(Standard { deviation: deviation.collect(), mean: means.iter().map(|&mean| mean as f32).collect() })
    }

    /// The sums one after another, for a file.
    pub(crate) fn parts(&self) -> [&Sums; 3] {
        [&self.weight, &self.sums, &self.squares]
    }

    /// What [`Moments::parts`] gave.
    pub(crate) fn of_parts([weight, sums, squares]: [Sums; 3]) -> Option<Self> {
        (weight.len() == 1 && sums.len() == squares.len()).then_some(Self { weight, sums, squares })
    }
}

impl AddAssign<&Self> for Moments {
    fn add_assign(&mut self, other: &Self) {
        self.weight += &other.weight;
        self.sums += &other.sums;
        self.squares += &other.squares;
    }
}

/// Standard deviation below which a feature is constant.
const LEAST: f32 = 1e-6;

/// Mean and standard deviation of every feature; the latter 1 where a feature is constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standard {
    pub(crate) mean: Array1<f32>,
    pub(crate) deviation: Array1<f32>,
}

/// How standardised examples of some classes scatter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scatter {
    /// Weight of the examples.
    weight: Sums,
    /// Their weighted sum, `[features]`.
    sum: Sums,
    /// Outer products of the examples less the mean of their class, the upper triangle row by row.
    within: Sums,
    /// Outer products of those means, likewise.
    between: Sums,
}

impl Scatter {
    /// That of no classes.
    pub(crate) fn none(width: usize) -> Self {
        let triangle = Sums::zeros(width * (width + 1) / 2);
        Self { weight: Sums::zeros(1), sum: Sums::zeros(width), within: triangle.clone(), between: triangle }
    }

    /// Those of so many sets of classes: class `c` is of set `set(c)`.
    pub(crate) fn of(
        drawn: Drawn<'_>,
        all: &Classes,
        weights: &[f32],
        standard: &Standard,
        sets: usize,
        set: impl Fn(usize) -> usize + Sync,
    ) -> Vec<Self> {
        /// Blocks whose products are held at once.
        const AT_ONCE: usize = 8;
        let width = drawn.features.ncols();
        let mut scatters = vec![Self::none(width); sets];
        let product = |(classes, wanted): &(Range<usize>, usize)| {
            let classes: Vec<usize> = classes.clone().filter(|&class| set(class) == *wanted).collect();
            (*wanted, Products::of(drawn, &classes, weights, standard))
        };
        let jobs = drawn.blocks(all).into_iter().flat_map(|block| (0..sets).map(move |set| (block.clone(), set)));
        let jobs: Vec<(Range<usize>, usize)> = jobs.collect();
        for some in jobs.chunks(AT_ONCE) {
            let products: Vec<(usize, Products)> = some.par_iter().map(product).collect();
            for (set, products) in products {
                scatters[set].add(&products);
            }
        }
        scatters
    }

    fn add(&mut self, products: &Products) {
        if products.weight == 0.0 {
            return;
        }
        self.weight.add([products.weight]);
        self.sum.add(products.sum.iter().copied());
        rayon::join(|| self.within.add(triangle(&products.within)), || self.between.add(triangle(&products.between)));
    }

    /// The sums one after another, for a file.
    pub(crate) fn parts(&self) -> [&Sums; 4] {
        [&self.weight, &self.sum, &self.within, &self.between]
    }

    /// What [`Scatter::parts`] gave.
    pub(crate) fn of_parts([weight, sum, within, between]: [Sums; 4]) -> Option<Self> {
        let size = sum.len() * (sum.len() + 1) / 2;
        let fits = weight.len() == 1 && within.len() == size && between.len() == size;
        fits.then_some(Self { weight, sum, within, between })
    }

    /// Where the examples stand among all: mean and deviation of every standardised feature, and how they scatter on that scale.
    ///
    /// # Errors
    /// [`LearnError::Diverged`] for sums that are not finite.
    pub(crate) fn spread(&self) -> Result<Spread, LearnError> {
        let diverged = || LearnError::Diverged { what: "the covariance of features", steps: 0 };
        let [weight, sum, within, between] = self.parts().map(Sums::values);
        let (Some(weight), Some(sum)) = (weight, sum) else { return Err(diverged()) };
        let (Some(within), Some(between)) = (within, between) else { return Err(diverged()) };
        let weight = weight[0].max(f64::MIN_POSITIVE);
        let mean: Array1<f64> = sum.iter().map(|sum| sum / weight).collect();
        let width = mean.len();
        let (mut within, mut between) = (square(width, &within) / weight, square(width, &between) / weight);
        for ((i, j), value) in between.indexed_iter_mut() {
            *value -= mean[i] * mean[j];
        }
        let scale = |i: usize| {
            let deviation = (within[(i, i)] + between[(i, i)]).max(0.0).sqrt();
            if deviation > f64::from(LEAST) { deviation } else { 1.0 }
        };
        let scale: Array1<f64> = (0..width).map(scale).collect();
        for matrix in [&mut within, &mut between] {
            for ((i, j), value) in matrix.indexed_iter_mut() {
                *value /= scale[i] * scale[j];
            }
        }
        Ok(Spread { weight, mean, scale, within, between })
    }
}

impl AddAssign<&Self> for Scatter {
    fn add_assign(&mut self, other: &Self) {
        self.weight += &other.weight;
        self.sum += &other.sum;
        self.within += &other.within;
        self.between += &other.between;
    }
}

/// How some examples scatter, on their own scale.
pub(crate) struct Spread {
    /// Their weight.
    pub(crate) weight: f64,
    /// Their mean among all examples, in deviations of all.
    pub(crate) mean: Array1<f64>,
    /// Their deviation, likewise.
    pub(crate) scale: Array1<f64>,
    /// Covariance within classes, `[features, features]`.
    pub(crate) within: Array2<f64>,
    /// Covariance of the classes' means, `[features, features]`.
    pub(crate) between: Array2<f64>,
}

/// The sums of a few classes, in floating point.
struct Products {
    weight: f64,
    sum: Vec<f64>,
    within: Array2<f32>,
    between: Array2<f32>,
}

impl Products {
    fn of(drawn: Drawn<'_>, classes: &[usize], weights: &[f32], standard: &Standard) -> Self {
        let (width, rounds) = (drawn.features.ncols(), drawn.rounds());
        if classes.is_empty() {
            return Self {
                weight: 0.0,
                sum: Vec::new(),
                within: Array2::zeros((0, 0)),
                between: Array2::zeros((0, 0)),
            };
        }
        let mut around = Array2::<f32>::zeros((classes.len() * rounds, width));
        let mut means = Array2::<f32>::zeros((classes.len(), width));
        let (mut weight, mut sum) = (0.0, vec![0.0; width]);
        for (i, &class) in classes.iter().enumerate() {
            let own = weights[class];
            let mean = class_mean(drawn, class, standard);
            for round in 0..rounds {
                let mut row = around.row_mut(i * rounds + round);
                row.assign(&((&drawn.example(round, class) - &standard.mean) / &standard.deviation));
                row.zip_mut_with(&mean, |v, m| *v = (*v - m) * own.sqrt());
            }
            let share = f64::from(own) * rounds as f64;
            weight += share;
            sum.iter_mut().zip(&mean).for_each(|(sum, &m)| *sum += share * f64::from(m));
            means.row_mut(i).assign(&mean.mapv(|m| m * share.sqrt() as f32));
        }
        Self { weight, sum, within: around.t().dot(&around), between: means.t().dot(&means) }
    }
}

/// Standardised mean of the examples of a class.
pub(crate) fn class_mean(drawn: Drawn<'_>, class: usize, standard: &Standard) -> Array1<f32> {
    let mut mean = Array1::<f64>::zeros(drawn.features.ncols());
    for round in 0..drawn.rounds() {
        let row = drawn.example(round, class);
        for (((sum, &v), &m), &d) in mean.iter_mut().zip(row).zip(&standard.mean).zip(&standard.deviation) {
            *sum += f64::from((v - m) / d);
        }
    }
    mean.mapv(|sum| (sum / drawn.rounds().max(1) as f64) as f32)
}

/// The upper triangle of a square matrix, row by row.
fn triangle(matrix: &Array2<f32>) -> impl Iterator<Item = f64> + '_ {
    matrix.rows().into_iter().enumerate().flat_map(|(i, row)| row.into_iter().skip(i).map(|&v| f64::from(v)))
}

/// The symmetric matrix of which that is the triangle.
fn square(width: usize, triangle: &[f64]) -> Array2<f64> {
    let mut matrix = Array2::zeros((width, width));
    let mut values = triangle.iter();
    for i in 0..width {
        for (j, &value) in (i..width).zip(values.by_ref()) {
            matrix[(i, j)] = value;
            matrix[(j, i)] = value;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::stream;
    use rand::RngExt;

    /// 200 labels of one to three classes, four rounds of five features.
    fn library() -> (Classes, Array2<f32>, Vec<f32>) {
        let classes = Classes::per_label((0..200).map(|label| 1 + label % 3));
        let mut rng = stream(3, 0);
        let features = Array2::from_shape_fn((4 * classes.len(), 5), |(i, j)| {
            (i % classes.len() % 7) as f32 + rng.random::<f32>() * (j + 1) as f32
        });
        let weights = (0..classes.len()).map(|class| 1.0 + (class % 2) as f32).collect();
        (classes, features, weights)
    }

    /// What a part of the library holds.
    fn part(classes: &Classes, features: &Array2<f32>, part: Part) -> (Range<usize>, Array2<f32>) {
        let range = classes.of_part(part);
        let rows: Vec<usize> = (0..4).flat_map(|round| range.clone().map(move |c| round * classes.len() + c)).collect();
        (range, features.select(Axis(0), &rows))
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let (classes, features, weights) = library();
        let all = 0..classes.len();
        let whole = Drawn { features: features.view(), classes: &all };
        let moments = Moments::of(whole, &classes, &weights);
        let standard = moments.standard().unwrap();
        let set = |class: usize| usize::from(classes.label(class) % 5 == 0);
        let scatters = Scatter::of(whole, &classes, &weights, &standard, 2, set);
        for count in [2, 3, 7] {
            let (mut added, mut scattered) = (Moments::none(5), vec![Scatter::none(5); 2]);
            for some in Part::all(count) {
                let (range, rows) = part(&classes, &features, some);
                let drawn = Drawn { features: rows.view(), classes: &range };
                added += &Moments::of(drawn, &classes, &weights);
                let parts = Scatter::of(drawn, &classes, &weights, &standard, 2, set);
                scattered.iter_mut().zip(&parts).for_each(|(sum, part)| *sum += part);
            }
            assert_eq!(added, moments);
            assert_eq!(scattered, scatters);
        }
    }

    #[test]
    fn sums_are_covariances() {
        let (classes, features, weights) = library();
        let all = 0..classes.len();
        let drawn = Drawn { features: features.view(), classes: &all };
        let standard = Moments::of(drawn, &classes, &weights).standard().unwrap();
        // Of the classes kept, as if there were no others.
        let kept = |class: usize| classes.label(class) % 3 > 0;
        let scatter = Scatter::of(drawn, &classes, &weights, &standard, 2, |class| usize::from(kept(class)));
        let spread = scatter[1].spread().unwrap();
        let rows: Vec<usize> = (0..features.nrows()).filter(|i| kept(i % classes.len())).collect();
        let weight = |i: usize| f64::from(weights[i % classes.len()]);
        let total: f64 = rows.iter().map(|&i| weight(i)).sum();
        for j in 0..5 {
            let mean = rows.iter().map(|&i| weight(i) * f64::from(features[(i, j)])).sum::<f64>() / total;
            let square = |i: usize| weight(i) * (f64::from(features[(i, j)]) - mean).powi(2);
            let deviation = (rows.iter().map(|&i| square(i)).sum::<f64>() / total).sqrt();
            let (m, d) = (f64::from(standard.mean[j]), f64::from(standard.deviation[j]));
            assert!((m + d * spread.mean[j] - mean).abs() < 1e-4 && (d * spread.scale[j] - deviation).abs() < 1e-4);
            assert!((spread.within[(j, j)] + spread.between[(j, j)] - 1.0).abs() < 1e-5);
        }
        assert!((spread.weight - total).abs() < 1e-6);
    }
}
