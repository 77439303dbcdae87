//! [`biases`]: how much every row resembles clips that are not its own.
//!
//! In spaces of many dimensions some points are near neighbours of very many others (hubs; Radovanović, Nanopoulos and Ivanović, JMLR
//! 2010), and a disturbed clip that is far from its own row drifts to one of them. What a row scores with the clips that resemble it
//! most among those of other tracks is therefore taken off its scores: cross-domain similarity local scaling (Conneau et al.,
//! ICLR 2018), without the query's own term, which is the same for all rows. It costs nothing under encryption, as slots have biases.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::math::product::times_transposed;

/// Clips that say how much of a hub a row is.
const CLIPS: usize = 16_384;
/// Share of the clips of other tracks that count: those which resemble the row most. From a hundredth to a third, it makes
/// little difference among thousands of tracks; a small share of the clips of a small library are other excerpts of the same song.
const SHARE: f32 = 0.1;

/// At most so many numbers, evenly spread, of those below `clips`.
pub(crate) fn sample(clips: usize) -> Vec<usize> {
    let count = clips.min(CLIPS);
    (0..count).map(|i| i * clips / count.max(1)).collect()
}

/// The mean of every row's best scores with clips, `[rows, width]` and `[clips, width]`, all of unit length. `own(row, clip)` says
/// that a clip is of the row's track and does not count. 0 where no clip does.
fn hubness(rows: ArrayView2<f32>, clips: ArrayView2<f32>, own: impl Fn(usize, usize) -> bool + Sync) -> Vec<f32> {
    const AT_ONCE: usize = 1_024;
    let mut found = Vec::with_capacity(rows.nrows());
    for (chunk, rows) in rows.axis_chunks_iter(Axis(0), AT_ONCE).enumerate() {
        let cosines = times_transposed(rows, clips);
        let best = |i: usize| {
            let row = chunk * AT_ONCE + i;
            let others = cosines.row(i).into_iter().enumerate().filter(|&(clip, _)| !own(row, clip));
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
    clips: ArrayView2<f32>,
    strength: f32,
    own: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<f32> {
    if strength == 0.0 {
        return vec![0.0; rows.nrows()];
    }
    let mut biases = hubness(rows, clips, own);
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
        let clips = array![[1.0f32, 0.0], [0.6, 0.8], [0.8, 0.6], [0.0, 1.0]];
        // The best of three scores with clips that are not the row's own: 0.8 each; without the second row's first clip, 0.6.
        let own = |row, clip| if row == 0 { clip == 0 } else { clip >= 1 };
        assert_eq!(hubness(rows.view(), clips.view(), own), [0.8, 0.0]);
        assert_eq!(biases(rows.view(), clips.view(), 0.5, own), [-0.2, 0.2]);
        assert_eq!(biases(rows.view(), clips.view(), 0.0, own), [0.0, 0.0]);
        assert_eq!(hubness(rows.view(), clips.view(), |_, _| true), [0.0, 0.0]);
    }

    #[test]
    fn samples_are_spread() {
        assert_eq!(sample(3), [0, 1, 2]);
        assert!(sample(0).is_empty());
        let some = sample(100_000);
        assert_eq!((some.len(), some[0]), (CLIPS, 0));
        assert!(some.windows(2).all(|pair| (6..=7).contains(&(pair[1] - pair[0]))));
    }
}
