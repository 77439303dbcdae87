//! What training adds to the vectors of a step, so that no two steps see the same.

use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::math::matrix::normalise_rows;

/// Unit vectors with normal noise, of unit length again. The noise's standard deviation, in units of the root mean square
/// entry of a unit vector, is drawn for every row between 0 and `noise`.
pub(crate) fn scattered(mut vectors: Array2<f32>, noise: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    if noise > 0.0 {
        let unit = (vectors.ncols() as f32).sqrt().recip();
        for mut row in vectors.rows_mut() {
            let deviation = noise * unit * rng.random::<f32>();
            row.mapv_inplace(|v| v + deviation * rng.sample::<f32, _>(StandardNormal));
        }
        normalise_rows(&mut vectors);
    }
    vectors
}

/// Zero for a share `dropout` of the entries, and so much above one for the others that the mean is one.
pub(crate) fn dropout_mask(rows: usize, columns: usize, dropout: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    if dropout == 0.0 {
        return Array2::ones((1, 1));
    }
    Array2::from_shape_simple_fn((rows, columns), || {
        if rng.random::<f32>() < dropout { 0.0 } else { 1.0 / (1.0 - dropout) }
    })
}
