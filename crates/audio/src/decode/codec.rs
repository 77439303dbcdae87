//! The decoder of a track: which codec it is, by name where there is none, and what its container says of its length.

use std::sync::LazyLock;

use symphonia::core::codecs::audio::well_known::*;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::formats::well_known::{FORMAT_ID_ADTS, FORMAT_ID_MKV, FORMAT_ID_WAVE};
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::units::TimeBase;

use super::opus::{self, Opus};
use crate::AudioError;

/// The audio track being decoded.
pub(super) struct Track {
    pub(super) id: u32,
    pub(super) decoder: Box<dyn AudioDecoder>,
    pub(super) time_base: Option<TimeBase>,
    /// Length in seconds where the container states it exactly.
    pub(super) stated_seconds: Option<f64>,
    /// Honour the encoder's delay and padding.
    pub(super) trim: bool,
    /// Seconds by which the container's times run ahead of the sound: an Opus encoder's delay, where it is counted in.
    pub(super) delay_seconds: f64,
    /// MPEG audio, layers 1 to 3.
    pub(super) mpeg: bool,
    /// The reader finds a place by its number, without reading what lies before it.
    pub(super) seeks: bool,
}

impl Track {
    /// The first track of sound.
    pub(super) fn open(format: &dyn FormatReader) -> Result<Self, AudioError> {
        let track = format.default_track(TrackType::Audio).or_else(|| format.first_track(TrackType::Audio));
        let info = format.format_info();
        let container = info.long_name;
        let Some(track) = track else {
            return Err(AudioError::UnsupportedCodec(format!("no track of sound that is known in {container}")));
        };
        let params = track.codec_params.as_ref().and_then(|p| p.audio());
        let unknown = || AudioError::UnsupportedCodec(format!("an unknown codec in {container}"));
        let mut params = params.ok_or_else(unknown)?.clone();
        if let Some(core) = params.extra_data.as_deref().and_then(|config| aac_core(params.codec, config)) {
            params.extra_data = Some(core.into());
        }
        let decoder = decoder(&params, container)?;
        // Without a LAME tag an MPEG stream's length is only estimated from its first frames, far off for a variable bit
        // rate: then neither is the end trimmed to it nor a truncation inferred from it. ADTS never states a length.
        let mpeg = [CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3].contains(&params.codec);
        let estimated = mpeg && track.delay.is_none();
        let stated_seconds = match (track.num_frames, params.sample_rate) {
            (Some(frames), Some(rate)) if !estimated && info.format != FORMAT_ID_ADTS && rate > 0 => {
                Some(frames as f64 / f64::from(rate))
            }
            _ => None,
        };
        // Matroska takes the delay off its times. In ADPCM, Symphonia's reader of WAV takes frames for blocks when it seeks.
        let delay_seconds = if info.format == FORMAT_ID_MKV { 0.0 } else { opus::delay_seconds(&params) };
        let blocks = [CODEC_ID_ADPCM_MS, CODEC_ID_ADPCM_IMA_WAV].contains(&params.codec);
        let seeks = info.format == FORMAT_ID_WAVE && !blocks;
        let (id, time_base) = (track.id, track.time_base);
        Ok(Self { id, decoder, time_base, stated_seconds, trim: !estimated, delay_seconds, mpeg, seeks })
    }
}

fn decoder(params: &AudioCodecParameters, container: &str) -> Result<Box<dyn AudioDecoder>, AudioError> {
    static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
        let mut codecs = CodecRegistry::new();
        symphonia::default::register_enabled_codecs(&mut codecs);
        codecs.register_audio_decoder::<Opus>();
        codecs
    });
    let name = || match CODECS.get_audio_decoder(params.codec) {
        Some(known) => known.codec.info.long_name.to_owned(),
        None => name(params.codec),
    };
    CODECS.make_audio_decoder(params, &AudioDecoderOptions::default()).map_err(|error| {
        let name = name();
        AudioError::UnsupportedCodec(match CODECS.get_audio_decoder(params.codec) {
            Some(_) if params.codec == CODEC_ID_AAC => {
                format!("AAC in {container} that is not AAC-LC of one or two channels ({error})")
            }
            Some(_) => format!("{name} in {container} ({error})"),
            None => format!("{name} in {container}"),
        })
    })
}

