//! [`Opus`]: the Opus decoder as Symphonia wants it, since Symphonia brings none.
//!
//! `opus-rs` was weighed against the others. Bindings to libopus need a C compiler and CMake, and `cargo run` must not.
//! A transpiled libopus (`unsafe-libopus`) asks for `unsafe` on our side, which the workspace forbids. Of the pure Rust
//! decoders, two that forbid `unsafe` (`opus-decoder`) or keep to RFC 6716's text (`ruopus`) transform without an FFT and
//! take as long as the music plays; one (`mousiki`) gave other sound than libopus. `opus-rs` agrees with libopus to 40 dB
//! and better in all three modes, runs at a hundred times real time, and is fuzzed by its authors.

use opus_rs::multistream::{ChannelMappingTable, MultistreamDecoder};
use symphonia::core::audio::{
    AsGenericAudioBufferRef, Audio, AudioBuffer, AudioMut, AudioSpec, Channels, GenericAudioBufferRef,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Error, Result};
use symphonia::core::packet::PacketRef;

/// The rate that Opus decodes at, in Hz.
const RATE: u32 = 48_000;
/// Frames of the longest packet, 120 ms.
const LONGEST: usize = 5_760;

/// One Opus track, of any number of channels.
pub(super) struct Opus {
    params: AudioCodecParameters,
    header: Header,
    decoder: MultistreamDecoder,
    interleaved: Vec<f32>,
    buffer: AudioBuffer<f32>,
    /// Frames of the pre-skip still to be dropped.
    skip: usize,
}

/// What the identification header says (RFC 7845, section 5.1).
struct Header {
    table: ChannelMappingTable,
    /// Factor on every sample.
    gain: f32,
    /// Frames before the sound: the decoder's delay. Containers count them in, and Symphonia's readers leave them in.
    pre_skip: usize,
}

impl Header {
    fn read(params: &AudioCodecParameters) -> Result<Self> {
        let Some(head) = params.extra_data.as_deref() else {
            let channels = params.channels.as_ref().map_or(2, Channels::count);
            return Ok(Self { table: plain(channels)?, gain: 1.0, pre_skip: 0 });
        };
        if head.len() < 19 || !head.starts_with(b"OpusHead") {
            return Err(Error::DecodeError("opus: the identification header is cut off"));
        }
        // MP4 stores the same fields with the other byte order, and says so by its version.
        let field = |at: usize| {
            let bytes = [head[at], head[at + 1]];
            if head[8] == 0 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
        };
        let (pre_skip, gain) = (field(10).into(), field(16) as i16);
        let channels = head[9];
        let table = match head[18] {
            0 => plain(channels.into())?,
            family @ (1 | 2 | 255) => ChannelMappingTable::parse(family, channels, &head[19..])
                .ok_or(Error::DecodeError("opus: the channel mapping is cut off"))?,
            _ => return Err(Error::Unsupported("opus: a channel mapping beyond the families 0, 1, 2 and 255")),
        };
        let coded = u16::from(table.stream_count) + u16::from(table.coupled_count);
        if table.channels == 0
            || table.stream_count == 0
            || table.coupled_count > table.stream_count
            || table.mapping.iter().any(|&source| source != 255 && u16::from(source) >= coded)
        {
            return Err(Error::DecodeError("opus: the channel mapping names channels that are not there"));
        }
        Ok(Self { table, gain: 10_f32.powf(f32::from(gain) / 256.0 / 20.0), pre_skip })
    }
}

/// The mapping of a single stream of one or two channels.
fn plain(channels: usize) -> Result<ChannelMappingTable> {
    match channels {
        1 => Ok(ChannelMappingTable { channels: 1, stream_count: 1, coupled_count: 0, mapping: vec![0] }),
        2 => Ok(ChannelMappingTable { channels: 2, stream_count: 1, coupled_count: 1, mapping: vec![0, 1] }),
        _ => Err(Error::DecodeError("opus: more than two channels without a channel mapping")),
    }
}

/// The encoder's delay of an Opus track in seconds; 0 for other codecs.
pub(super) fn delay_seconds(params: &AudioCodecParameters) -> f64 {
    match Header::read(params) {
        Ok(header) if params.codec == CODEC_ID_OPUS => header.pre_skip as f64 / f64::from(RATE),
        _ => 0.0,
    }
}

fn decoder(table: &ChannelMappingTable) -> Result<MultistreamDecoder> {
    MultistreamDecoder::new(RATE as i32, table.clone()).map_err(Error::DecodeError)
}

impl AudioDecoder for Opus {
    fn reset(&mut self) {
        if let Ok(fresh) = decoder(&self.header.table) {
            self.decoder = fresh;
        }
        // In the middle of a stream there is no delay to drop.
        self.skip = 0;
    }

    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.params
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        let frames =
            self.decoder.decode(packet.data, LONGEST, &mut self.interleaved).map_err(Error::DecodeError)?.min(LONGEST);
        self.buffer.render_uninit(Some(frames));
        let channels = usize::from(self.header.table.channels);
        for channel in 0..channels {
            let samples = self.interleaved.iter().skip(channel).step_by(channels);
            if let Some(plane) = self.buffer.plane_mut(channel) {
                plane.iter_mut().zip(samples).for_each(|(out, x)| *out = self.header.gain * x);
            }
        }
        self.buffer.trim(packet.trim_start.get() as usize, packet.trim_end.get() as usize);
        let skipped = self.skip.min(self.buffer.frames());
        self.skip -= skipped;
        self.buffer.trim(skipped, 0);
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for Opus {
    fn try_registry_new(params: &AudioCodecParameters, _: &AudioDecoderOptions) -> Result<Box<dyn AudioDecoder>> {
        let header = Header::read(params)?;
        let channels = header.table.channels;
        let decoder = decoder(&header.table)?;
        let buffer = AudioBuffer::new(AudioSpec::new(RATE, Channels::Discrete(channels.into())), LONGEST);
        let interleaved = vec![0.0; LONGEST * usize::from(channels)];
        let skip = header.pre_skip;
        Ok(Box::new(Self { params: params.clone(), header, decoder, interleaved, buffer, skip }))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        const INFO: CodecInfo = CodecInfo { short_name: "opus", long_name: "Opus", profiles: &[] };
        &[SupportedAudioCodec { id: CODEC_ID_OPUS, info: INFO }]
    }
}
