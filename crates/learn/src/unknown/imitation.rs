//! [`Imitation`]: unknown queries, imitated from the library itself.
//!
//! Part of the library is left out, the rest is whitened without it, and the examples of the part left out are scored against
//! the rest. To leave a label out of the scores alone would flatter: the whitening that has seen it keeps it apart from all others.

use ndarray::{ArrayView2, Axis};

use crate::LearnError;
use crate::examples::{Classes, Songs};
use crate::heads::hubness;
use crate::math::matrix::times_transposed;
use crate::space::unit_vectors::prototypes;
use crate::space::whitening::{Whitening, WhiteningSettings};

/// Examples of a library, part of which is taken for unknown.
pub(crate) struct Imitation<'a> {
    /// Base features, shape `[examples, features]`.
    pub(crate) features: ArrayView2<'a, f32>,
    /// Class of every example.
    pub(crate) examples: &'a [u32],
    /// The label of every class.
    pub(crate) classes: &'a Classes,
    /// Which labels are copies of each other. They are left out together, and none is a stranger to another.
    pub(crate) songs: &'a Songs,
    /// How much every class counts where the space is made.
    pub(crate) weights: &'a [f32],
    /// Unit mean of every class in the space of the whole library, shape `[classes, n]`.
    pub(crate) prototypes: ArrayView2<'a, f32>,
}

impl Imitation<'_> {
    /// Best scores of examples of labels left out, against the labels kept, leaving out relatives: cosines with `hubness` times
    /// what their rows score with other labels' examples taken off.
    pub(crate) fn best(
        &self,
        whitening: WhiteningSettings,
        relatives: f32,
        hubness: f32,
    ) -> Result<Vec<f32>, LearnError> {
        const PARTS: usize = 5;
        const ENOUGH: usize = 500;
        let count = self.songs.len();
        // Each part leaves out a fifth of the songs; a few hundred of them say enough, and a large library needs one part.
        let parts = (ENOUGH * PARTS).div_ceil(count.max(1)).clamp(1, PARTS);
        let related = related(self.prototypes, self.classes, self.songs, relatives);
        let mut best = Vec::new();
        for part in 0..parts {
            best.extend(self.part(
                |label| self.songs.of(label) as usize % PARTS == part,
                whitening,
                &related,
                hubness,
            )?);
        }
        Ok(best)
    }

    fn part(
        &self,
        left_out: impl Fn(u32) -> bool,
        settings: WhiteningSettings,
        related: &[Vec<u32>],
        strength: f32,
    ) -> Result<Vec<f32>, LearnError> {
        /// Examples that are scored against all rows at once, and the most that are scored.
        const AT_ONCE: usize = 1_024;
        const MOST: usize = 32_768;
        let label = |class: usize| self.classes.label(class);
        // No copy of the examples kept: what is left out has no weight.
        let weight = |(class, &weight): (usize, &f32)| if left_out(label(class)) { 0.0 } else { weight };
        let weights: Vec<f32> = self.weights.iter().enumerate().map(weight).collect();
        let whitening = Whitening::fit(self.features, self.examples, &weights, settings)?;
        let vectors = whitening.apply(self.features);
        let rows = prototypes(vectors.view(), self.examples, self.classes.len());
        let (mut unknown, kept): (Vec<usize>, Vec<usize>) =
            (0..self.examples.len()).partition(|&i| left_out(label(self.examples[i] as usize)));
        let biases = self.biases(vectors.view(), rows.view(), &kept, &left_out, strength);
        let stride = unknown.len().div_ceil(MOST).max(1);
        unknown = unknown.into_iter().step_by(stride).collect();
        let mut best = Vec::with_capacity(unknown.len());
        for examples in unknown.chunks(AT_ONCE) {
            let cosines = times_transposed(vectors.select(Axis(0), examples).view(), rows.view());
            best.extend(cosines.rows().into_iter().zip(examples).map(|(cosines, &example)| {
                let relatives = &related[label(self.examples[example] as usize) as usize];
                let foreign = |class: usize| !left_out(label(class)) && relatives.binary_search(&label(class)).is_err();
                let foreign = cosines.iter().zip(&biases).enumerate().filter(|(class, _)| foreign(*class));
                foreign.map(|(_, (cosine, bias))| cosine + bias).fold(-1.0, f32::max)
            }));
        }
        Ok(best)
    }

    /// What is added to the scores of the rows of labels kept, from their examples; 0 for the others.
    fn biases(
        &self,
        vectors: ArrayView2<f32>,
        rows: ArrayView2<f32>,
        kept: &[usize],
        left_out: impl Fn(u32) -> bool,
        strength: f32,
    ) -> Vec<f32> {
        let mut biases = vec![0.0; self.classes.len()];
        let stay: Vec<usize> = (0..biases.len()).filter(|&p| !left_out(self.classes.label(p))).collect();
        let examples: Vec<usize> = hubness::sample(kept.len()).into_iter().map(|i| kept[i]).collect();
        let song = |class: usize| self.songs.of(self.classes.label(class));
        let same_song = |row: usize, example: usize| song(stay[row]) == song(self.examples[examples[example]] as usize);
        let rows = rows.select(Axis(0), &stay);
        let of_rows = hubness::biases(rows.view(), vectors.select(Axis(0), &examples).view(), strength, same_song);
        for (&class, bias) in stay.iter().zip(of_rows) {
            biases[class] = bias;
        }
        biases
    }
}

