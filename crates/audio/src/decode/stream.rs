//! [`Decoding`]: the packet loop.

use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{FormatReader, SeekMode, SeekTo};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Time};

use super::codec::Track;
use super::mix::MixDown;
use super::mpeg::Frame;
use super::{DecodeLimits, Overlong, Samples, Window, is_the_machines, rms_dbfs};
use crate::AudioError;
use crate::resample::{Resampler, check_rate};

/// What a decoding ends in.
pub(super) enum Outcome {
    Samples(Samples),
    /// The channels cancel in their mean, and this one has the most energy.
    Cancelled(usize),
}

/// Decoded before a window and dropped, in seconds: decoders and filters need what came before.
const LEAD_IN: f64 = 1.0;
/// Decoded behind a window, in seconds, for the filter.
const LEAD_OUT: f64 = 0.5;

/// The stretch to decode for a window, in seconds.
struct Stretch {
    window: Window,
    /// Where decoding begins: on a whole second, which is a whole sample at either rate.
    begin: f64,
    end: f64,
}

/// A stream being decoded, from its first packet to its samples.
pub(super) struct Decoding<'s> {
    format: Box<dyn FormatReader + 's>,
    track: Track,
    target_rate: u32,
    limits: &'s DecodeLimits,
    stretch: Option<Stretch>,
    /// Where the present link of a chained stream begins, and where its last packet ended, in seconds.
    link: f64,
    position: f64,
    /// Packets were left undecoded: since the decoder was last reset, and ever.
    left_out: bool,
    leapt: bool,
    /// Frames still to be dropped before the stretch; `None` until its first packet is decoded.
    drop: Option<u64>,
    /// A packet read ahead.
    ahead: Option<Packet>,
    /// What all MPEG frames of the stream have in common.
    kind: Option<[u8; 2]>,
    mix: MixDown,
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
        window: Option<Window>,
        only: Option<usize>,
    ) -> Result<Self, AudioError> {
        let track = Track::open(format.as_ref())?;
        let wanted = window.map(|window| f64::from(window.seconds)).or(track.stated_seconds);
        if let (Some(wanted), Overlong::Reject) = (wanted, limits.overlong)
            && wanted > f64::from(limits.max_seconds)
        {
            return Err(too_long(wanted, limits));
        }
        let stretch = window.map(|window| Stretch {
            window,
            begin: (window.start_seconds - LEAD_IN).max(0.0).floor(),
            end: window.start_seconds + f64::from(window.seconds.min(limits.max_seconds)) + LEAD_OUT,
        });
        Ok(Self {
            format,
            track,
            target_rate,
            limits,
            stretch,
            link: 0.0,
            position: 0.0,
            left_out: false,
            leapt: false,
            drop: None,
            ahead: None,
            kind: None,
            mix: MixDown::new(only),
            resampler: None,
            planes: Vec::new(),
            out: Vec::new(),
            decoded: 0.0,
            lost: 0.0,
            packet_seconds: 0.0,
            first_fault: None,
        })
    }

    pub(super) fn run(mut self) -> Result<Outcome, AudioError> {
        self.seek();
        while !self.is_complete() {
            match self.next_packet() {
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
                    self.track = Track { stated_seconds: None, ..Track::open(self.format.as_ref())? };
                    self.link = self.position;
                    self.left_out = false;
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

    /// Goes to where decoding begins, where the container finds places by number. Anywhere else packets before it are read,
    /// and left undecoded: an index may be estimated or lie, and reading is a hundred times as fast as decoding.
    fn seek(&mut self) {
        if let Some(stretch) = self.stretch.as_ref().filter(|stretch| self.track.seeks && stretch.begin > 0.0)
            && let Some(time) = Time::try_from_secs_f64(stretch.begin)
        {
            // Where it fails, everything is read from here on.
            let to = SeekTo::Time { time, track_id: Some(self.track.id) };
            self.leapt = self.format.seek(SeekMode::Accurate, to).is_ok();
            self.left_out = self.leapt;
        }
    }

    fn is_complete(&self) -> bool {
        match &self.stretch {
            Some(stretch) => self.position > stretch.end,
            None => self.decoded > f64::from(self.limits.max_seconds),
        }
    }

    /// The next packet of the track, without what only looks like a frame: in MPEG streams, a packet that is of another kind
    /// than its neighbours on both sides.
    fn next_packet(&mut self) -> Result<Option<Packet>, SymphoniaError> {
        loop {
            let packet = match self.ahead.take() {
                Some(packet) => packet,
                None => match self.track_packet()? {
                    Some(packet) => packet,
                    None => return Ok(None),
                },
            };
            let kind = Frame::read(&packet.data).map(|frame| frame.kind).filter(|_| self.track.mpeg);
            let (Some(kind), Some(usual)) = (kind, self.kind) else {
                self.kind = kind;
                return Ok(Some(packet));
            };
            if kind != usual {
                self.ahead = self.track_packet()?;
                let next = self.ahead.as_ref().and_then(|next| Frame::read(&next.data));
                if next.is_none_or(|next| next.kind != kind) {
                    continue;
                }
                self.kind = Some(kind);
            }
            return Ok(Some(packet));
        }
    }

    fn track_packet(&mut self) -> Result<Option<Packet>, SymphoniaError> {
        loop {
            match self.format.next_packet()? {
                Some(packet) if packet.track_id != self.track.id => {}
                packet => return Ok(packet),
            }
        }
    }

    fn packet(&mut self, packet: &Packet) -> Result<(), AudioError> {
        let base = self.track.time_base;
        let length = |dur| base.and_then(|base| base.calc_duration(dur)).map_or(0.0, |time| time.as_secs_f64());
        let stated = length(packet.dur);
        // A packet's time is that of its first frame, before the encoder's delay is trimmed. No sound lies before the start.
        // As long as nothing was left out, what was decoded says the time, exactly.
        let time = base.and_then(|base| base.calc_time(packet.pts)).map(|time| {
            let seconds = time.as_secs_f64() + length(packet.trim_start) - self.track.delay_seconds;
            self.link + seconds.max(0.0)
        });
        let mut start = time.filter(|_| self.leapt).unwrap_or(self.position);
        if let (Some(stretch), None) = (&self.stretch, self.drop) {
            // Where a container tells no lengths, no packet lasts a second.
            let longest = if stated > 0.0 { stated } else { 1.0 };
            if let Some(time) = time.filter(|time| time + longest < stretch.begin) {
                self.position = time + stated;
                (self.left_out, self.leapt) = (true, true);
                return Ok(());
            }
            if std::mem::take(&mut self.left_out) {
                self.track.decoder.reset();
                start = time.unwrap_or(start);
            }
        }
        let (seconds, rate) = match self.track.decoder.decode(packet) {
            Ok(buffer) => {
                buffer.copy_to_vecs_planar::<f32>(&mut self.planes);
                let rate = buffer.spec().rate();
                check_rate(rate)?;
                (buffer.frames() as f64 / f64::from(rate), rate)
            }
            // A decoder that starts in the middle may lack what its first packets refer to.
            Err(_) if self.stretch.as_ref().is_some_and(|s| s.begin > 0.0 && self.decoded < LEAD_IN / 2.0) => {
                self.position = start + stated;
                return Ok(());
            }
            Err(e) => {
                self.fault(e);
                let lost = stated.max(self.packet_seconds);
                self.lost += lost;
                self.position = start + lost;
                return Ok(());
            }
        };
        // After a leap, a decoder's first packet may give less than it lasts.
        self.position = start + if self.leapt { seconds.max(stated) } else { seconds };
        self.decoded += seconds;
        self.packet_seconds = seconds;
        self.mix.mix(&mut self.planes);
        let mut resampler = match self.resampler.take() {
            Some((at, resampler)) if at == rate => resampler,
            previous => {
                if let Some((_, previous)) = previous {
                    previous.finish(&mut self.out);
                }
                Resampler::new(rate, self.target_rate)?
            }
        };
        if let Some(mono) = self.planes.first() {
            let mut mono = mono.as_slice();
            // A packet may be trimmed to nothing, and then does not say where the sound begins.
            if let Some(stretch) = self.stretch.as_ref().filter(|_| !mono.is_empty()) {
                let frames = |seconds: f64| (seconds * f64::from(rate)).round();
                if self.drop.is_none() && start > stretch.begin {
                    // The stream starts late, or its first packets did not decode: silence keeps the window in its place.
                    let missing = frames((start - stretch.begin).min(2.0 * LEAD_IN)) as usize;
                    resampler.push(&vec![0.0; missing], &mut self.out)?;
                }
                let drop = self.drop.get_or_insert_with(|| frames(stretch.begin - start).max(0.0) as u64);
                let dropped = (*drop).min(mono.len() as u64);
                *drop -= dropped;
                mono = &mono[dropped as usize..];
            }
            resampler.push(mono, &mut self.out)?;
        }
        self.resampler = Some((rate, resampler));
        Ok(())
    }

    fn fault(&mut self, error: SymphoniaError) {
        self.first_fault.get_or_insert(error);
    }

    fn finish(mut self) -> Result<Outcome, AudioError> {
        let limits = self.limits;
        if let Some((_, resampler)) = self.resampler.take() {
            resampler.finish(&mut self.out);
        }
        let overlong = self.cut()?;
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
        let found = match self.stretch {
            Some(_) => self.out.len() as f64 / f64::from(self.target_rate),
            None => self.decoded,
        };
        if found < f64::from(limits.min_seconds) {
            return Err(AudioError::TooShort { found_seconds: found as f32, expected_seconds: limits.min_seconds });
        }
        if let Some(stated) = self.track.stated_seconds
            && !overlong
            && self.decoded < stated * f64::from(limits.min_intact)
        {
            return Err(AudioError::Truncated { found_seconds: self.decoded as f32, stated_seconds: stated as f32 });
        }
        if let Some(loudest) = self.mix.cancelled() {
            return Ok(Outcome::Cancelled(loudest));
        }
        let level = rms_dbfs(&self.out);
        if level < limits.min_dbfs {
            return Err(AudioError::Silent { found_dbfs: level, expected_dbfs: limits.min_dbfs });
        }
        self.out.shrink_to_fit();
        Ok(Outcome::Samples(Samples { rate: self.target_rate, data: self.out }))
    }

    /// Cuts what was decoded to the window, or to the limit; whether something was left undecoded by intent.
    fn cut(&mut self) -> Result<bool, AudioError> {
        let limits = self.limits;
        let samples = |seconds: f64| (seconds * f64::from(self.target_rate)).round() as usize;
        if let Some(Stretch { window, begin, .. }) = self.stretch {
            if self.position <= window.start_seconds && self.first_fault.is_none() {
                let (start_seconds, found_seconds) = (window.start_seconds, self.position);
                return Err(AudioError::Window { start_seconds, found_seconds });
            }
            let start = samples(window.start_seconds - begin).min(self.out.len());
            self.out.drain(..start);
            self.out.truncate(samples(f64::from(window.seconds.min(limits.max_seconds))));
            return Ok(true);
        }
        if self.decoded > f64::from(limits.max_seconds) {
            if limits.overlong == Overlong::Reject {
                return Err(too_long(self.decoded, limits));
            }
            self.out.truncate((f64::from(limits.max_seconds) * f64::from(self.target_rate)) as usize);
            return Ok(true);
        }
        Ok(false)
    }
}

fn too_long(found: f64, limits: &DecodeLimits) -> AudioError {
    AudioError::TooLong { found_seconds: found as f32, expected_seconds: limits.max_seconds }
}
