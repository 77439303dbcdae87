//! [`CachedMel`]: one track's mel power in half the memory.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use half::f16;
use half::slice::HalfFloatSliceExt;
use ndarray::Array2;
use sordino_front::MelPower;

/// Least logarithm kept. Anything 130 dB below a track's mean is silence.
const LOWEST: f32 = -30.0;

/// Mel power as `ln(power / mean power of the track)` in float16, `[frames, bands]` row by row, beside the mean itself.
///
/// Dividing by the mean puts what can be heard near 0, where float16 is finest. Between 2^k and 2^(k+1) its values
/// are 2^(k-10) apart, so the logarithm is off by at most 2^-8 as long as it is within 16 of zero, that is 69 dB
/// either way: 0.4 % of the power, or 0.017 dB. Below that the error is at most 0.8 %, and under -130 dB power becomes
/// that floor (or zero where the whole track is silent).
#[derive(Clone, Debug, PartialEq)]
pub struct CachedMel {
    frames: usize,
    bands: usize,
    mean_power: f32,
    logs: Arc<[f16]>,
}

impl CachedMel {
    /// Compresses mel power.
    pub fn new(mel: &MelPower) -> Self {
        let mean_power = mel.mean();
        let logs = if mean_power > 0.0 {
            let logs: Vec<f32> = mel.0.iter().map(|power| (power / mean_power).ln().max(LOWEST)).collect();
            let mut halves = vec![f16::ZERO; logs.len()];
            halves.convert_from_f32_slice(&logs);
            halves.into()
        } else {
            vec![f16::from_f32(LOWEST); mel.0.len()].into()
        };
        Self { frames: mel.frames(), bands: mel.bands(), mean_power, logs }
    }

    /// A track of which only the length is known.
    pub(crate) fn absent(frames: usize, bands: usize) -> Self {
        Self { frames, bands, mean_power: 0.0, logs: Arc::from([]) }
    }

    /// Whether mel power is there.
    pub fn is_present(&self) -> bool {
        self.logs.len() == self.frames * self.bands
    }

    /// Puts a stored track together, or says what is wrong with it.
    pub(crate) fn from_parts(frames: usize, bands: usize, mean_power: f32, logs: Arc<[f16]>) -> Result<Self, String> {
        if bands == 0 || frames.checked_mul(bands) != Some(logs.len()) {
            return Err(format!("{} mel values for {frames} frames of {bands} bands", logs.len()));
        }
        if !(mean_power.is_finite() && mean_power >= 0.0) {
            return Err(format!("a mean power of {mean_power}"));
        }
        match logs.iter().all(|log| log.is_finite()) {
            true => Ok(Self { frames, bands, mean_power, logs }),
            false => Err("mel values that are not finite".into()),
        }
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Number of mel bands.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Mean power over all frames and bands.
    pub fn mean_power(&self) -> f32 {
        self.mean_power
    }

    /// `ln(power / mean power)`, frame by frame.
    pub fn logs(&self) -> &[f16] {
        &self.logs
    }

    /// Mel power of the whole track, `[frames, bands]`.
    pub fn mel(&self) -> MelPower {
        self.expand(&self.logs)
    }

    /// Mel power of some frames, or `None` where the track does not have them.
    pub fn mel_frames(&self, frames: Range<usize>) -> Option<MelPower> {
        let end = frames.end.checked_mul(self.bands)?;
        self.logs.get(frames.start.checked_mul(self.bands)?..end).map(|logs| self.expand(logs))
    }

    fn expand(&self, logs: &[f16]) -> MelPower {
        let exponentials = exponentials();
        let power: Vec<f32> =
            logs.iter().map(|log| self.mean_power * exponentials[usize::from(log.to_bits())]).collect();
        let frames = power.len() / self.bands.max(1);
        // Whole frames only: `from_parts`, `new` and `mel_frames` cut at multiples of `bands`.
        MelPower(Array2::from_shape_vec((frames, self.bands), power).unwrap_or_default())
    }
}

/// `exp` of every float16 by its bits: one load instead of a conversion and an exponential.
fn exponentials() -> &'static [f32] {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    TABLE.get_or_init(|| (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f32().exp()).collect())
}

