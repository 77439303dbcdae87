//! [`biases`]: how much every row resembles examples that are not its own.
//!
//! In spaces of many dimensions some points are near neighbours of very many others (hubs; Radovanović, Nanopoulos and Ivanović, JMLR
//! 2010), and an example that is far from its own row drifts to one of them. What a row scores with the examples that resemble it
//! most among those of other labels is therefore taken off its scores: cross-domain similarity local scaling (Conneau et al.,
//! ICLR 2018), without the query's own term, which is the same for all rows. It costs nothing encrypted, as slots have biases.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::math::matrix::times_transposed;

/// Examples that say how much of a hub a row is, at most.
pub(crate) const EXAMPLES: usize = 16_384;
/// Share of the examples of other labels that count: those which resemble the row most. From a hundredth to a third, it makes
/// little difference among thousands of labels; in a small library a small share of the clips are excerpts of the same song.
const SHARE: f32 = 0.1;

/// The mean of every row's best scores with examples, `[rows, width]` and `[examples, width]`, all of one length.
/// `own(row, example)` says that an example has the row's label and does not count. 0 where no example does.
pub(crate) fn hubness(
    rows: ArrayView2<f32>,
    examples: ArrayView2<f32>,
    own: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<f32> {
    const AT_ONCE: usize = 1_024;
    let mut found = Vec::with_capacity(rows.nrows());
    for (chunk, rows) in rows.axis_chunks_iter(Axis(0), AT_ONCE).enumerate() {
        let cosines = times_transposed(rows, examples);
        let best = |i: usize| {
            let row = chunk * AT_ONCE + i;
            let others = cosines.row(i).into_iter().enumerate().filter(|&(example, _)| !own(row, example));
            let mut others: Vec<f32> = others.map(|(_, &cosine)| cosine).collect();
            let count = (SHARE * others.len() as f32).ceil() as usize;
            if count == 0 {
                return 0.0;
            }
            others.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
            others[..count].iter().map(|&c| f64::from(c)).sum::<f64>() as f32 / count as f32
        };
        found.par_extend((0..rows.nrows()).into_par_iter().map(best));
    }
    found
}

/// What is added to the scores of every row: `strength` times its [`hubness`], less the mean of all, taken off.
pub(crate) fn biases(
    rows: ArrayView2<f32>,
    examples: ArrayView2<f32>,
    strength: f32,
    own: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<f32> {
    if strength == 0.0 {
        return vec![0.0; rows.nrows()];
    }
    let mut biases = hubness(rows, examples, own);
    let mean = biases.iter().sum::<f32>() / biases.len().max(1) as f32;
    biases.iter_mut().for_each(|h| *h = strength * (mean - *h));
    biases
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_row_amid_other_clips_is_a_hub() {
        let rows = array![[1.0f32, 0.0], [0.0, 1.0]];
        let examples = array![[1.0f32, 0.0], [0.6, 0.8], [0.8, 0.6], [0.0, 1.0]];
        // The best of three scores with examples that are not the row's own: 0.8 each; without the second row's first example, 0.6.
        let own = |row, example| if row == 0 { example == 0 } else { example >= 1 };
        assert_eq!(hubness(rows.view(), examples.view(), own), [0.8, 0.0]);
        assert_eq!(biases(rows.view(), examples.view(), 0.5, own), [-0.2, 0.2]);
        assert_eq!(biases(rows.view(), examples.view(), 0.0, own), [0.0, 0.0]);
        assert_eq!(hubness(rows.view(), examples.view(), |_, _| true), [0.0, 0.0]);
    }
}
