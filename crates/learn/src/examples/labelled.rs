//! [`LabelledVectors`]: a library of plain feature vectors.

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sordino_corpus::Part;
use sordino_front::{Front, FrontError, Head};
use sordino_model::Label;

use crate::LearnError;
use crate::examples::{Classes, Examples, Purpose};
use crate::math::random::stream;

/// Feature vectors of any origin, each with its label. Every label is one class.
///
/// Of every label with three vectors or more, a share is held out of training, to choose the unknown threshold by. Labels with
/// fewer are calibrated on what they were trained with, so give them jitter.
#[derive(Clone, Debug)]
pub struct LabelledVectors {
    vectors: Array2<f32>,
    classes: Classes,
    /// Rows of every label, shuffled: those to learn from, then those held out.
    rows: Vec<Vec<usize>>,
    held_out: f32,
    jitter: f32,
    /// Standard deviation of every feature within labels, shape `[width]`.
    deviation: Array1<f32>,
    /// Most vectors of a label.
    most: usize,
    /// The first label whose vectors are here.
    first: usize,
}

impl LabelledVectors {
    /// `vectors` of shape `[n, width]`, where `labels[i]`, counted from 0 without a gap, says what vector `i` is an example of.
    ///
    /// # Errors
    /// [`LearnError::Shape`] where there is not one label for each vector, or vectors have no width.
    /// [`LearnError::NotFinite`] for a vector that holds NaN or infinity, [`LearnError::TooFew`] for a label without a vector.
    pub fn new(vectors: Array2<f32>, labels: &[u32]) -> Result<Self, LearnError> {
        let (count, width) = vectors.dim();
        if labels.len() != count {
            return Err(LearnError::Shape { what: "labels", found: vec![labels.len()], expected: vec![count] });
        }
        if width == 0 {
            return Err(LearnError::Shape { what: "vectors", found: vec![count, 0], expected: vec![count, 1] });
        }
        if let Some(row) = vectors.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(LearnError::NotFinite { what: "vector", row });
        }
        // A label far above the number of vectors has gaps below it; no room is made for those.
        let highest = labels.iter().max().map_or(0, |&label| label as usize + 1);
        if highest > count {
            let distinct = labels.iter().collect::<std::collections::BTreeSet<_>>().len();
            let what = "labels with a vector, from 0 without a gap,";
            return Err(LearnError::TooFew { what, found: distinct, expected: highest });
        }
        let mut rows = vec![Vec::new(); highest];
        for (row, &label) in labels.iter().enumerate() {
            rows[label as usize].push(row);
        }
        if let Some(label) = rows.iter().position(Vec::is_empty) {
            return Err(LearnError::Empty { label });
        }
        for (label, rows) in rows.iter_mut().enumerate() {
            rows.shuffle(&mut stream(0, label as u64));
        }
        let deviation = within_deviation(&vectors, &rows);
        let classes = Classes::one_per_label(highest);
        let most = rows.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Self { vectors, classes, rows, held_out: 0.2, jitter: 0.0, deviation, most, first: 0 })
    }

    /// Those of a part of a library of so many labels, of which each has at most `most` vectors: for training in parts. `labels` are those of
    /// the whole library, and lie in the part's ([`Part::range`]). Without vectors it is what the parts are merged with.
    ///
    /// # Errors
    /// As [`LabelledVectors::new`], and [`LearnError::Setting`] for labels of another part or more than `most` vectors of one.
    pub fn of_part(
        vectors: Array2<f32>,
        labels: &[u32],
        part: Option<Part>,
        all: usize,
        most: usize,
    ) -> Result<Self, LearnError> {
        let own = part.map_or(0..0, |part| part.range(all));
        let other = |setting, found: String, expected: String| Err(LearnError::Setting { setting, found, expected });
        if let Some(label) = labels.iter().find(|&&label| !own.contains(&(label as usize))) {
            let expected = format!("from {} to below {}, those of the part", own.start, own.end);
            return other("label", label.to_string(), expected);
        }
        let width = vectors.ncols();
        let shifted: Vec<u32> = labels.iter().map(|label| label - own.start as u32).collect();
        let mut library = match part {
            Some(_) => Self::new(vectors, &shifted)?,
            None => Self {
                vectors,
                classes: Classes::one_per_label(0),
                rows: Vec::new(),
                held_out: 0.2,
                jitter: 0.0,
                deviation: Array1::ones(width),
                most: 0,
                first: 0,
            },
        };
        if library.rows.len() != own.len() {
            return Err(LearnError::Empty { label: own.start + library.rows.len() });
        }
        if library.most > most {
            return other("vectors of a label", library.most.to_string(), format!("at most {most}"));
        }
        // A label's vectors come in the order in which they come in the whole library.
        for (label, rows) in library.rows.iter_mut().enumerate() {
            rows.sort_unstable();
            rows.shuffle(&mut stream(0, (own.start + label) as u64));
        }
        Ok(Self { classes: Classes::one_per_label(all), most, first: own.start, ..library })
    }

    /// The same with another share of every label's vectors held out of training, 0 to 0.5.
    ///
    /// # Errors
    /// [`LearnError::Setting`] for a share outside its range.
    pub fn with_held_out(mut self, share: f32) -> Result<Self, LearnError> {
        if !(0.0..=0.5).contains(&share) {
            let (found, expected) = (share.to_string(), "0 to 0.5".into());
            return Err(LearnError::Setting { setting: "held_out", found, expected });
        }
        self.held_out = share;
        Ok(self)
    }

    /// The same with normal noise on every example that is drawn, `jitter` times the standard deviation of each feature within
    /// labels. Where no label has two vectors, it is the deviation over the whole library.
    ///
    /// # Errors
    /// [`LearnError::Setting`] for a number that is negative or not finite.
    pub fn with_jitter(mut self, jitter: f32) -> Result<Self, LearnError> {
        if jitter != 0.0 && self.rows.len() < self.labels() {
            let expected = "0 where training goes in parts: the deviation is one of the whole library".into();
            return Err(LearnError::Setting { setting: "jitter", found: jitter.to_string(), expected });
        }
        if !(jitter >= 0.0 && jitter.is_finite()) {
            let (found, expected) = (jitter.to_string(), "0 or a positive number".into());
            return Err(LearnError::Setting { setting: "jitter", found, expected });
        }
        self.jitter = jitter;
        Ok(self)
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.classes.labels()
    }

    /// How many of a label's `all` shuffled vectors are learned from.
    fn training(&self, all: usize) -> usize {
        if all < 3 || self.held_out == 0.0 { all } else { all - ((self.held_out * all as f32) as usize).max(1) }
    }
}

