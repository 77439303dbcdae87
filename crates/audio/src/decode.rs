//! Audio files to mono [`Samples`] at one rate, with a typed error per cause.
//!
//! The content decides the format, never the extension. Channels are averaged, rates converted, and the file is streamed:
//! memory holds the result and a few packets, however long the file.

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::Duration;

use crate::resample::Resampler;
use crate::{AudioError, FeatureSpec};

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

/// What to do with a file longer than [`DecodeLimits::max_seconds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlong {
    /// [`AudioError::TooLong`], before decoding where the header states the length.
    Reject,
    /// Keep the first `max_seconds`; the rest is not read.
    Truncate,
}

/// What a file must satisfy to be accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeLimits {
    /// Least length in seconds.
    pub min_seconds: f32,
    /// Greatest length in seconds. An hour at 8 kHz is 115 MB of samples.
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
    /// [`AudioError::Corrupt`] or [`AudioError::Truncated`].
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

/// The audio track being decoded.
struct Track {
    id: u32,
    decoder: Box<dyn AudioDecoder>,
    /// Length in seconds where the container states it exactly.
    stated_seconds: Option<f64>,
    /// Honour the encoder's delay and padding.
    trim: bool,
}

struct Decoding<'s> {
    format: Box<dyn FormatReader + 's>,
    track: Track,
    target_rate: u32,
    limits: &'s DecodeLimits,
    /// Converter of the rate that the stream has now.
    resampler: Option<(u32, Resampler)>,
    planes: Vec<Vec<f32>>,
    out: Vec<f32>,
    /// Seconds decoded, and seconds of packets that did not decode.
    decoded: f64,
    lost: f64,
    first_fault: Option<String>,
}

impl<'s> Decoding<'s> {
    fn new(format: Box<dyn FormatReader + 's>, target_rate: u32, limits: &'s DecodeLimits) -> Result<Self, AudioError> {
        let track = open_track(format.as_ref())?;
        if let (Some(stated), Overlong::Reject) = (track.stated_seconds, limits.overlong)
            && stated > f64::from(limits.max_seconds)
        {
            return Err(too_long(stated, limits));
        }
        Ok(Self {
            format,
            track,
            target_rate,
            limits,
            resampler: None,
            planes: Vec::new(),
            out: Vec::new(),
            decoded: 0.0,
            lost: 0.0,
            first_fault: None,
        })
    }

