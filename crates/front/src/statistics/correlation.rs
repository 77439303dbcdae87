//! Correlations of cepstral coefficients over time: which parts of the spectrum move together.

use std::f32::consts::PI;

use ndarray::{Array2, ArrayView2, Axis};

/// Cepstral coefficients kept, or all where there are fewer bands.
const COEFFICIENTS: usize = 32;

/// Added to a coefficient's standard deviation before dividing by it: a coefficient that does not move correlates with none.
const STEADY: f32 = 1e-3;

/// Pairs of different coefficients.
pub(super) fn width(bands: usize) -> usize {
    let kept = COEFFICIENTS.min(bands);
    kept * kept.saturating_sub(1) / 2
}

/// Pearson correlations over frames between the first coefficients of the orthonormal DCT-II over bands (the lowest one scaled
/// like the others, which correlation does not see): the upper triangle without its diagonal, row by row.
pub(super) fn cepstral_correlations(log_mel: ArrayView2<'_, f32>) -> Vec<f32> {
    let (frames, bands) = log_mel.dim();
    let kept = COEFFICIENTS.min(bands);
    let mut out = Vec::with_capacity(width(bands));
    if frames == 0 {
        out.resize(width(bands), 0.0);
        return out;
    }
    let scale = (2.0 / bands as f32).sqrt();
    // cos(pi (b + 1/2) c / bands) has a period of 4 bands in (2 b + 1) c: few cosines for a whole matrix.
    let cosines: Vec<f32> = (0..4 * bands).map(|i| (PI * i as f32 / (2 * bands) as f32).cos() * scale).collect();
    let dct = Array2::from_shape_fn((bands, kept), |(b, c)| cosines[(2 * b + 1) * c % (4 * bands)]);
    let mut coefficients = log_mel.dot(&dct);
    for mut column in coefficients.axis_iter_mut(Axis(1)) {
        let mean = column.sum() / frames as f32;
        column -= mean;
        let deviation = (column.iter().map(|x| x * x).sum::<f32>() / frames as f32).sqrt();
        column /= deviation + STEADY;
    }
    let correlation = coefficients.t().dot(&coefficients) / frames as f32;
    for a in 0..kept {
        out.extend((a + 1..kept).map(|b| correlation[[a, b]]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_are_those_of_the_coefficients() {
        // Four bands whose DCT columns are known: band patterns c1 and c2 move together, c3 against them.
        let bands = 4;
        let pattern = |c: usize, b: usize| (PI * (b as f32 + 0.5) * c as f32 / bands as f32).cos();
        let clip = Array2::from_shape_fn((64, bands), |(t, b)| {
            let x = (t as f32 * 0.7).sin();
            x * (pattern(1, b) + 2.0 * pattern(2, b) - pattern(3, b))
        });
        let out = cepstral_correlations(clip.view());
        // Order: (0,1) (0,2) (0,3) (1,2) (1,3) (2,3).
        let expected = [0.0, 0.0, 0.0, 1.0, -1.0, -1.0];
        for (found, expected) in out.iter().zip(expected) {
            assert!((found - expected).abs() < 0.01, "{out:?}");
        }
    }
}
