//! What tests of sound share: tones, files of them, and how much of a tone is in samples.
#![allow(dead_code, reason = "no test uses all of it")]

use std::f32::consts::TAU;
use std::io::Cursor;
use std::path::PathBuf;

use hound::{SampleFormat, WavSpec, WavWriter};
use sordino_audio::{AudioError, DecodeLimits, Samples, decode_bytes};

pub(crate) const RATE: u32 = 8_000;

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Samples, AudioError> {
    decode_bytes(bytes, RATE, &DecodeLimits::default())
}

/// A 16-bit WAV of `channels` channels, all of them `sample(i)`.
pub(crate) fn wav(rate: u32, channels: u16, length: u32, sample: impl Fn(u32) -> f32) -> Vec<u8> {
    wav_of(rate, channels, length, |i, _| sample(i))
}

/// A 16-bit WAV whose channel `c` is `sample(i, c)`.
pub(crate) fn wav_of(rate: u32, channels: u16, length: u32, sample: impl Fn(u32, u16) -> f32) -> Vec<u8> {
    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for i in 0..length {
        for channel in 0..channels {
            writer.write_sample((sample(i, channel) * 32_767.0).round() as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A WAV of one channel of 32-bit floats.
pub(crate) fn float_wav(rate: u32, samples: impl Iterator<Item = f32>) -> Vec<u8> {
    let spec = WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    samples.for_each(|x| writer.write_sample(x).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

pub(crate) fn sine(rate: u32, hz: f32) -> impl Fn(u32) -> f32 {
    move |i| 0.5 * (TAU * turns(rate, hz, i)).sin()
}

/// Cycles of a frequency by sample `i`, without its whole cycles; in 64 bits, or the rounding would be audible.
pub(crate) fn turns(rate: u32, hz: f32, i: u32) -> f32 {
    (f64::from(hz) * f64::from(i) / f64::from(rate)).fract() as f32
}

/// Amplitude of a frequency in the middle of a signal, by projection on it under a Hann window.
pub(crate) fn amplitude(samples: &[f32], rate: u32, hz: f32) -> f32 {
    let middle = &samples[samples.len() / 8..samples.len() * 7 / 8];
    let n = middle.len() as f32;
    let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
    for (i, x) in (0..).zip(middle) {
        let window = 0.5 - 0.5 * (TAU * i as f32 / n).cos();
        let phase = TAU * turns(rate, hz, i);
        (re, im, sum) = (re + window * x * phase.cos(), im + window * x * phase.sin(), sum + window);
    }
    2.0 * re.hypot(im) / sum
}

pub(crate) fn cause(result: Result<Samples, AudioError>) -> &'static str {
    result.err().map_or("accepted", |e| e.cause())
}
