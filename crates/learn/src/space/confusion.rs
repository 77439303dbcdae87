//! [`confusions`]: how easily every class is taken for another.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::math::matrix::{normalise_rows, times_transposed};

/// How easily every class is taken for others, 1 on average and never zero, from rounds of unit vectors `[examples, width]`: the
/// mean over its examples of the probability that a softmax over cosines puts on other classes. An example is compared with its
/// class's mean without itself.
pub(crate) fn confusions(vectors: ArrayView2<f32>, class_count: usize) -> Vec<f32> {
    const SCALE: f32 = 32.0;
    const FEWEST: f32 = 0.05;
    const AT_ONCE: usize = 512;
    let mut sums = Array2::<f32>::zeros((class_count, vectors.ncols()));
    for round in vectors.axis_chunks_iter(Axis(0), class_count) {
        sums += &round;
    }
    let mut rows = sums.clone();
    normalise_rows(&mut rows);
    let mut confusions = vec![0.0f32; class_count];
    for (chunk, some) in vectors.axis_chunks_iter(Axis(0), AT_ONCE).enumerate() {
        let cosines = times_transposed(some, rows.view());
        let wrong = |i: usize| {
            let class = (chunk * AT_ONCE + i) % class_count;
            let others = &sums.row(class) - &some.row(i);
            let own = others.dot(&some.row(i)) / others.dot(&others).sqrt().max(f32::MIN_POSITIVE);
            let odds =
                |(other, &cosine): (usize, &f32)| if other == class { 0.0 } else { (SCALE * (cosine - own)).exp() };
            let against: f32 = cosines.row(i).iter().enumerate().map(odds).sum();
            (class, against / (1.0 + against))
        };
        let wrong: Vec<(usize, f32)> = (0..some.nrows()).into_par_iter().map(wrong).collect();
        wrong.into_iter().for_each(|(class, share)| confusions[class] += share);
    }
    let mean = confusions.iter().sum::<f32>().max(f32::MIN_POSITIVE) / class_count as f32;
    confusions.into_iter().map(|confusion| FEWEST + confusion / mean).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn classes_that_look_alike_are_confused() {
        // Two rounds of three classes: the first two near each other, the third far from both.
        let mut vectors = array![
            [1.0f32, 0.0, 0.0],
            [0.98, 0.2, 0.0],
            [0.0, 0.0, 1.0],
            [0.99, 0.1, 0.0],
            [1.0, 0.15, 0.0],
            [0.0, 0.1, 1.0]
        ];
        normalise_rows(&mut vectors);
        let found = confusions(vectors.view(), 3);
        assert!(found[0] > 10.0 * found[2] && found[1] > 10.0 * found[2], "{found:?}");
        assert!(found.iter().all(|c| *c >= 0.05));
    }
}
