//! [`Crowd`]: the examples of a library and of its distractors.

use ndarray::Array2;

use super::DistractorSettings;
use super::density::Density;
use crate::LearnError;
use crate::math::matrix::{nearest, normalise_rows};
use crate::space::unit_vectors::Rows;

/// Projected examples of real classes, and of drawn ones behind them in every round. An example of a drawn class is its mean and the
/// deviation that an example of the real class has which it is most alike: clips of one kind of music are disturbed alike.
pub(crate) struct Crowd<'a> {
    real: Box<dyn Rows + 'a>,
    /// Means of the real classes, `[classes, directions]`.
    means: Array2<f32>,
    /// Means of the drawn ones, likewise.
    drawn: Array2<f32>,
    /// The real class that each of them is most alike.
    like: Vec<u32>,
}

impl<'a> Crowd<'a> {
    /// Draws as many classes as are wanted beside the real ones, `songs[i]` being the song of class `i`.
    ///
    /// # Errors
    /// As [`Density::fit`], and where examples cannot be read.
    pub(crate) fn new(
        real: Box<dyn Rows + 'a>,
        songs: &[u32],
        settings: DistractorSettings,
        seed: u64,
    ) -> Result<Self, LearnError> {
        /// Apart from the seeds that the same number makes elsewhere.
        const OWN: u64 = 0xd157_4ac7;
        let classes = songs.len();
        let (examples, directions) = real.dim();
        let rounds = examples / classes.max(1);
        let mut means = Array2::<f32>::zeros((classes, directions));
        for round in 0..rounds {
            means += &real.some(&(round * classes..(round + 1) * classes).collect::<Vec<_>>())?;
        }
        means /= rounds.max(1) as f32;
        let drawn = Density::fit(means.view(), songs, settings.components, seed ^ OWN)?.draw(settings.rows, seed ^ OWN);
        let mut directions = means.clone();
        normalise_rows(&mut directions);
        let like = nearest(drawn.view(), directions.view(), |_| None);
        let like = like.into_iter().map(|class| class.unwrap_or_default() as u32).collect();
        Ok(Self { real, means, drawn, like })
    }

    /// The real class that every drawn one is most alike.
    pub(crate) fn like(&self) -> &[u32] {
        &self.like
    }

    /// Number of classes, real and drawn.
    pub(crate) fn classes(&self) -> usize {
        self.means.nrows() + self.drawn.nrows()
    }
}

impl Rows for Crowd<'_> {
    fn dim(&self) -> (usize, usize) {
        let (examples, directions) = self.real.dim();
        (examples / self.means.nrows().max(1) * self.classes(), directions)
    }

    fn some(&self, examples: &[usize]) -> Result<Array2<f32>, LearnError> {
        let (all, real) = (self.classes(), self.means.nrows());
        let source = |&example: &usize| {
            let (round, class) = (example / all, example % all);
            let class = if class < real { class } else { self.like[class - real] as usize };
            round * real + class
        };
        let mut rows = self.real.some(&examples.iter().map(source).collect::<Vec<_>>())?;
        for (mut row, example) in rows.rows_mut().into_iter().zip(examples) {
            if let Some(drawn) = (example % all).checked_sub(real) {
                row -= &self.means.row(self.like[drawn] as usize);
                row += &self.drawn.row(drawn);
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::math::random::stream;

    /// 60 classes of 10 examples that scatter by 1 around means that scatter by 5, in 6 directions.
    fn examples() -> Array2<f32> {
        let mut rng = stream(4, 0);
        let means = Array2::<f32>::from_shape_simple_fn((60, 6), || 5.0 * rng.sample::<f32, _>(StandardNormal));
        Array2::from_shape_fn((600, 6), |(i, j)| {
            means[(i % 60, j)] + stream(5, (i * 6 + j) as u64).sample::<f32, _>(StandardNormal)
        })
    }

    #[test]
    fn drawn_classes_stand_behind_the_real_ones_and_scatter_like_them() {
        let real = examples();
        let songs: Vec<u32> = (0..60).collect();
        let crowd =
            Crowd::new(Box::new(real.clone()), &songs, DistractorSettings { rows: 500, components: 1 }, 3).unwrap();
        assert_eq!((crowd.dim(), crowd.classes(), crowd.like().len()), ((5_600, 6), 560, 500));
        // Real examples are what they were.
        let some = crowd.some(&[0, 59, 560, 9 * 560 + 31]).unwrap();
        assert_eq!(some, real.select(Axis(0), &[0, 59, 60, 9 * 60 + 31]));
        let (mut within, mut between) = (0.0, 0.0);
        for class in 60..560 {
            let own = crowd.some(&(0..10).map(|round| round * 560 + class).collect::<Vec<_>>()).unwrap();
            let mean = own.mean_axis(Axis(0)).unwrap();
            within += (&own - &mean).mapv(|v| v * v).sum() / (9.0 * 6.0 * 500.0);
            between += mean.mapv(|v| v * v).sum() / (6.0 * 500.0);
        }
        // A mean of ten examples scatters by 25 and a tenth.
        assert!((within - 1.0).abs() < 0.15, "{within}");
        assert!((between / 25.1 - 1.0).abs() < 0.2, "{between}");
        // The class that a drawn one is like is its nearest.
        let first = crowd.drawn.row(0);
        let cosine = |class: usize| {
            crowd.means.row(class).dot(&first) / crowd.means.row(class).dot(&crowd.means.row(class)).sqrt()
        };
        assert!((0..60).all(|class| cosine(class) <= cosine(crowd.like()[0] as usize)));
    }
}