impl Examples for LabelledVectors {
    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn width(&self) -> usize {
        self.vectors.ncols()
    }

    fn distinct_rounds(&self) -> usize {
        if self.jitter > 0.0 {
            return usize::MAX;
        }
        // The more vectors a label has, the more of them it learns from.
        self.training(self.most)
    }

    fn example(
        &self,
        class: usize,
        purpose: Purpose,
        round: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, LearnError> {
        let elsewhere = LearnError::Empty { label: class };
        let rows = class.checked_sub(self.first).and_then(|own| self.rows.get(own)).ok_or(elsewhere)?;
        let (training, held_out) = rows.split_at(self.training(rows.len()));
        let rows = if purpose == Purpose::Calibration && !held_out.is_empty() { held_out } else { training };
        let vector: ArrayView1<f32> = self.vectors.row(rows[round % rows.len()]);
        if self.jitter == 0.0 {
            return Ok(vector.to_vec());
        }
        let noise = |(v, deviation): (&f32, &f32)| v + self.jitter * deviation * rng.sample::<f32, _>(StandardNormal);
        Ok(vector.iter().zip(&self.deviation).map(noise).collect())
    }

    fn front(&self, heads: Vec<Head>) -> Result<Front, FrontError> {
        Front::of_vectors(self.vectors.ncols(), heads)
    }
}

/// Labels that have a title and nothing else, numbered from 0: what [`crate::FloatModel::halves`] takes where nothing is music.
pub fn titles(titles: impl IntoIterator<Item = impl Into<String>>) -> Vec<Label> {
    let label = |(i, title): (usize, _)| Label {
        track_id: i as u32,
        artist: String::new(),
        title: Into::into(title),
        album: String::new(),
        licence: String::new(),
    };
    titles.into_iter().enumerate().map(label).collect()
}

/// Standard deviation of every feature around its label's mean, pooled over the labels with two vectors or more; around the
/// library's mean where there is none.
fn within_deviation(vectors: &Array2<f32>, rows: &[Vec<usize>]) -> Array1<f32> {
    let squares = |rows: &[usize]| {
        let some = vectors.select(Axis(0), rows).mapv(f64::from);
        let mean = some.sum_axis(Axis(0)) / rows.len().max(1) as f64;
        (&some - &mean).mapv(|v| v * v).sum_axis(Axis(0))
    };
    let several: Vec<&Vec<usize>> = rows.iter().filter(|rows| rows.len() > 1).collect();
    let (sum, freedom) = if several.is_empty() {
        let all: Vec<usize> = (0..vectors.nrows()).collect();
        (squares(&all), all.len().saturating_sub(1))
    } else {
        let sums = several.iter().map(|rows| squares(rows));
        let sum = sums.fold(Array1::zeros(vectors.ncols()), |sum: Array1<f64>, part| sum + part);
        (sum, several.iter().map(|rows| rows.len() - 1).sum())
    };
    sum.mapv(|sum| (sum / freedom.max(1) as f64).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn vectors() -> Array2<f32> {
        Array2::from_shape_fn((10, 3), |(i, j)| (i * 3 + j) as f32)
    }

    #[test]
    fn what_is_held_out_is_not_trained_with() {
        // Six vectors of label 0, three of label 1, one of label 2.
        let labels = [0, 1, 0, 0, 1, 0, 0, 1, 0, 2];
        let library = LabelledVectors::new(vectors(), &labels).unwrap();
        assert_eq!((library.labels(), library.width(), library.distinct_rounds()), (3, 3, 5));
        let rng = &mut stream(1, 0);
        for (label, trained, held_out) in [(0, 5, 1), (1, 2, 1), (2, 1, 1)] {
            let mut draw = |purpose| -> Vec<usize> {
                let row = |round| library.example(label, purpose, round, rng).unwrap()[0] as usize / 3;
                let mut rows: Vec<usize> = (0..12).map(row).collect();
                rows.sort_unstable();
                rows.dedup();
                rows
            };
            let (seen, kept) = (draw(Purpose::Training), draw(Purpose::Calibration));
            assert_eq!((seen.len(), kept.len()), (trained, held_out));
            assert!(seen.iter().chain(&kept).all(|&row| labels[row] as usize == label));
            assert!(label == 2 || seen.iter().all(|row| !kept.contains(row)));
        }
    }

    #[test]
    fn jitter_is_as_large_as_the_scatter_within_labels() {
        // The second feature is the same within a label; the first is 1 from its label's mean.
        let few = array![[1.0f32, 5.0], [3.0, 5.0], [11.0, 7.0], [13.0, 7.0]];
        let library = LabelledVectors::new(few.clone(), &[0, 0, 1, 1]).unwrap().with_jitter(0.5).unwrap();
        assert_eq!(library.deviation, array![2.0f32.sqrt(), 0.0]);
        let mut rng = stream(3, 0);
        let draws: Vec<Vec<f32>> =
            (0..4_000).map(|_| library.example(0, Purpose::Training, 0, &mut rng).unwrap()).collect();
        let centre = library.vectors[(library.rows[0][0], 0)];
        let variance = draws.iter().map(|x| (x[0] - centre).powi(2)).sum::<f32>() / 4_000.0;
        assert!((variance - 0.5).abs() < 0.05 && draws.iter().all(|x| x[1] == 5.0), "{variance}");
        // With one vector each, the scatter of all.
        let single = LabelledVectors::new(few, &[0, 1, 2, 3]).unwrap();
        assert!((single.deviation[0] - 5.888).abs() < 1e-3, "{}", single.deviation);
    }

    #[test]
    fn bad_libraries_are_refused() {
        let labels = [0, 1, 0, 0, 1, 0, 0, 1, 0, 2];
        let new = LabelledVectors::new;
        assert!(matches!(new(vectors(), &labels[1..]), Err(LearnError::Shape { what: "labels", .. })));
        assert!(matches!(new(Array2::zeros((10, 0)), &labels), Err(LearnError::Shape { what: "vectors", .. })));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut broken = vectors();
            broken[(7, 1)] = bad;
            assert!(matches!(new(broken, &labels), Err(LearnError::NotFinite { row: 7, .. })));
        }
        assert!(matches!(new(vectors(), &labels.map(|l| 2 * l)), Err(LearnError::Empty { label: 1 })));
        assert!(matches!(new(vectors(), &labels.map(|l| l * 1_000_000_000)), Err(LearnError::TooFew { .. })));
        let library = new(vectors(), &labels).unwrap();
        for bad in [-0.1, 0.6, f32::NAN] {
            let refused = library.clone().with_held_out(bad);
            assert!(matches!(refused, Err(LearnError::Setting { setting: "held_out", .. })));
        }
        for bad in [-0.1, f32::INFINITY, f32::NAN] {
            assert!(matches!(library.clone().with_jitter(bad), Err(LearnError::Setting { setting: "jitter", .. })));
        }
    }
}