#[cfg(test)]
mod tests {
    use sordino_front::{FeatureSpec, MelFrontEnd, Statistics, log_mel};

    use super::*;
    use crate::synth;

    #[test]
    fn power_comes_back_within_the_stated_tolerance() {
        let spec = FeatureSpec::default();
        let front = MelFrontEnd::new(&spec).unwrap();
        for seed in 0..8 {
            let mel = front.mel_power(&synth::render(seed, 8_000, 12.0));
            let (mean, back) = (mel.mean(), CachedMel::new(&mel).mel());
            for (&power, &stored) in mel.0.iter().zip(&back.0) {
                let log = (power / mean).ln();
                // 1e-4 more for the roundings of ln and exp in f32.
                let tolerance = if log.abs() <= 16.0 { 1.0 / 256.0 } else { 1.0 / 128.0 } + 1e-4;
                if log > LOWEST {
                    assert!(((stored / power).ln()).abs() <= tolerance, "{power} came back as {stored}");
                }
            }
        }
    }

    #[test]
    fn statistics_of_a_query_change_by_far_less_than_between_crops() {
        let spec = FeatureSpec::default();
        let front = MelFrontEnd::new(&spec).unwrap();
        let features = |mel: &MelPower, frames: Range<usize>| {
            let crop = mel.crop(frames.start, frames.len()).unwrap();
            Statistics::Moments.of(log_mel(crop, spec.log_floor).view())
        };
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f32>().sqrt();
        for seed in 0..8 {
            let mel = front.mel_power(&synth::render(seed, 8_000, 12.0));
            let back = CachedMel::new(&mel).mel();
            let (query, other) = (0..spec.query_frames(), 20..20 + spec.query_frames());
            let exact = features(&mel, query.clone());
            let rounding = distance(&exact, &features(&back, query));
            let crops = distance(&exact, &features(&mel, other));
            assert!(rounding < 0.01 * crops, "seed {seed}: {rounding} against {crops}");
        }
    }

    #[test]
    fn frames_are_those_of_the_whole() {
        let front = MelFrontEnd::new(&FeatureSpec::default()).unwrap();
        let cached = CachedMel::new(&front.mel_power(&synth::render(1, 8_000, 3.0)));
        let (whole, some) = (cached.mel(), cached.mel_frames(10..25).unwrap());
        assert_eq!(some.0.view(), whole.crop(10, 15).unwrap());
        assert!(cached.mel_frames(0..cached.frames() + 1).is_none());
        assert!(cached.mel_frames(usize::MAX - 1..usize::MAX).is_none());
    }

    #[test]
    fn silence_stays_silent() {
        let cached = CachedMel::new(&MelPower(Array2::zeros((5, 4))));
        assert_eq!(cached.mel().0, Array2::<f32>::zeros((5, 4)));
    }

    #[test]
    fn stored_nonsense_is_refused() {
        let logs = |values: &[f32]| -> Arc<[f16]> { values.iter().map(|&x| f16::from_f32(x)).collect() };
        assert!(CachedMel::from_parts(1, 2, 1.0, logs(&[0.0, 1.0])).is_ok());
        assert!(CachedMel::from_parts(2, 2, 1.0, logs(&[0.0, 1.0])).is_err());
        assert!(CachedMel::from_parts(usize::MAX, 2, 1.0, logs(&[0.0, 1.0])).is_err());
        assert!(CachedMel::from_parts(1, 2, f32::NAN, logs(&[0.0, 1.0])).is_err());
        assert!(CachedMel::from_parts(1, 2, 1.0, logs(&[0.0, f32::NAN])).is_err());
    }
}
