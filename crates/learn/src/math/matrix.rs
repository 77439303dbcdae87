//! Products over all threads, with results that do not depend on their number, and what is often asked of rows and columns.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array, Array1, Array2, ArrayView2, Axis, Dimension};
use rayon::prelude::*;

const ROWS: usize = 512;

/// `a b^T`: `[n, k]` and `[m, k]` to `[n, m]`.
pub(crate) fn times_transposed(a: ArrayView2<f32>, b: ArrayView2<f32>) -> Array2<f32> {
    let mut out = Array2::zeros((a.nrows(), b.nrows()));
    let parts: Vec<_> = out.axis_chunks_iter_mut(Axis(0), ROWS).zip(a.axis_chunks_iter(Axis(0), ROWS)).collect();
    parts.into_par_iter().for_each(|(mut out, a)| general_mat_mul(1.0, &a, &b.t(), 0.0, &mut out));
    out
}

/// `sum_i f(a_i)^T f(a_i)` over chunks `a_i` of the rows of `a`, `[n, k]` to `[k, k]`, summed in double precision. `f` gets the
/// number of the chunk's first row as well.
pub(crate) fn gram(a: ArrayView2<f32>, f: impl Fn(usize, ArrayView2<f32>) -> Array2<f32> + Sync) -> Array2<f64> {
    const AT_ONCE: usize = 8;
    let mut sum = Array2::<f64>::zeros((a.ncols(), a.ncols()));
    let chunks: Vec<_> = a.axis_chunks_iter(Axis(0), 4 * ROWS).enumerate().collect();
    for some in chunks.chunks(AT_ONCE) {
        let part = |(i, chunk): &(usize, ArrayView2<f32>)| {
            let rows = f(i * 4 * ROWS, chunk.view());
            rows.t().dot(&rows)
        };
        let parts: Vec<Array2<f32>> = some.par_iter().map(part).collect();
        for part in parts {
            sum.zip_mut_with(&part, |s, &v| *s += f64::from(v));
        }
    }
    sum
}

/// Scales every row, along the last axis, to unit length; rows of zeros stay.
pub(crate) fn normalise_rows<D: Dimension>(rows: &mut Array<f32, D>) {
    for mut row in rows.rows_mut() {
        let norm = row.dot(&row).sqrt();
        if norm > 0.0 {
            row.mapv_inplace(|v| v / norm);
        }
    }
}

/// Mean and standard deviation of every column, in double precision.
pub(crate) fn moments(features: ArrayView2<f32>) -> (Array1<f32>, Array1<f32>) {
    weighted_moments(features, &vec![1.0; features.nrows()])
}

/// The same where row `i` counts `weights[i]` times.
pub(crate) fn weighted_moments(features: ArrayView2<f32>, weights: &[f32]) -> (Array1<f32>, Array1<f32>) {
    let width = features.ncols();
    let total = weights.iter().map(|&w| f64::from(w)).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut sum = Array1::<f64>::zeros(width);
    for (row, &weight) in features.rows().into_iter().zip(weights) {
        sum.zip_mut_with(&row, |s, &v| *s += f64::from(weight) * f64::from(v));
    }
    let mean = sum / total;
    let mut square = Array1::<f64>::zeros(width);
    for (row, &weight) in features.rows().into_iter().zip(weights) {
        for ((s, &v), m) in square.iter_mut().zip(row).zip(&mean) {
            *s += f64::from(weight) * (f64::from(v) - m).powi(2);
        }
    }
    let deviation = square.mapv(|s| {
        let deviation = (s / total).sqrt() as f32;
        if deviation > 1e-6 { deviation } else { 1.0 }
    });
    (mean.mapv(|m| m as f32), deviation)
}

/// Index of the first largest number.
pub(crate) fn argmax<'a>(values: impl Iterator<Item = &'a f32>) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (i, &value) in values.enumerate() {
        if best.is_none_or(|(_, top)| value > top) {
            best = Some((i, value));
        }
    }
    best.map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_products() {
        let a = Array2::from_shape_fn((1_300, 7), |(i, j)| ((i * 13 + j * 5) % 17) as f32 - 8.0);
        let b = Array2::from_shape_fn((9, 7), |(i, j)| ((i * 3 + j) % 5) as f32);
        assert_eq!(times_transposed(a.view(), b.view()), a.dot(&b.t()));
        let expected = a.t().dot(&a).mapv(f64::from);
        let found = gram(a.view(), |_, rows| rows.to_owned());
        assert!((found - expected).iter().all(|d| d.abs() < 1e-3));
    }
}
