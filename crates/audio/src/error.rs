//! [`AudioError`]: why a file or a buffer of samples cannot be used.

use thiserror::Error;

use sordino_front::SpecError;

use crate::resample::{MAX_RATE, MIN_RATE};

/// Why a piece of audio was refused. The file is not named: the caller knows which one it asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There is no such file.
    #[error("the file does not exist")]
    Missing,
    /// The operating system refused to read it.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] std::io::Error),
    /// A pipe, a socket or a device. It was not opened.
    #[error("{found}, expected a regular file; copy its bytes to a file, or decode them from standard input")]
    NotAFile {
        /// What it is.
        found: &'static str,
    },
    /// Zero bytes.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// More bytes than the limit.
    #[error("{found} bytes, at most {limit} are accepted")]
    TooLarge {
        /// Bytes found.
        found: u64,
        /// Bytes accepted.
        limit: u64,
    },
    /// No known container or elementary stream was recognised in the content.
    #[error("not audio: no MP3, AAC, FLAC, WAV, AIFF, CAF, Ogg, MP4/M4A, Matroska or WebM recognised in the content")]
    NotAudio,
    /// The container is known, the codec in it is not; or the file is of a format that nothing here reads.
    #[error("unsupported codec: {0}; convert the file, to FLAC for example")]
    UnsupportedCodec(String),
    /// The stream claims a sampling rate outside the accepted range.
    #[error("a sampling rate of {found} Hz, expected {min} to {max}", min = MIN_RATE, max = MAX_RATE)]
    UnsupportedRate {
        /// Rate found in Hz.
        found: u32,
    },
    /// Too little of the stream decodes.
    #[error(
        "corrupt: {:.0} % of the stream decodes, at least {:.0} % is expected ({reason})", 100.0 * intact, 100.0 * expected
    )]
    Corrupt {
        /// Fraction of the stream that decoded.
        intact: f32,
        /// Smallest fraction accepted.
        expected: f32,
        /// What the decoder said first.
        reason: String,
    },
    /// The stream ends before the length that its header states.
    #[error("truncated: {found_seconds:.2} s of the {stated_seconds:.2} s that the header states")]
    Truncated {
        /// Seconds decoded.
        found_seconds: f32,
        /// Seconds stated by the container.
        stated_seconds: f32,
    },
    /// A sample is no number, infinite, or so large that no sum over it can be trusted.
    #[error(
        "a sample of {found} at {seconds:.2} s, expected finite numbers of at most {greatest} in size (full scale is 1)"
    )]
    Sample {
        /// The sample.
        found: f32,
        /// Where, in seconds.
        seconds: f64,
        /// Greatest size accepted.
        greatest: f32,
    },
    /// The window starts behind the end of the recording.
    #[error("the window starts at {start_seconds:.2} s, but the recording ends at {found_seconds:.2} s")]
    Window {
        /// Where the window starts, in seconds.
        start_seconds: f64,
        /// Length of the recording in seconds.
        found_seconds: f64,
    },
    /// Less sound than the limit.
    #[error("too short: {found_seconds:.2} s, at least {expected_seconds:.2} s are expected")]
    TooShort {
        /// Seconds decoded.
        found_seconds: f32,
        /// Seconds expected.
        expected_seconds: f32,
    },
    /// More sound than the limit.
    #[error(
        "too long: {found_seconds:.0} s stated or decoded, at most {expected_seconds:.0} s are kept; ask for a shorter stretch of it"
    )]
    TooLong {
        /// Seconds stated by the container, or decoded when the limit was passed.
        found_seconds: f32,
        /// Seconds accepted.
        expected_seconds: f32,
    },
    /// Nothing audible.
    #[error("silent: {found_dbfs:.1} dBFS RMS, at least {expected_dbfs:.1} are expected")]
    Silent {
        /// RMS level about the mean, in dB relative to full scale.
        found_dbfs: f32,
        /// Smallest level accepted.
        expected_dbfs: f32,
    },
    /// A parameter of an augmentation is outside its range.
    #[error("{what} is {found}, expected {expected}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// What it held.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// The feature spec describes no usable front end.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl AudioError {
    /// One short word per cause, for tables of rejected files.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::NotAFile { .. } => "not-a-file",
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too-large",
            Self::NotAudio => "not-audio",
            Self::UnsupportedCodec(_) => "unsupported-codec",
            Self::UnsupportedRate { .. } => "unsupported-rate",
            Self::Corrupt { .. } => "corrupt",
            Self::Truncated { .. } => "truncated",
            Self::Sample { .. } => "sample",
            Self::Window { .. } => "window",
            Self::TooShort { .. } => "too-short",
            Self::TooLong { .. } => "too-long",
            Self::Silent { .. } => "silent",
            Self::Parameter { .. } => "parameter",
            Self::Spec(_) => "spec",
        }
    }
}
