//! Decoding: every format, any rate and channel count, and a typed error per kind of bad input.

mod common;

use std::io::Cursor;

use common::{RATE, amplitude, cause, decode, fixture, sine, wav};
use hound::{SampleFormat, WavSpec, WavWriter};
use sordino_audio::{AudioError, DecodeLimits, Overlong, decode_bytes, decode_file, resample};

#[test]
fn every_format_is_decoded_by_content() {
    // Lossless: 0.1 dB. Lossy coders at these bit rates: 0.5 dB.
    let formats = [
        ("stereo_44100.mp3", 0.5),
        ("mono_24000.mp3", 0.5),
        ("stereo_44100.m4a", 0.5),
        ("mono_22050.aac", 0.5),
        ("stereo_48000.ogg", 0.5),
        ("mono_11025.flac", 0.1),
    ];
    for (name, tolerance_db) in formats {
        // Nothing tells the decoder the extension.
        let samples = decode(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(samples.rate, RATE);
        assert!((samples.seconds() - 1.5).abs() < 0.1, "{name}: {} s", samples.seconds());
        for (hz, expected) in [(440.0, 0.4), (1_000.0, 0.1)] {
            let off = 20.0 * (amplitude(&samples.data, RATE, hz) / expected).log10();
            assert!(off.abs() < tolerance_db, "{name}: {hz} Hz is {off:.2} dB off");
        }
        assert!(amplitude(&samples.data, RATE, 2_500.0) < 1e-3, "{name}");
    }
}

#[test]
fn a_wrong_extension_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really_an_ogg.mp3");
    std::fs::write(&path, fixture("stereo_48000.ogg")).unwrap();
    let from_file = decode_file(&path, RATE, &DecodeLimits::default()).unwrap();
    assert_eq!(from_file, decode(&fixture("stereo_48000.ogg")).unwrap());
}

#[test]
fn any_rate_and_channel_count() {
    for rate in [4_000, 8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 44_101, 48_000, 96_000, 192_000] {
        for channels in [1, 2, 6] {
            let length = rate * 3 / 2 + 1;
            let samples = decode(&wav(rate, channels, length, sine(rate, 700.0))).unwrap();
            let expected = (f64::from(length) * f64::from(RATE) / f64::from(rate)).ceil() as usize;
            assert_eq!(samples.data.len(), expected, "{rate} Hz");
            let found = amplitude(&samples.data, RATE, 700.0);
            assert!((found - 0.5).abs() < 2e-3, "{rate} Hz, {channels} channels: {found}");
        }
    }
}

#[test]
fn widths_and_floats_agree() {
    let expected = decode(&wav(RATE, 1, 12_000, sine(RATE, 300.0))).unwrap();
    for (bits, format) in
        [(8, SampleFormat::Int), (24, SampleFormat::Int), (32, SampleFormat::Int), (32, SampleFormat::Float)]
    {
        let spec = WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: bits, sample_format: format };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for x in (0..12_000).map(sine(RATE, 300.0)) {
            match format {
                SampleFormat::Float => writer.write_sample(x).unwrap(),
                SampleFormat::Int => {
                    writer.write_sample((f64::from(x) * 2_f64.powi(bits.into()) / 2.0) as i32).unwrap()
                }
            }
        }
        writer.finalize().unwrap();
        let found = decode(&bytes.into_inner()).unwrap();
        assert_eq!(found.data.len(), expected.data.len());
        for (a, b) in found.data.iter().zip(&expected.data) {
            assert!((a - b).abs() < 0.01, "{bits} bits: {a} {b}");
        }
    }
}

#[test]
fn resampling_keeps_what_fits_and_removes_what_would_alias() {
    for (from, hz) in [(44_100, 3_600.0), (48_000, 3_600.0), (16_000, 3_600.0), (11_025, 3_600.0)] {
        let kept = resample(&(0..2 * from).map(sine(from, hz)).collect::<Vec<_>>(), from, RATE).unwrap();
        let ripple = 20.0 * (amplitude(&kept, RATE, hz) / 0.5).log10();
        assert!(ripple.abs() < 0.1, "{from} Hz: {ripple} dB at {hz} Hz");
    }
    for (from, hz) in [(44_100, 4_300.0), (44_100, 9_000.0), (48_000, 4_400.0), (11_025, 4_500.0)] {
        let removed = resample(&(0..2 * from).map(sine(from, hz)).collect::<Vec<_>>(), from, RATE).unwrap();
        let middle = &removed[2_000..removed.len() - 2_000];
        let peak = middle.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        assert!(20.0 * (peak / 0.5).log10() < -90.0, "{from} Hz: {hz} Hz leaves {peak}");
    }
}

#[test]
fn resampling_moves_nothing() {
    // Sample by sample the same sine, away from the ends: a delay of a tenth of a sample would leave -25 dB.
    for from in [4_000, 11_025, 22_050, 44_100, 48_000, 96_000] {
        let out = resample(&(0..2 * from).map(sine(from, 700.0)).collect::<Vec<_>>(), from, RATE).unwrap();
        assert_eq!(out.len(), 16_000);
        let worst = (0..).zip(&out).skip(2_000).take(12_000).map(|(i, x)| (x - sine(RATE, 700.0)(i)).abs());
        let worst = worst.fold(0.0, f32::max);
        assert!(worst < 5e-5, "{from} Hz: {worst}");
    }
}

