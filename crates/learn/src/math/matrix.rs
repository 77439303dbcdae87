//! Products over all threads, with results that do not depend on their number, and what is often asked of rows and columns.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array, Array1, Array2, ArrayView2, ArrayViewMut1, Axis, Dimension};
use rayon::prelude::*;

/// `a b^T`: `[n, k]` and `[m, k]` to `[n, m]`.
pub(crate) fn times_transposed(a: ArrayView2<f32>, b: ArrayView2<f32>) -> Array2<f32> {
    /// Rows of either that a thread takes at once. A thread packs all of the other for itself, so it takes the more the fewer those are.
    const ROWS: usize = 512;
    const COLUMNS: usize = 4_096;
    let mut out = Array2::zeros((a.nrows(), b.nrows()));
    // A few examples against very many rows are divided by the rows.
    if a.nrows() <= ROWS && b.nrows() > COLUMNS {
        let parts = out.axis_chunks_iter_mut(Axis(1), COLUMNS).zip(b.axis_chunks_iter(Axis(0), COLUMNS));
        let parts: Vec<_> = parts.collect();
        parts.into_par_iter().for_each(|(mut out, b)| general_mat_mul(1.0, &a, &b.t(), 0.0, &mut out));
    } else {
        let parts = out.axis_chunks_iter_mut(Axis(0), ROWS).zip(a.axis_chunks_iter(Axis(0), ROWS));
        let parts: Vec<_> = parts.collect();
        parts.into_par_iter().for_each(|(mut out, a)| general_mat_mul(1.0, &a, &b.t(), 0.0, &mut out));
    }
    out
}

/// For every row the place of the other with the largest product, lower places first; `not` is the place that is none for a row.
pub(crate) fn nearest(
    rows: ArrayView2<f32>,
    others: ArrayView2<f32>,
    not: impl Fn(usize) -> Option<usize> + Sync,
) -> Vec<Option<usize>> {
    /// Products that are held at once.
    const PRODUCTS: usize = 1 << 26;
    let at_once = (PRODUCTS / others.nrows().max(1)).clamp(1, 4_096);
    let mut found = Vec::with_capacity(rows.nrows());
    for (chunk, rows) in rows.axis_chunks_iter(Axis(0), at_once).enumerate() {
        let mut products = times_transposed(rows, others);
        let one = |(i, mut products): (usize, ArrayViewMut1<f32>)| {
            let not = not(chunk * at_once + i);
            not.and_then(|place| products.get_mut(place)).into_iter().for_each(|own| *own = f32::NEG_INFINITY);
            argmax(products.iter()).filter(|&place| Some(place) != not)
        };
        found.par_extend(products.axis_iter_mut(Axis(0)).into_par_iter().enumerate().map(one));
    }
    found
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

/// Mean and standard deviation of every column, in double precision; the latter 1 where a column is constant.
pub(crate) fn moments(features: ArrayView2<f32>) -> (Array1<f32>, Array1<f32>) {
    let (total, width) = (features.nrows().max(1) as f64, features.ncols());
    let mut sum = Array1::<f64>::zeros(width);
    for row in features.rows() {
        sum.zip_mut_with(&row, |s, &v| *s += f64::from(v));
    }
    let mean = sum / total;
    let mut square = Array1::<f64>::zeros(width);
    for row in features.rows() {
        for ((s, &v), m) in square.iter_mut().zip(row).zip(&mean) {
            *s += (f64::from(v) - m).powi(2);
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
    fn the_nearest_is_another() {
        let rows = Array2::from_shape_fn((9_000, 4), |(i, j)| ((i * 29 + j * 11) % 997) as f32 / 500.0 - 1.0);
        let some = [7, 4_097, 8_999];
        let found = nearest(rows.select(Axis(0), &some).view(), rows.view(), |row| Some(some[row]));
        for (&row, found) in some.iter().zip(found) {
            let best = (0..9_000).filter(|&other| other != row).map(|other| rows.row(row).dot(&rows.row(other)));
            let found = rows.row(found.unwrap()).dot(&rows.row(row));
            assert!((found - best.fold(f32::NEG_INFINITY, f32::max)).abs() < 1e-5);
        }
        let one = rows.slice_axis(Axis(0), (..1).into());
        assert_eq!((nearest(one, one, |_| None), nearest(one, one, |_| Some(0))), (vec![Some(0)], vec![None]));
    }

    #[test]
    fn products_are_products() {
        let a = Array2::from_shape_fn((1_300, 7), |(i, j)| ((i * 13 + j * 5) % 17) as f32 - 8.0);
        let b = Array2::from_shape_fn((9, 7), |(i, j)| ((i * 3 + j) % 5) as f32);
        assert_eq!(times_transposed(a.view(), b.view()), a.dot(&b.t()));
        // A row's products do not depend on the rows beside it: parts of a library are multiplied apart.
        let b = Array2::from_shape_fn((300, 517), |(i, j)| ((i * 31 + j * 7) % 103) as f32 / 51.0 - 1.0);
        let a = Array2::from_shape_fn((1_100, 517), |(i, j)| ((i * 17 + j * 13) % 97) as f32 / 48.0 - 1.0);
        let whole = times_transposed(a.view(), b.view());
        for (from, to) in [(0, 1), (3, 12), (500, 530), (511, 1_100), (77, 1_090)] {
            let some = a.slice_axis(Axis(0), (from..to).into());
            assert_eq!(times_transposed(some, b.view()), whole.slice_axis(Axis(0), (from..to).into()), "{from}..{to}");
        }
        // Nor on how many rows there are on the other side, by which few examples are divided.
        let many = Array2::from_shape_fn((9_000, 61), |(i, j)| ((i * 29 + j * 11) % 101) as f32 / 50.0 - 1.0);
        let few = many.slice_axis(Axis(0), (100..107).into());
        let all = times_transposed(few, many.view());
        for (from, to) in [(0, 4_096), (4_000, 4_200), (8_990, 9_000)] {
            let some = times_transposed(few, many.slice_axis(Axis(0), (from..to).into()));
            assert_eq!(some, all.slice_axis(Axis(1), (from..to).into()), "{from}..{to}");
        }
    }
}
