//! [`MelFilters`]: triangles spaced evenly on a mel scale, each of unit area in Hz (librosa's `norm='slaney'`).

use crate::FeatureSpec;

/// The filter bank of one spec.
pub(super) struct MelFilters(Vec<Triangle>);

/// Weights of the FFT bins from `start` on; all other bins weigh nothing.
struct Triangle {
    start: usize,
    weights: Vec<f32>,
}

impl MelFilters {
    /// One triangle a band, over the `fft_size / 2 + 1` bins of a real FFT.
    pub(super) fn new(spec: &FeatureSpec) -> Self {
        let bin_hz = f64::from(spec.sample_rate) / spec.fft_size as f64;
        let triangle = |edges: &[f64]| {
            let (low, centre, high) = (edges[0], edges[1], edges[2]);
            let area = 2.0 / (high - low);
            let weight = |bin: usize| {
                let hz = bin_hz * bin as f64;
                let (rise, fall) = ((hz - low) / (centre - low), (high - hz) / (high - centre));
                unit_ramp(rise).min(unit_ramp(fall)) * area
            };
            let inside = |bin: &usize| weight(*bin) != 0.0;
            let bins = 0..=spec.fft_size / 2;
            // A band narrower than a bin may catch none.
            let (start, end) = (bins.clone().find(inside).unwrap_or(1), bins.rev().find(inside).unwrap_or(0));
            Triangle { start, weights: (start..=end).map(|bin| weight(bin) as f32).collect() }
        };
        Self(edges_hz(spec).windows(3).map(triangle).collect())
    }

    /// Power per bin to power per band, summed from the lowest bin up.
    pub(super) fn project(&self, power: &[f32], bands: &mut [f32]) {
        for (band, triangle) in bands.iter_mut().zip(&self.0) {
            let bins = triangle.weights.iter().zip(&power[triangle.start..]);
            *band = bins.fold(0.0, |sum, (weight, power)| sum + weight * power);
        }
    }
}

/// `mel_bands + 2` frequencies, evenly spaced in mel: band `b` rises from the `b`-th to the next and falls to the one after.
pub(super) fn edges_hz(spec: &FeatureSpec) -> Vec<f64> {
    let scale = spec.mel_scale;
    let low = scale.mel(f64::from(spec.mel_min_hz));
    let step = (scale.mel(f64::from(spec.mel_max_hz)) - low) / (spec.mel_bands + 1) as f64;
    (0..spec.mel_bands + 2).map(|edge| scale.hz(low + step * edge as f64)).collect()
}

/// Limits a ramp to 0 to 1; a ramp of no width is NaN at its foot, and zero.
fn unit_ramp(x: f64) -> f64 {
    if x > 0.0 { x.min(1.0) } else { 0.0 }
}
