//! Matrix products over all threads, with results that do not depend on their number.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};
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
