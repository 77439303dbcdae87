//! [`Decoding`]: the packet loop.

use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase};

use super::{DecodeLimits, Overlong, Samples, check_rate, is_the_machines, rms_dbfs};
use crate::AudioError;
use crate::resample::Resampler;

/// The audio track being decoded.
struct Track {
    id: u32,
    decoder: Box<dyn AudioDecoder>,
    time_base: Option<TimeBase>,
    /// Length in seconds where the container states it exactly.
    stated_seconds: Option<f64>,
    /// Honour the encoder's delay and padding.
    trim: bool,
}

/// A stream being decoded, from its first packet to its samples.
pub(super) struct Decoding<'s> {
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
    /// Length of the last packet that decoded.
    packet_seconds: f64,
    first_fault: Option<SymphoniaError>,
}

impl<'s> Decoding<'s> {
    pub(super) fn new(
        format: Box<dyn FormatReader + 's>,
        target_rate: u32,
        limits: &'s DecodeLimits,
    ) -> Result<Self, AudioError> {
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
            packet_seconds: 0.0,
            first_fault: None,
        })
    }

    pub(super) fn run(mut self) -> Result<Samples, AudioError> {
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
                    self.fault(e);
                    break;
                }
            }
        }
        self.finish()
    }

    fn packet(&mut self, packet: &Packet) -> Result<(), AudioError> {
        let (seconds, rate) = match self.track.decoder.decode(packet) {
            Ok(buffer) => {
                buffer.copy_to_vecs_planar::<f32>(&mut self.planes);
                let rate = buffer.spec().rate();
                check_rate(rate)?;
                (buffer.frames() as f64 / f64::from(rate), rate)
            }
            Err(e) => {
                self.fault(e);
                let stated = self.track.time_base.and_then(|base| base.calc_duration(packet.dur));
                self.lost += stated.map_or(0.0, |time| time.as_secs_f64()).max(self.packet_seconds);
                return Ok(());
            }
        };
        self.decoded += seconds;
        self.packet_seconds = seconds;
        self.mix_down();
        let resampler = match self.resampler.take() {
            Some((at, resampler)) if at == rate => resampler,
            previous => {
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

    fn fault(&mut self, error: SymphoniaError) {
        self.first_fault.get_or_insert(error);
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
            return match self.first_fault {
                // A codec may only find out from its packets that it lacks a feature of the stream.
                Some(SymphoniaError::Unsupported(what)) if self.decoded == 0.0 => {
                    Err(AudioError::UnsupportedCodec(what.into()))
                }
                Some(fault) => corrupt(intact, fault.to_string()),
                None => corrupt(intact, "no packet decodes".into()),
            };
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
        self.out.shrink_to_fit();
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
    Ok(Track { id: track.id, decoder, time_base: track.time_base, stated_seconds, trim: !estimated })
}
