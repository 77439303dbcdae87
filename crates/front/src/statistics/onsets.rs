//! Onsets: how sharply bands rise, and at which distances rises return.

use ndarray::{Array2, ArrayView2, Axis};

/// Frame distances over which rises are taken.
const DISTANCES: [usize; 3] = [1, 4, 16];

/// Numbers per band in [`rises`].
pub(super) const RISES_PER_BAND: usize = DISTANCES.len();

/// Registers into which bands are averaged for [`rhythm`].
const REGISTERS: usize = 4;

/// Frame distances of the autocorrelation: 4, 7, ..., 127 (at 31 frames a second, 0.13 to 4.1 s).
const LAGS: usize = 42;
const FIRST_LAG: usize = 4;
const LAG_STEP: usize = 3;

/// Numbers in [`rhythm`].
pub(super) const RHYTHM_WIDTH: usize = LAGS * REGISTERS;

/// Added to a register's standard deviation before dividing by it.
const STEADY: f32 = 1e-4;

/// Per distance and band, the root mean square of the rising part of the difference. Unlike absolute differences these tell a
/// clip from its reversal, and music rises faster than it falls.
pub(super) fn rises(log_mel: ArrayView2<'_, f32>) -> Vec<f32> {
    let (frames, bands) = log_mel.dim();
    let mut out = vec![0.0; RISES_PER_BAND * bands];
    if bands == 0 {
        return out;
    }
    // Contiguous rows let the loops over bands vectorise.
    let log_mel = log_mel.as_standard_layout();
    let Some(data) = log_mel.as_slice() else { return out };
    for (distance, sums) in DISTANCES.into_iter().zip(out.chunks_exact_mut(bands)) {
        let pairs = frames.saturating_sub(distance);
        let later = data.chunks_exact(bands).skip(distance);
        for (before, after) in data.chunks_exact(bands).zip(later) {
            for ((sum, &a), &b) in sums.iter_mut().zip(before).zip(after) {
                let rise = (b - a).max(0.0);
                *sum += rise * rise;
            }
        }
        sums.iter_mut().for_each(|sum| *sum = (*sum / pairs.max(1) as f32).sqrt());
    }
    out
}

/// Autocorrelation of the onset strength (mean rise from frame to frame) of four registers of adjacent bands, each centred and
/// scaled to unit variance: `[lag][register]`.
pub(super) fn rhythm(log_mel: ArrayView2<'_, f32>) -> Vec<f32> {
    let (frames, bands) = log_mel.dim();
    let steps = frames.saturating_sub(1);
    let mut onsets = Array2::<f32>::zeros((REGISTERS, steps));
    // Contiguous rows, as above. Band `b` is in register `b * REGISTERS / bands`.
    let log_mel = log_mel.as_standard_layout();
    let data = log_mel.as_slice().filter(|_| bands > 0).unwrap_or_default();
    let edge = |register: usize| (register * bands).div_ceil(REGISTERS);
    for (t, (before, after)) in data.chunks_exact(bands.max(1)).zip(data.chunks_exact(bands.max(1)).skip(1)).enumerate()
    {
        for register in 0..REGISTERS {
            let range = edge(register)..edge(register + 1);
            onsets[[register, t]] = rise(&before[range.clone()], &after[range]);
        }
    }
    for mut register in onsets.axis_iter_mut(Axis(0)) {
        register /= (bands as f32 / REGISTERS as f32).max(1.0);
        let mean = register.sum() / steps.max(1) as f32;
        register -= mean;
        let deviation = (register.iter().map(|x| x * x).sum::<f32>() / steps.max(1) as f32).sqrt();
        register /= deviation + STEADY;
    }
    let mut out = Vec::with_capacity(RHYTHM_WIDTH);
    for lag in (0..LAGS).map(|i| FIRST_LAG + LAG_STEP * i) {
        let pairs = steps.saturating_sub(lag);
        for register in onsets.rows() {
            let (earlier, later) = (register.slice_axis(Axis(0), (..pairs).into()), lag.min(steps)..);
            out.push(earlier.dot(&register.slice_axis(Axis(0), later.into())) / pairs.max(1) as f32);
        }
    }
    out
}

/// Sum of the rising parts of the differences, in eight interleaved sums so that it vectorises.
fn rise(before: &[f32], after: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (before, after) in before.chunks(sums.len()).zip(after.chunks(sums.len())) {
        for ((sum, &a), &b) in sums.iter_mut().zip(before).zip(after) {
            *sum += (b - a).max(0.0);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_beat_returns_at_its_period() {
        // A rise every 16 frames in all bands.
        let clip = Array2::from_shape_fn((320, 8), |(t, _)| if t % 16 == 0 { 1.0 } else { 0.0 });
        let out = rhythm(clip.view());
        let at = |lag: usize| out[(lag - FIRST_LAG) / LAG_STEP * REGISTERS];
        assert!(at(16) > 0.9 && at(64) > 0.9, "{} {}", at(16), at(64));
        assert!(at(10) < 0.0 && at(25) < 0.0, "{} {}", at(10), at(25));
    }

    #[test]
    fn rises_see_onsets_only() {
        let falling = Array2::from_shape_fn((50, 2), |(t, _)| -(t as f32));
        assert!(rises(falling.view()).iter().all(|&x| x == 0.0));
        let rising = Array2::from_shape_fn((50, 2), |(t, _)| t as f32);
        assert_eq!(rises(rising.view()), [1.0, 1.0, 4.0, 4.0, 16.0, 16.0]);
    }
}
