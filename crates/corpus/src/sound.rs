//! A track's samples, wherever they come from.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sordino_audio::{DecodeLimits, Overlong, Samples, decode_file};

use crate::{Source, Track, synth};

/// How sound is read: what a file must satisfy, and how long a composed track is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SoundOptions {
    /// What a file must satisfy.
    pub limits: DecodeLimits,
    /// Length of composed tracks in seconds.
    pub synthetic_seconds: f32,
}

impl Default for SoundOptions {
    /// At least one second from files, 30 s from the composer.
    fn default() -> Self {
        Self { limits: DecodeLimits::default(), synthetic_seconds: 30.0 }
    }
}

impl SoundOptions {
    /// The same with other limits for files.
    #[must_use]
    pub fn with_limits(self, limits: DecodeLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same with composed tracks of another length, in seconds.
    #[must_use]
    pub fn with_synthetic_seconds(self, synthetic_seconds: f32) -> Self {
        Self { synthetic_seconds, ..self }
    }
}

impl Track {
    /// Decodes or renders the track to mono samples at `rate` Hz.
    ///
    /// # Errors
    /// The reason in a sentence, fit for [`crate::Rejected`].
    pub fn samples(&self, rate: u32, options: &SoundOptions) -> Result<Samples, String> {
        let read = || match &self.source {
            Source::File(path) => decode_file(path, rate, &options.limits).map_err(|error| error.to_string()),
            Source::Synthetic(seed) => {
                let limits = &options.limits;
                let seconds = match limits.overlong {
                    Overlong::Truncate => options.synthetic_seconds.min(limits.max_seconds),
                    Overlong::Reject => options.synthetic_seconds,
                };
                if !(limits.min_seconds..=limits.max_seconds).contains(&seconds) {
                    let (least, most) = (limits.min_seconds, limits.max_seconds);
                    return Err(format!("a composed track of {seconds} s, expected {least} to {most} s"));
                }
                Ok(Samples { rate, data: synth::render(*seed, rate, seconds) })
            }
        };
        // Decoders meet bytes from anywhere: a bug in one must cost one track, not the run.
        catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Err("the decoder failed on it (a bug in the decoder)".into()))
    }
}
