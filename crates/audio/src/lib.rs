//! Sound to numbers: decoding, log-mel spectrograms, statistics and augmentation.
//!
//! Comes in: an audio file, or samples. Goes out: [`MelPower`] (shape `[frames, bands]`), pooled statistics, and
//! augmented copies of either. This crate refuses to know about libraries of tracks, training and cryptography.

mod mel;
mod spec;

pub use mel::MelPower;
pub use spec::{FeatureSpec, MelScale, SpecError};