/// For every label, the others of which some class's unit vector, shape `[classes, n]`, agrees with one of its own by a cosine
/// above `limit` times the root mean square cosine of two classes, copies counted once. Ascending.
fn related(vectors: ArrayView2<f32>, classes: &Classes, songs: &Songs, limit: f32) -> Vec<Vec<u32>> {
    const ROWS: usize = 1_024;
    let firsts: Vec<usize> = (0..classes.len()).filter(|&class| songs.is_first(classes.label(class))).collect();
    // No copy of the vectors of a large library where there is nothing to leave out.
    let chosen = (firsts.len() < classes.len()).then(|| vectors.select(Axis(0), &firsts));
    let once = chosen.as_ref().map_or(vectors, |chosen| chosen.view());
    let some = once.slice_axis(Axis(0), (..once.nrows().min(ROWS)).into());
    let pairs = (some.nrows() * once.nrows().saturating_sub(1)).max(1);
    // Every vector agrees with itself by 1.
    let squares = times_transposed(some, once).iter().map(|c| f64::from(c * c)).sum::<f64>() - some.nrows() as f64;
    let limit = limit * (squares.max(0.0) / pairs as f64).sqrt() as f32;
    let mut related = vec![Vec::new(); classes.labels()];
    for (chunk, rows) in vectors.axis_chunks_iter(Axis(0), ROWS).enumerate() {
        for (i, cosines) in times_transposed(rows, vectors).rows().into_iter().enumerate() {
            let own = classes.label(chunk * ROWS + i);
            let close = cosines.iter().zip(classes.all()).filter(|&(&cosine, &label)| cosine > limit && label != own);
            related[own as usize].extend(close.map(|(_, &label)| label));
        }
    }
    for relatives in &mut related {
        relatives.sort_unstable();
        relatives.dedup();
    }
    related
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn relatives_agree() {
        // Cosines 0.8, 0 and 0.6: a root mean square of 0.577.
        let vectors = array![[1.0f32, 0.0], [0.8, 0.6], [0.0, 1.0]];
        let single = Classes::one_per_label(3);
        let three = Songs::distinct(3);
        assert_eq!(related(vectors.view(), &single, &three, 1.2), [vec![1], vec![0], vec![]]);
        assert_eq!(related(vectors.view(), &single, &three, 1.0), [vec![1], vec![0, 2], vec![1]]);
        // The first two are classes of one label.
        assert_eq!(related(vectors.view(), &Classes::per_label([2, 1]), &Songs::distinct(2), 1.0), [vec![1], vec![0]]);
        // A song that is there three times does not make two others less related.
        let copied = array![[1.0f32, 0.0], [0.8, 0.6], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]];
        let found = related(copied.view(), &Classes::one_per_label(5), &Songs::of_copies(&[0, 1, 2, 2, 2]), 1.2);
        assert_eq!(found[..2], [vec![1], vec![0]]);
    }
}
