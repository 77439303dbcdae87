//! Audio files to mono [`Samples`] at one rate, with a typed error per cause.
//!
//! The content decides the format, never the extension. Channels are averaged, except where they cancel (see `mix`), rates
//! converted, and the file is streamed: memory holds the result and a few packets, however long the file.
//!
//! | container | codecs |
//! |---|---|
//! | none, with or without tags | MP1, MP2, MP3, AAC (ADTS), FLAC |
//! | WAV, RF64, BW64, W64, AIFF, AIFC, CAF | PCM, floats, A-law and mu-law; ADPCM in WAV; ALAC in CAF |
//! | Ogg, also chained | Vorbis, Opus, FLAC |
//! | MP4, M4A | AAC, ALAC, MP3, FLAC, Opus |
//! | Matroska, WebM | Vorbis, Opus, AAC, MP3, FLAC, ALAC |
//!
//! AAC is AAC-LC of one or two channels. Of HE-AAC the AAC-LC core is decoded: right in pitch, level and length, and without
//! the octave that its second layer makes up, which for music begins at 8 to 12 kHz.

mod aiff;
mod codec;
mod limits;
mod live;
mod mix;
mod mpeg;
mod opus;
mod packets;
mod source;
mod stream;
mod wave;

use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

pub use self::limits::{DecodeLimits, Overlong, Window};
pub use self::live::LiveWave;
pub(crate) use self::mpeg::begins_with_mpeg;
pub use self::packets::encoded_sound;
use self::source::{Source, View};
use self::stream::{Decoding, Outcome};
use crate::resample::check_rate;
use crate::{AudioError, SoundFormat};

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

/// Most bytes read from a stream that cannot seek: they are kept in memory.
const STREAM_BYTES: u64 = 1 << 30;

