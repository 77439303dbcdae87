//! [`FeatureSpec`]: every constant of the public front end, in one value that travels inside the model.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Statistics;

/// Which mel scale spaces the filter bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// `2595 log10(1 + f / 700)`, as in the HTK book.
    Htk,
    /// Linear below 1 kHz and logarithmic above, as in Slaney's Auditory Toolbox and librosa's default.
    Slaney,
}

/// Where Slaney's scale turns from linear to logarithmic, in Hz.
const BREAK_HZ: f64 = 1_000.0;
/// Hz a mel below the break.
const HZ_PER_MEL: f64 = 200.0 / 3.0;

impl MelScale {
    /// A frequency in Hz on this scale.
    pub fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
            Self::Slaney if hz >= BREAK_HZ => BREAK_HZ / HZ_PER_MEL + (hz / BREAK_HZ).ln() / Self::log_step(),
            Self::Slaney => hz / HZ_PER_MEL,
        }
    }

    /// The frequency in Hz: the inverse of [`MelScale::mel`].
    pub fn hz(self, mel: f64) -> f64 {
        let break_mel = BREAK_HZ / HZ_PER_MEL;
        match self {
            Self::Htk => 700.0 * (10.0f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel >= break_mel => BREAK_HZ * (Self::log_step() * (mel - break_mel)).exp(),
            Self::Slaney => HZ_PER_MEL * mel,
        }
    }

    /// Step of the logarithmic part of Slaney's scale: 27 for a factor of 6.4.
    fn log_step() -> f64 {
        6.4f64.ln() / 27.0
    }
}

/// Everything that turns samples into a mel spectrogram. Two specs that differ in any field give incompatible models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Sampling rate in Hz to which every clip is resampled.
    pub sample_rate: u32,
    /// FFT and Hann-window length in samples.
    pub fft_size: usize,
    /// Hop between frames in samples.
    pub hop: usize,
    /// Number of mel bands.
    pub mel_bands: usize,
    /// Lower edge of the first mel band in Hz.
    pub mel_min_hz: f32,
    /// Upper edge of the last mel band in Hz.
    pub mel_max_hz: f32,
    /// The mel scale.
    pub mel_scale: MelScale,
    /// Length of a query in seconds.
    pub query_seconds: f32,
    /// Added to the power before the logarithm, as a fraction of the clip's mean mel power.
    pub log_floor: f32,
    /// Which pooled statistics are taken of the log-mel spectrogram.
    pub statistics: Statistics,
}

impl Default for FeatureSpec {
    fn default() -> Self {
        Self {
            sample_rate: 8_000,
            fft_size: 1_024,
            hop: 256,
            mel_bands: 64,
            mel_min_hz: 60.0,
            mel_max_hz: 4_000.0,
            mel_scale: MelScale::Htk,
            query_seconds: 10.0,
            log_floor: 1e-6,
            statistics: Statistics::Rich,
        }
    }
}

/// A [`FeatureSpec`] that describes no usable front end.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// One field is outside its range.
    #[error("feature spec: {field} is {found}, expected {expected}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it held.
        found: String,
        /// What it may hold.
        expected: String,
    },
}

impl FeatureSpec {
    /// Number of frames in `samples` samples: frames are not padded, so the first one starts at sample 0 and the
    /// last one ends at or before the last sample.
    pub fn frames(&self, samples: usize) -> usize {
        if samples < self.fft_size { 0 } else { 1 + (samples - self.fft_size) / self.hop }
    }

    /// Samples in one query.
    pub fn query_samples(&self) -> usize {
        (self.query_seconds * self.sample_rate as f32).round() as usize
    }

    /// Frames in one query.
    pub fn query_frames(&self) -> usize {
        self.frames(self.query_samples())
    }

    /// Frames per second.
    pub fn frame_rate(&self) -> f32 {
        self.sample_rate as f32 / self.hop as f32
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`SpecError::Field`] names the first field outside its range.
    pub fn validate(&self) -> Result<(), SpecError> {
        let bad =
            |field, found: String, expected: &str| Err(SpecError::Field { field, found, expected: expected.into() });
        if !(1_000..=192_000).contains(&self.sample_rate) {
            return bad("sample_rate", self.sample_rate.to_string(), "1,000 to 192,000 Hz");
        }
        if !(16..=65_536).contains(&self.fft_size) {
            return bad("fft_size", self.fft_size.to_string(), "16 to 65,536 samples");
        }
        if self.hop == 0 || self.hop > self.fft_size {
            return bad("hop", self.hop.to_string(), "1 to fft_size samples");
        }
        if !(4..=512).contains(&self.mel_bands) {
            return bad("mel_bands", self.mel_bands.to_string(), "4 to 512");
        }
        let nyquist = self.sample_rate as f32 / 2.0;
        if !(self.mel_min_hz >= 0.0 && self.mel_min_hz < self.mel_max_hz && self.mel_max_hz <= nyquist) {
            return bad(
                "mel_min_hz..mel_max_hz",
                format!("{}..{}", self.mel_min_hz, self.mel_max_hz),
                "an increasing range within 0 and half the sampling rate",
            );
        }
        if !(self.query_seconds.is_finite() && self.query_seconds <= 600.0 && self.query_frames() >= 8) {
            return bad("query_seconds", self.query_seconds.to_string(), "at least 8 frames and at most 600 s");
        }
        if !(self.log_floor > 0.0 && self.log_floor <= 1.0) {
            return bad("log_floor", self.log_floor.to_string(), "above 0 and at most 1");
        }
        Ok(())
    }
}
