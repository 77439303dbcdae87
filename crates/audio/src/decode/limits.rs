//! [`DecodeLimits`]: what a file must satisfy to be accepted. [`Window`]: the stretch of it that is wanted.

use sordino_front::FeatureSpec;

/// What to do with a file longer than [`DecodeLimits::max_seconds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlong {
    /// [`crate::AudioError::TooLong`], before decoding where the header states the length.
    Reject,
    /// Keep the first `max_seconds`; the rest is not read.
    Truncate,
}

/// What a file must satisfy to be accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeLimits {
    /// Least length in seconds.
    pub min_seconds: f32,
    /// Greatest length in seconds, of the whole file or of the [`Window`] that is asked for. An hour at 8 kHz is 115 MB
    /// of samples.
    pub max_seconds: f32,
    /// What happens beyond `max_seconds`.
    pub overlong: Overlong,
    /// Greatest file size in bytes.
    pub max_bytes: u64,
    /// Least RMS level about the mean, in dB relative to full scale. The default, -75, is below any audible music and
    /// above the noise of 16-bit dither (-96) and of lossy coders fed with silence.
    pub min_dbfs: f32,
    /// Least fraction of the stream that must decode, by duration, and of the length stated by the header that must be
    /// there. A file with a few bad packets is accepted with those packets left out; below this it is
    /// [`crate::AudioError::Corrupt`] or [`crate::AudioError::Truncated`]. A WAV header's length does not count: too many
    /// programs write a wrong one.
    pub min_intact: f32,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            min_seconds: 1.0,
            max_seconds: 3_600.0,
            overlong: Overlong::Reject,
            max_bytes: 4 << 30,
            min_dbfs: -75.0,
            min_intact: 0.9,
        }
    }
}

impl DecodeLimits {
    /// The defaults, with at least one query's length.
    pub fn for_spec(spec: &FeatureSpec) -> Self {
        Self { min_seconds: spec.query_seconds, ..Self::default() }
    }
}

/// A stretch of a recording. What lies around it is not decoded, so that the recording may be longer than
/// [`DecodeLimits::max_seconds`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Where it starts, in seconds from the recording's start.
    pub start_seconds: f64,
    /// Its length in seconds. A recording that ends earlier gives what it has, down to [`DecodeLimits::min_seconds`].
    pub seconds: f32,
}
