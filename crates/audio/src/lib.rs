//! Sound to numbers: decoding, log-mel spectrograms, statistics and augmentation.
//!
//! Comes in: an audio file, or samples. Goes out: [`MelPower`] (shape `[frames, bands]`), pooled statistics, and
//! augmented copies of either. This crate refuses to know about libraries of tracks, training and cryptography.

mod decode;
mod error;
mod mel;
mod resample;
mod spec;
mod statistics;

pub use decode::{DecodeLimits, Overlong, Samples, decode_bytes, decode_file, decode_reader, rms_dbfs};
pub use error::AudioError;
pub use mel::{MelFrontEnd, MelPower, MelScratch, log_mel, mfcc};
pub use resample::resample;
pub use spec::{FeatureSpec, MelScale, SpecError};
pub use statistics::Statistics;