    fn run(mut self) -> Result<Samples, AudioError> {
        while self.decoded <= f64::from(self.limits.max_seconds) {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id != self.track.id => {}
                Ok(Some(mut packet)) => {
                    if !self.track.trim {
                        packet.trim_start = Duration::ZERO;
                        packet.trim_end = Duration::ZERO;
                    }
                    self.packet(&packet)?;
                }
                Ok(None) => break,
                // A chained stream: the next link has its own track list.
                Err(SymphoniaError::ResetRequired) => {
                    self.track = Track { stated_seconds: None, ..open_track(self.format.as_ref())? };
                }
                Err(SymphoniaError::IoError(e)) if is_the_machines(&e) => return Err(AudioError::Unreadable(e)),
                // The end of a file cut off, among others; the checks at the end judge what is missing.
                Err(e) => {
                    self.fault(&e);
                    break;
                }
            }
        }
        self.finish()
    }

    fn packet(&mut self, packet: &symphonia::core::packet::Packet) -> Result<(), AudioError> {
        let seconds = |frames: usize, rate: u32| frames as f64 / f64::from(rate);
        let mut frames = None;
        match self.track.decoder.decode(packet) {
            Ok(buffer) => {
                frames = Some((buffer.frames(), buffer.spec().rate()));
                buffer.copy_to_vecs_planar::<f32>(&mut self.planes);
            }
            Err(SymphoniaError::Unsupported(what)) => return Err(AudioError::UnsupportedCodec(what.into())),
            Err(e) => self.fault(&e),
        }
        let Some((frames, rate)) = frames else {
            let rate = self.track.decoder.codec_params().sample_rate.unwrap_or(self.target_rate);
            self.lost += packet.dur.get() as f64 / f64::from(rate);
            return Ok(());
        };
        self.decoded += seconds(frames, rate);
        self.mix_down();
        let resampler = match self.resampler.take() {
            Some((at, resampler)) if at == rate => resampler,
            previous => {
                check_rate(rate)?;
                if let Some((_, previous)) = previous {
                    previous.finish(&mut self.out);
                }
                Resampler::new(rate, self.target_rate)?
            }
        };
        let (_, resampler) = self.resampler.insert((rate, resampler));
        if let Some(mono) = self.planes.first() {
            resampler.push(mono, &mut self.out);
        }
        Ok(())
    }

    /// Averages the channels into the first plane.
    fn mix_down(&mut self) {
        let channels = self.planes.len();
        if let Some((mono, others)) = self.planes.split_first_mut()
            && channels > 1
        {
            for other in others {
                mono.iter_mut().zip(other).for_each(|(m, o)| *m += *o);
            }
            let scale = 1.0 / channels as f32;
            mono.iter_mut().for_each(|m| *m *= scale);
        }
    }

    fn fault(&mut self, error: &SymphoniaError) {
        self.first_fault.get_or_insert_with(|| error.to_string());
    }

    fn finish(mut self) -> Result<Samples, AudioError> {
        let limits = self.limits;
        if let Some((_, resampler)) = self.resampler.take() {
            resampler.finish(&mut self.out);
        }
        let mut overlong = false;
        if self.decoded > f64::from(limits.max_seconds) {
            if limits.overlong == Overlong::Reject {
                return Err(too_long(self.decoded, limits));
            }
            overlong = true;
            self.out.truncate((f64::from(limits.max_seconds) * f64::from(self.target_rate)) as usize);
        }
        let intact = (self.decoded / (self.decoded + self.lost).max(f64::MIN_POSITIVE)) as f32;
        let corrupt = |intact, reason| Err(AudioError::Corrupt { intact, expected: limits.min_intact, reason });
        if intact < limits.min_intact {
            return corrupt(intact, self.first_fault.unwrap_or_else(|| "no packet decodes".into()));
        }
        if self.decoded < f64::from(limits.min_seconds) {
            return Err(AudioError::TooShort {
                found_seconds: self.decoded as f32,
                expected_seconds: limits.min_seconds,
            });
        }
        if let Some(stated) = self.track.stated_seconds
            && !overlong
            && self.decoded < stated * f64::from(limits.min_intact)
        {
            return Err(AudioError::Truncated { found_seconds: self.decoded as f32, stated_seconds: stated as f32 });
        }
        let level = rms_dbfs(&self.out);
        if level.is_nan() {
            return corrupt(0.0, "samples that are not finite numbers".into());
        }
        if level < limits.min_dbfs {
            return Err(AudioError::Silent { found_dbfs: level, expected_dbfs: limits.min_dbfs });
        }
        Ok(Samples { rate: self.target_rate, data: self.out })
    }
}

fn too_long(found: f64, limits: &DecodeLimits) -> AudioError {
    AudioError::TooLong { found_seconds: found as f32, expected_seconds: limits.max_seconds }
}

fn open_track(format: &dyn FormatReader) -> Result<Track, AudioError> {
    let track = format.default_track(TrackType::Audio).or_else(|| format.first_track(TrackType::Audio));
    let track = track.ok_or(AudioError::NotAudio)?;
    let params = track.codec_params.as_ref().and_then(|p| p.audio());
    let params = params.ok_or_else(|| AudioError::UnsupportedCodec("unknown".into()))?;
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())
        .map_err(|e| AudioError::UnsupportedCodec(e.to_string()))?;
    // Without a LAME tag an MPEG stream's length is only estimated from its first frames, far off for a variable bit
    // rate: then neither is the end trimmed to it nor a truncation inferred from it.
    let estimated = [CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3].contains(&params.codec) && track.delay.is_none();
    let stated_seconds = match (track.num_frames, params.sample_rate) {
        (Some(frames), Some(rate)) if !estimated && rate > 0 => Some(frames as f64 / f64::from(rate)),
        _ => None,
    };
    Ok(Track { id: track.id, decoder, stated_seconds, trim: !estimated })
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
