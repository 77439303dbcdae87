//! Sound to numbers: decoding, log-mel spectrograms, statistics and augmentation.
//!
//! Comes in: an audio file, or samples. Goes out: [`MelPower`] (shape `[frames, bands]`), pooled statistics, and
//! augmented copies of either. This crate refuses to know about libraries of tracks, training and cryptography.

mod augment;
mod decode;
mod error;
mod mel;
mod resample;
mod spec;
mod statistics;

pub use augment::{
    AugmentSpec, BankClip, Chance, Colour, ImpulseBank, ImpulseMel, Level, MelAugment, NoiseBank, NoiseKind,
    RejectedFile, Span, WaveAugment, add_gaussian_noise, bank_files, convolve, gain_db, invert_polarity, item_rng,
    mix_at_snr, pitch_shift, power, time_stretch,
};
pub use decode::{DecodeLimits, Overlong, Samples, decode_bytes, decode_file, decode_reader, rms_dbfs};
pub use error::AudioError;
pub use mel::{MelFrontEnd, MelPower, MelScratch, log_mel, mfcc};
pub use resample::resample;
pub use spec::{FeatureSpec, MelScale, SpecError};
pub use statistics::Statistics;