#[test]
fn bad_input_has_a_typed_cause() {
    let limits = DecodeLimits::default();
    let folder = tempfile::tempdir().unwrap();
    let tone = wav(RATE, 1, 16_000, sine(RATE, 440.0));
    let silence = wav(RATE, 1, 16_000, |_| 0.0);
    let constant = wav(RATE, 1, 16_000, |_| 0.5);
    let mut truncated = fixture("mono_11025.flac");
    truncated.truncate(truncated.len() * 3 / 4);
    let mut odd_codec = tone.clone();
    odd_codec[20] = 0x99; // WAVE format tag
    let mut odd_rate = tone.clone();
    odd_rate[24..28].copy_from_slice(&4_000_000_000_u32.to_le_bytes());
    let text = b"this is not audio, whatever its name says\n".repeat(500);

    assert_eq!(cause(decode_file(&folder.path().join("none.mp3"), RATE, &limits)), "missing");
    assert_eq!(cause(decode_file(folder.path(), RATE, &limits)), "unreadable");
    assert_eq!(cause(decode(&[])), "empty");
    assert_eq!(cause(decode(&text)), "not-audio");
    assert_eq!(cause(decode(&[0xff; 40_000])), "not-audio");
    assert_eq!(cause(decode(&vec![0; 3_000_000])), "not-audio");
    assert_eq!(cause(decode(&silence)), "silent");
    assert_eq!(cause(decode(&constant)), "silent");
    assert_eq!(cause(decode(&truncated)), "truncated");
    assert_eq!(cause(decode(&odd_codec)), "unsupported-codec");
    assert_eq!(cause(decode(&odd_rate)), "unsupported-rate");
    assert_eq!(cause(decode(&tone)), "accepted");
    assert_eq!(cause(decode_bytes(&tone, 10, &limits)), "unsupported-rate");
    assert_eq!(cause(decode_bytes(&tone, RATE, &DecodeLimits { max_bytes: 1_000, ..limits })), "too-large");
    // The header of a streamed WAV claims 4 GiB.
    let mut endless = tone;
    endless[4..8].copy_from_slice(&[0xff; 4]);
    endless[40..44].copy_from_slice(&[0xff; 4]);
    assert!(["truncated", "accepted", "too-long"].contains(&cause(decode(&endless))));
}

#[test]
fn lengths_are_judged_in_seconds() {
    let tone = wav(RATE, 1, 16_000, sine(RATE, 440.0));
    let limits = DecodeLimits { min_seconds: 10.0, ..DecodeLimits::default() };
    match decode_bytes(&tone, RATE, &limits) {
        Err(AudioError::TooShort { found_seconds, expected_seconds }) => {
            assert_eq!((found_seconds, expected_seconds), (2.0, 10.0));
        }
        other => panic!("{other:?}"),
    }
    let limits = DecodeLimits { max_seconds: 1.25, ..DecodeLimits::default() };
    assert_eq!(cause(decode_bytes(&tone, RATE, &limits)), "too-long");
    let limits = DecodeLimits { overlong: Overlong::Truncate, ..limits };
    let cut = decode_bytes(&tone, RATE, &limits).unwrap();
    assert_eq!(cut.data.len(), 10_000);
    assert_eq!(cut.data, decode(&tone).unwrap().data[..10_000]);
    // A format without a stated length is stopped as soon as it passes the limit.
    let limits = DecodeLimits { max_seconds: 1.0, ..DecodeLimits::default() };
    assert_eq!(cause(decode_bytes(&fixture("mono_22050.aac"), RATE, &limits)), "too-long");
}

#[test]
fn a_few_bad_packets_are_left_out_and_many_are_refused() {
    let good = fixture("mono_24000.mp3");
    // One frame of 96 bytes in about 65, wiped.
    let mut scratched = good.clone();
    scratched[4_000..4_096].fill(0);
    let samples = decode(&scratched).unwrap();
    assert!((1.4..1.5).contains(&samples.seconds()), "{}", samples.seconds());
    // Every byte after the first frames replaced.
    let mut ruined = good;
    let mut state = 1_u32;
    for byte in &mut ruined[500..] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let found = cause(decode(&ruined));
    assert!(["corrupt", "truncated", "too-short"].contains(&found), "{found}");
}

#[test]
fn damaged_files_never_panic() {
    let mut state = 7_u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let names = [
        "stereo_44100.mp3",
        "stereo_44100.m4a",
        "mono_22050.aac",
        "stereo_48000.ogg",
        "mono_11025.flac",
        "alac_8000.m4a",
        "opus.ogg",
        "opus_speech.ogg",
        "opus_5.1.ogg",
    ];
    let (mut accepted, mut refused) = (0, 0);
    for name in names {
        let good = fixture(name);
        for _ in 0..40 {
            let mut bytes = good.clone();
            for _ in 0..1 + random(20) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            if random(3) == 0 {
                bytes.truncate(random(good.len()));
            }
            match decode(&bytes) {
                Ok(samples) => {
                    assert!(samples.data.iter().all(|x| x.is_finite()));
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 20 && refused > 20, "{accepted} accepted, {refused} refused");
}
