//! Sound to samples, and samples or spectrograms to disturbed copies: decoding, resampling and augmentation.
//!
//! Comes in: an audio file, or samples, or mel power (`sordino_front::MelPower`, shape `[frames, bands]`). Goes out:
//! [`Samples`] at one rate, and augmented copies. This crate refuses to know about libraries of tracks, features, training
//! and cryptography.
//!
//! Without the feature `decode`, which is on by default, the crate is the resampler alone, and builds for a browser.

#[cfg(feature = "decode")]
mod augment;
#[cfg(feature = "decode")]
mod decode;
mod error;
#[cfg(feature = "decode")]
mod formats;
mod resample;

#[cfg(feature = "decode")]
pub use augment::{
    AugmentSpec, BankClip, Chance, Colour, ImpulseBank, ImpulseMel, Level, MelAugment, NoiseBank, NoiseKind, Phone,
    RejectedFile, Span, WaveAugment, add_gaussian_noise, bank_files, convolve, gain_db, invert_polarity, item_rng,
    mix_at_snr, pitch_shift, power, time_stretch,
};
#[cfg(feature = "decode")]
pub use decode::{
    DecodeLimits, LiveWave, Overlong, Samples, Window, decode_bytes, decode_file, decode_reader, decode_stream,
    decode_window, decode_window_from, encoded_sound, rms_dbfs,
};
pub use error::AudioError;
#[cfg(feature = "decode")]
pub use formats::SoundFormat;
#[cfg(feature = "decode")]
pub use resample::play_at;
pub use resample::resample;

/// The README's example, compiled and run.
#[cfg(all(doctest, feature = "decode"))]
#[doc = include_str!("../README.md")]
struct Readme;