/// The name of a codec that nothing here decodes.
fn name(codec: AudioCodecId) -> String {
    let known = [
        (CODEC_ID_AC3, "AC-3 (Dolby Digital)"),
        (CODEC_ID_AC4, "AC-4"),
        (CODEC_ID_ADPCM_G722, "G.722"),
        (CODEC_ID_ADPCM_G726, "G.726"),
        (CODEC_ID_ADPCM_G726LE, "G.726"),
        (CODEC_ID_ATRAC1, "ATRAC"),
        (CODEC_ID_ATRAC3, "ATRAC3"),
        (CODEC_ID_ATRAC3PLUS, "ATRAC3plus"),
        (CODEC_ID_ATRAC9, "ATRAC9"),
        (CODEC_ID_COOK, "RealAudio (Cook)"),
        (CODEC_ID_DCA, "DTS"),
        (CODEC_ID_EAC3, "E-AC-3 (Dolby Digital Plus)"),
        (CODEC_ID_MONKEYS_AUDIO, "Monkey's Audio"),
        (CODEC_ID_MUSEPACK, "Musepack"),
        (CODEC_ID_SPEEX, "Speex"),
        (CODEC_ID_TRUEHD, "Dolby TrueHD"),
        (CODEC_ID_TTA, "True Audio"),
        (CODEC_ID_WAVPACK, "WavPack"),
        (CODEC_ID_WMA, "Windows Media Audio"),
    ];
    match known.iter().find(|(id, _)| *id == codec) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("a codec without a name here ({codec})"),
    }
}

/// The configuration of the AAC-LC core of a stream in HE-AAC, where it announces spectral band replication (SBR) or
/// parametric stereo (ISO/IEC 14496-3, 1.6.2.1).
///
/// HE-AAC is AAC-LC at half the rate, and data from which a decoder makes up the octave above. Nothing here does so: the
/// core is decoded, at its own rate, with the right pitch and length, and nothing above half of that rate. A stream that
/// does not announce its SBR is decoded in the same way.
fn aac_core(codec: AudioCodecId, config: &[u8]) -> Option<[u8; 8]> {
    const LOW_COMPLEXITY: u64 = 2;
    const SBR: u64 = 5;
    const PARAMETRIC_STEREO: u64 = 29;
    if codec != CODEC_ID_AAC {
        return None;
    }
    let mut bytes = [0; 16];
    config.iter().zip(&mut bytes).for_each(|(from, to)| *to = *from);
    let bits = u128::from_be_bytes(bytes);
    let mut at = 0;
    let mut read = |count: u32| {
        at += count;
        ((bits >> (128 - at)) & ((1 << count) - 1)) as u64
    };
    let mut object = read(5);
    let index = read(4);
    let rate = if index == 15 { read(24) } else { 0 };
    let channels = read(4);
    if [SBR, PARAMETRIC_STEREO].contains(&object) {
        if read(4) == 15 {
            read(24);
        }
        object = read(5);
    }
    if object != LOW_COMPLEXITY {
        return None;
    }
    let short_frames = read(1);
    // The same fields without the extension, and with neither of the two flags that ask for more after them.
    let mut core = 0_u64;
    let mut left = 64;
    let mut write = |value: u64, count: u32| {
        left -= count;
        core |= value << left;
    };
    write(object, 5);
    write(index, 4);
    if index == 15 {
        write(rate, 24);
    }
    write(channels, 4);
    write(short_frames, 1);
    Some(core.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_of_he_aac_is_a_plain_aac_configuration() {
        let core = |config: &[u8]| aac_core(CODEC_ID_AAC, config).map(|core| [core[0], core[1]]);
        // AAC-LC, 44,100 Hz, stereo: as it is.
        assert_eq!(core(&[0x12, 0x10]), Some([0x12, 0x10]));
        // SBR with 22,050 Hz below 44,100 Hz, stereo, and the same with parametric stereo and one channel.
        assert_eq!(core(&[0x2b, 0x92, 0x08, 0x00]), Some([0x13, 0x90]));
        assert_eq!(core(&[0xeb, 0x8a, 0x08, 0x00]), Some([0x13, 0x88]));
        // AAC-LC with the extension appended (0x2b7, SBR, present, 44,100 Hz).
        assert_eq!(core(&[0x13, 0x90, 0x56, 0xe5, 0xa0]), Some([0x13, 0x90]));
        // Main profile, and an end after the first byte.
        assert_eq!(core(&[0x0a, 0x10]), None);
        assert_eq!(core(&[0x12]), Some([0x12, 0x00]));
        assert_eq!(aac_core(CODEC_ID_ALAC, &[0x12, 0x10]), None);
    }
}
