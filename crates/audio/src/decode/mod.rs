//! Audio files to mono [`Samples`] at one rate, with a typed error per cause.
//!
//! The content decides the format, never the extension. Channels are averaged, rates converted, and the file is streamed:
//! memory holds the result and a few packets, however long the file.

mod limits;
mod stream;

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::FormatOptions;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

pub use self::limits::{DecodeLimits, Overlong};
use self::stream::Decoding;
use crate::AudioError;

/// Lowest sampling rate accepted, in Hz.
pub(crate) const MIN_RATE: u32 = 1_000;
/// Highest sampling rate accepted, in Hz: a bound on what a header can make us allocate.
pub(crate) const MAX_RATE: u32 = 768_000;

/// Mono samples, nominally in -1..1.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// Sampling rate in Hz.
    pub rate: u32,
    /// The samples.
    pub data: Vec<f32>,
}

impl Samples {
    /// Length in seconds.
    pub fn seconds(&self) -> f32 {
        self.data.len() as f32 / self.rate as f32
    }
}

/// Decodes a file to mono at `target_rate`.
///
/// # Errors
/// A variant of [`AudioError`] per cause.
pub fn decode_file(path: &Path, target_rate: u32, limits: &DecodeLimits) -> Result<Samples, AudioError> {
    let file = File::open(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => AudioError::Missing,
        _ => AudioError::Unreadable(e),
    })?;
    if file.metadata().map_err(AudioError::Unreadable)?.is_dir() {
        return Err(AudioError::Unreadable(ErrorKind::IsADirectory.into()));
    }
    decode_reader(BufReader::new(file), target_rate, limits)
}

/// Decodes bytes held in memory to mono at `target_rate`.
///
/// # Errors
/// A variant of [`AudioError`] per cause.
pub fn decode_bytes(bytes: &[u8], target_rate: u32, limits: &DecodeLimits) -> Result<Samples, AudioError> {
    decode_reader(Cursor::new(bytes), target_rate, limits)
}

/// Decodes any seekable reader to mono at `target_rate`.
///
/// # Errors
/// A variant of [`AudioError`] per cause.
pub fn decode_reader<R>(mut reader: R, target_rate: u32, limits: &DecodeLimits) -> Result<Samples, AudioError>
where
    R: Read + Seek + Send + Sync,
{
    check_rate(target_rate)?;
    let length = reader.seek(SeekFrom::End(0)).map_err(AudioError::Unreadable)?;
    reader.seek(SeekFrom::Start(0)).map_err(AudioError::Unreadable)?;
    if length == 0 {
        return Err(AudioError::Empty);
    }
    if length > limits.max_bytes {
        return Err(AudioError::TooLarge { found: length, limit: limits.max_bytes });
    }
    let stream = MediaSourceStream::new(Box::new(Source { reader, length }), Default::default());
    let format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| probe_error(e, limits))?;
    Decoding::new(format, target_rate, limits)?.run()
}

/// Whether an error is the machine's. Symphonia reports the end of a packet or a nonsensical offset as I/O errors too.
fn is_the_machines(error: &io::Error) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    !matches!(error.kind(), UnexpectedEof | InvalidInput | InvalidData | Other)
}

/// What a failed probe means: nothing recognised, or something recognised whose header does not parse.
fn probe_error(error: SymphoniaError, limits: &DecodeLimits) -> AudioError {
    match error {
        SymphoniaError::IoError(e) if is_the_machines(&e) => AudioError::Unreadable(e),
        // The probe and the readers share this variant; only the probe says it in these words.
        SymphoniaError::Unsupported(what) if !what.contains("no suitable format reader") => {
            AudioError::UnsupportedCodec(what.into())
        }
        SymphoniaError::DecodeError(what) | SymphoniaError::LimitError(what) => {
            AudioError::Corrupt { intact: 0.0, expected: limits.min_intact, reason: what.into() }
        }
        _ => AudioError::NotAudio,
    }
}

pub(crate) fn check_rate(rate: u32) -> Result<(), AudioError> {
    if (MIN_RATE..=MAX_RATE).contains(&rate) { Ok(()) } else { Err(AudioError::UnsupportedRate { found: rate }) }
}

/// A seekable reader of known length, as Symphonia wants it.
struct Source<R> {
    reader: R,
    length: u64,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl<R: Seek> Seek for Source<R> {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.reader.seek(pos)
    }
}

impl<R: Read + Seek + Send + Sync> MediaSource for Source<R> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

/// RMS level about the mean, in dB relative to full scale; NaN where a sample is not finite.
pub fn rms_dbfs(samples: &[f32]) -> f32 {
    let n = samples.len().max(1) as f64;
    let (sum, squares) = samples.iter().fold((0.0_f64, 0.0_f64), |(s, q), &x| {
        let x = f64::from(x);
        (s + x, q + x * x)
    });
    let variance = squares / n - (sum / n).powi(2);
    if !variance.is_finite() {
        return f32::NAN;
    }
    (10.0 * variance.max(1e-20).log10()) as f32
}