/// Decodes a file to mono at `target_rate`.
///
/// # Errors
/// A variant of [`AudioError`] per cause. What is no regular file is refused before it is opened.
pub fn decode_file(path: &Path, target_rate: u32, limits: &DecodeLimits) -> Result<Samples, AudioError> {
    decode_reader(BufReader::new(source::open(path)?), target_rate, limits)
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
pub fn decode_reader<R>(reader: R, target_rate: u32, limits: &DecodeLimits) -> Result<Samples, AudioError>
where
    R: Read + Seek + Send + Sync,
{
    decode(reader, target_rate, limits, None)
}

/// Reads a stream that cannot seek, such as standard input, to its end, and decodes it to mono at `target_rate`. For a
/// window of it, give the bytes to [`decode_window_from`].
///
/// # Errors
/// A variant of [`AudioError`] per cause; [`AudioError::TooLarge`] beyond 1 GiB or the limit's bytes.
pub fn decode_stream(reader: impl Read, target_rate: u32, limits: &DecodeLimits) -> Result<Samples, AudioError> {
    let limit = limits.max_bytes.min(STREAM_BYTES);
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(AudioError::Unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(AudioError::TooLarge { found: bytes.len() as u64, limit });
    }
    decode_bytes(&bytes, target_rate, limits)
}

/// Decodes a window of a file to mono at `target_rate`. The file may be hours long: little more than the window is decoded
/// and kept in memory.
///
/// The samples are those of the same stretch of the whole file, but for rounding and what a lossy decoder remembers. Matroska
/// tells times in milliseconds: there the window may lie some of them off.
///
/// # Errors
/// A variant of [`AudioError`] per cause; [`AudioError::Window`] where the file ends before the window starts.
pub fn decode_window(
    path: &Path,
    target_rate: u32,
    window: Window,
    limits: &DecodeLimits,
) -> Result<Samples, AudioError> {
    decode(BufReader::new(source::open(path)?), target_rate, limits, Some(window))
}

/// Decodes a window of any seekable reader, as [`decode_window`] does.
///
/// # Errors
/// As [`decode_window`].
pub fn decode_window_from<R>(
    reader: R,
    target_rate: u32,
    window: Window,
    limits: &DecodeLimits,
) -> Result<Samples, AudioError>
where
    R: Read + Seek + Send + Sync,
{
    decode(reader, target_rate, limits, Some(window))
}

fn decode<R>(
    mut reader: R,
    target_rate: u32,
    limits: &DecodeLimits,
    window: Option<Window>,
) -> Result<Samples, AudioError>
where
    R: Read + Seek + Send + Sync,
{
    check_rate(target_rate)?;
    if let Some(Window { start_seconds, seconds }) = window
        && !(start_seconds.is_finite() && start_seconds >= 0.0 && seconds.is_finite() && seconds > 0.0)
    {
        let found = format!("{seconds} s from {start_seconds} s");
        return Err(AudioError::Parameter { what: "a window", found, expected: "a length above 0 from 0 s or later" });
    }
    let length = reader.seek(SeekFrom::End(0)).map_err(AudioError::Unreadable)?;
    if length == 0 {
        return Err(AudioError::Empty);
    }
    if length > limits.max_bytes {
        return Err(AudioError::TooLarge { found: length, limit: limits.max_bytes });
    }
    // Decoders meet bytes from anywhere. A bug in one must cost one file, not the run.
    let decoded = catch_unwind(AssertUnwindSafe(|| attempt(&mut reader, length, target_rate, limits, window)));
    decoded.unwrap_or_else(|_| {
        let reason = "the decoder failed on it, a bug in the decoder".into();
        Err(AudioError::Corrupt { intact: 0.0, expected: limits.min_intact, reason })
    })
}

fn attempt<R>(
    reader: &mut R,
    length: u64,
    target_rate: u32,
    limits: &DecodeLimits,
    window: Option<Window>,
) -> Result<Samples, AudioError>
where
    R: Read + Seek + Send + Sync,
{
    let (view, wave) = view(reader, length)?;
    let mut pass = |only| Decoding::new(probe(&mut *reader, &view, limits)?, target_rate, limits, window, only)?.run();
    let outcome = match pass(None) {
        // Only a channel by itself is heard: decode again and keep that one. Two passes keep memory where it was.
        Ok(Outcome::Cancelled(loudest)) => pass(Some(loudest)),
        outcome => outcome,
    };
    match outcome {
        Ok(Outcome::Samples(samples)) => Ok(samples),
        // One channel by itself cancels nothing.
        Ok(Outcome::Cancelled(_)) => Err(AudioError::NotAudio),
        Err(AudioError::UnsupportedCodec(what)) => {
            Err(AudioError::UnsupportedCodec(wave.map_or(what, |wave| wave.codec())))
        }
        Err(error) => Err(error),
    }
}

/// What of a file is to be read, without the tags around its sound; and its header, where it is a WAV file.
fn view<R: Read + Seek>(reader: &mut R, length: u64) -> Result<(View, Option<wave::Wave>), AudioError> {
    let mut head = Vec::new();
    reader.seek(SeekFrom::Start(0)).map_err(AudioError::Unreadable)?;
    reader.by_ref().take(1 << 13).read_to_end(&mut head).map_err(AudioError::Unreadable)?;
    // The probe would go on to look for MPEG frames in it, and find some.
    if let Some(format) = SoundFormat::of_content(&head).filter(|format| !format.decoded) {
        return Err(AudioError::UnsupportedCodec(format.name.into()));
    }
    let wave = wave::inspect(reader, length).map_err(AudioError::Unreadable)?;
    if let Some(refusal) = wave.as_ref().and_then(wave::Wave::refusal) {
        return Err(AudioError::UnsupportedCodec(refusal));
    }
    let view = match &wave {
        Some(wave) => wave.view.clone(),
        None => aiff::view(reader, length)
            .and_then(|found| if found.is_some() { Ok(found) } else { mpeg::view(reader, length) })
            .map_err(AudioError::Unreadable)?,
    };
    Ok((view.unwrap_or(View { head: Vec::new(), start: 0, length }), wave))
}

/// Opens the container.
fn probe<'r, R>(reader: &'r mut R, view: &View, limits: &DecodeLimits) -> Result<Box<dyn FormatReader + 'r>, AudioError>
where
    R: Read + Seek + Send + Sync,
{
    let source = Source::new(reader, view.clone()).map_err(AudioError::Unreadable)?;
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| probe_error(e, limits))
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
