//! Moments per band: what a clip sounds like on average and how fast it moves.

use ndarray::ArrayView2;

/// Frame distances of the mean absolute differences.
const LAGS: [usize; 2] = [1, 4];

/// Numbers per mel band.
pub(super) const PER_BAND: usize = 2 + LAGS.len();

/// Four numbers per band from a log-mel spectrogram `[frames, bands]`, one group of `bands` after the other: mean,
/// standard deviation (population), mean absolute difference of frames 1 apart, and of frames 4 apart. A group that
/// the clip is too short for is zero.
pub(super) fn moments(log_mel: ArrayView2<'_, f32>) -> Vec<f32> {
    let (frames, bands) = log_mel.dim();
    let mut out = vec![0.0; PER_BAND * bands];
    if frames == 0 || bands == 0 {
        return out;
    }
    // One contiguous slice for the whole clip lets the loops over bands vectorise.
    let standard = log_mel.as_standard_layout();
    let Some(data) = standard.as_slice() else { return out };
    let row = |t: usize| &data[t * bands..(t + 1) * bands];

    let (mean, rest) = out.split_at_mut(bands);
    let (deviation, lagged) = rest.split_at_mut(bands);
    for t in 0..frames {
        for (m, &x) in mean.iter_mut().zip(row(t)) {
            *m += x;
        }
    }
    mean.iter_mut().for_each(|m| *m /= frames as f32);
    for t in 0..frames {
        for ((d, &x), &m) in deviation.iter_mut().zip(row(t)).zip(mean.iter()) {
            *d += (x - m) * (x - m);
        }
    }
    deviation.iter_mut().for_each(|d| *d = (*d / frames as f32).sqrt());
    for (lag, sums) in LAGS.into_iter().zip(lagged.chunks_exact_mut(bands)) {
        let pairs = frames.saturating_sub(lag);
        for t in 0..pairs {
            for ((s, &a), &b) in sums.iter_mut().zip(row(t)).zip(row(t + lag)) {
                *s += (b - a).abs();
            }
        }
        sums.iter_mut().for_each(|s| *s /= pairs.max(1) as f32);
    }
    out
}
