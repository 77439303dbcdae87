//! Windows of long recordings, channels that cancel, samples that are no numbers, and what is no file.

mod common;

use std::f32::consts::TAU;
use std::io::{Cursor, Read, Seek, SeekFrom};

use common::{RATE, amplitude, cause, decode, fixture, float_wav, sine, wav, wav_of};
use sordino_audio::{
    AudioError, DecodeLimits, ImpulseBank, NoiseBank, Window, decode_bytes, decode_stream, decode_window,
    decode_window_from, resample,
};

/// A tone whose frequency says where in the recording it is: 300 Hz, and 1 Hz more each second.
fn clock(rate: u32) -> impl Fn(u32) -> f32 {
    move |i| {
        let t = f64::from(i) / f64::from(rate);
        (0.5 * (f64::from(TAU) * (300.0 * t + 0.5 * t * t)).sin()) as f32
    }
}

/// An MP3 without the mark of its first frame, which states the length.
fn unmarked_mp3() -> Vec<u8> {
    let mut bytes = fixture("mono_24000.mp3");
    let mark = bytes.windows(4).position(|four| four == b"Info").unwrap();
    bytes[mark..mark + 4].fill(0);
    bytes
}

#[test]
fn a_window_is_the_same_stretch_of_the_whole() {
    let limits = DecodeLimits { min_seconds: 0.1, ..DecodeLimits::default() };
    let recordings = [
        ("WAV", wav(RATE, 1, 20 * RATE, clock(RATE)), 1e-6),
        ("WAV to resample", wav(22_050, 2, 20 * 22_050, clock(22_050)), 1e-4),
        (
            "WAV with a lying header",
            {
                let mut bytes = wav(22_050, 2, 20 * 22_050, clock(22_050));
                bytes[40..44].fill(0);
                bytes
            },
            1e-4,
        ),
        ("MP3", fixture("mono_24000.mp3"), 2e-3),
        ("MP3 of no stated length", unmarked_mp3().repeat(8), 2e-3),
        ("ADTS for longer", fixture("mono_22050.aac").repeat(8), 2e-3),
        ("a chain", [fixture("opus.ogg"), fixture("stereo_48000.ogg")].concat().repeat(4), 2e-3),
        ("Vorbis", fixture("stereo_48000.ogg"), 2e-3),
        ("Opus", fixture("opus.ogg"), 1e-4),
        ("Opus in WebM", fixture("opus.webm"), 1e-4),
        ("Opus in MP4", fixture("opus.mp4"), 1e-4),
        ("FLAC", fixture("mono_11025.flac"), 1e-3),
        ("AAC", fixture("stereo_44100.m4a"), 2e-3),
        ("ADTS", fixture("mono_22050.aac"), 2e-3),
    ];
    for (name, bytes, tolerance) in recordings {
        let whole = decode(&bytes).unwrap();
        for (start_seconds, seconds) in [(0.0, 0.5), (0.3, 0.6), (7.25, 3.0), (9.999, 1.0)] {
            if start_seconds + f64::from(seconds) > f64::from(whole.seconds()) {
                continue;
            }
            let window = Window { start_seconds, seconds };
            let found = decode_window_from(Cursor::new(&bytes), RATE, window, &limits).unwrap();
            let start = (start_seconds * f64::from(RATE)).round() as usize;
            assert_eq!(found.data.len(), (seconds * RATE as f32).round() as usize, "{name}");
            // Where the window ends before the file does, the filter's last block differs.
            let worst = found.data.iter().zip(&whole.data[start..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < tolerance, "{name}, {start_seconds} s: {worst}");
        }
    }
}

/// A WAV of any length that is made up as it is read; it counts the bytes.
struct Endless {
    head: Vec<u8>,
    length: u64,
    at: u64,
    read: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = buf.len().min((self.length - self.at.min(self.length)) as usize);
        for (i, byte) in buf[..count].iter_mut().enumerate() {
            let at = self.at as usize + i;
            // A square wave of 100 Hz at 8 kHz.
            *byte = *self.head.get(at).unwrap_or(&[0x10, 0xf0][at.saturating_sub(44) / 80 % 2]);
        }
        self.at += count as u64;
        self.read.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.length.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn hours_are_not_read_for_a_window_of_seconds() {
    let read = std::sync::Arc::default();
    let endless = || {
        let seconds: u32 = 3 * 3_600;
        let mut head = wav(RATE, 1, 1, |_| 0.0);
        head.truncate(44);
        let size = 2 * RATE * seconds;
        head[4..8].copy_from_slice(&(size + 36).to_le_bytes());
        head[40..44].copy_from_slice(&size.to_le_bytes());
        Endless { head, length: u64::from(size) + 44, at: 0, read: std::sync::Arc::clone(&read) }
    };
    let limits = DecodeLimits::default();
    for start_seconds in [60.0, 10_000.0] {
        let window = Window { start_seconds, seconds: 10.0 };
        let found = decode_window_from(endless(), RATE, window, &limits).unwrap();
        assert_eq!(found.data.len(), 80_000);
        assert!(amplitude(&found.data, RATE, 100.0) > 0.1);
    }
    let read = read.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read < 2_000_000, "{read} bytes of 172,800,044");
    // The whole is refused, and the limit named.
    let error = sordino_audio::decode_reader(endless(), RATE, &limits).unwrap_err().to_string();
    assert!(error.contains("10800 s") && error.contains("3600 s"), "{error}");
}

#[test]
fn windows_that_are_not_there_are_refused_in_a_sentence() {
    let bytes = wav(RATE, 1, 4 * RATE, sine(RATE, 440.0));
    let window = |start_seconds, seconds| {
        decode_window_from(Cursor::new(&bytes), RATE, Window { start_seconds, seconds }, &DecodeLimits::default())
    };
    let error = window(60.0, 10.0).unwrap_err();
    assert!(
        matches!(error, AudioError::Window { start_seconds: 60.0, found_seconds } if (found_seconds - 4.0).abs() < 0.01),
        "{error}"
    );
    assert_eq!(window(2.0, 10.0).unwrap().seconds(), 2.0);
    assert_eq!(cause(window(3.5, 10.0)), "too-short");
    assert_eq!(cause(window(0.0, 4_000.0)), "too-long");
    for (start, seconds) in [(-1.0, 10.0), (f64::NAN, 10.0), (0.0, 0.0), (0.0, f32::INFINITY)] {
        assert_eq!(cause(window(start, seconds)), "parameter");
    }
}

#[test]
fn channels_in_opposite_phase_are_heard() {
    let tone = sine(RATE, 440.0);
    let opposite = wav_of(RATE, 2, 16_000, |i, channel| if channel == 0 { tone(i) } else { -0.98 * tone(i) });
    let alone = decode(&wav(RATE, 1, 16_000, &tone)).unwrap();
    assert_eq!(decode(&opposite).unwrap(), alone);
    // So is a window of it, and a channel that sounds alone among six.
    let window = Window { start_seconds: 0.5, seconds: 1.0 };
    let found = decode_window_from(Cursor::new(&opposite), RATE, window, &DecodeLimits::default()).unwrap();
    assert_eq!(found.data, alone.data[4_000..12_000]);
    let fifth = decode(&wav_of(RATE, 6, 16_000, |i, channel| if channel == 4 { tone(i) } else { 0.0 })).unwrap();
    assert!((amplitude(&fifth.data, RATE, 440.0) - 0.5 / 6.0).abs() < 1e-3);
}

#[test]
fn stereo_stays_the_mean_of_its_channels_bit_for_bit() {
    let (left, right) = (sine(RATE, 440.0), sine(RATE, 555.0));
    // Unrelated channels, and a wide mix in which most is in opposite phase.
    for mix in [(1.0, 0.0), (0.6, -0.8)] {
        let channel = |i, c| if c == 0 { left(i) } else { mix.0 * right(i) + mix.1 * left(i) };
        let found = decode(&wav_of(RATE, 2, 16_000, channel)).unwrap();
        for (i, x) in (0..).zip(&found.data) {
            let [a, b] = [0, 1].map(|c| (channel(i, c) * 32_767.0).round() / 32_768.0);
            assert_eq!(*x, (a + b) * 0.5);
        }
    }
}

#[test]
fn samples_that_are_no_numbers_are_refused_by_name() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -1e12] {
        for rate in [8_000, 22_050] {
            let length = 2 * rate;
            let samples = (0..length).map(|i| if i == length / 2 { bad } else { 0.1 * (i as f32).sin() });
            let error = decode(&float_wav(rate, samples)).unwrap_err();
            let AudioError::Sample { seconds, .. } = error else { panic!("{bad}, {rate} Hz: {error}") };
            assert!((seconds - 1.0).abs() < 0.01, "{seconds}");
            let found = resample(&[0.0, bad, 0.0].repeat(1_000), rate, RATE);
            assert!(matches!(found, Err(AudioError::Sample { .. })), "{bad}, {rate} Hz: {found:?}");
        }
    }
    // Floats with the scale of integers are loud and good.
    let loud = decode(&float_wav(22_050, (0..44_100).map(sine(22_050, 440.0)).map(|x| x * 2e9))).unwrap();
    assert!((amplitude(&loud.data, RATE, 440.0) / 1e9 - 1.0).abs() < 0.01);
}

#[test]
fn banks_leave_out_recordings_with_samples_that_are_no_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bad: f32| {
        let samples = (0..44_100).map(|i| if i == 20_000 { bad } else { 0.1 * (i as f32).sin() });
        std::fs::write(folder.path().join(name), float_wav(22_050, samples)).unwrap();
    };
    write("good.wav", 0.0);
    write("infinite.wav", f32::INFINITY);
    write("large.wav", 3e38);
    write("none.wav", f32::NAN);
    let (noise, left_out) = NoiseBank::load(folder.path(), RATE).unwrap();
    assert_eq!((noise.clips().len(), left_out.len()), (1, 3));
    let (rooms, left_out) = ImpulseBank::load(folder.path(), RATE).unwrap();
    assert_eq!((rooms.clips().len(), left_out.len()), (1, 3));
    assert!(left_out.iter().all(|file| file.error.cause() == "sample"), "{left_out:?}");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_before_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, socket) = (folder.path().join("pipe.wav"), folder.path().join("socket.wav"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let link = folder.path().join("link.wav");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    let limits = DecodeLimits::default();
    let window = Window { start_seconds: 0.0, seconds: 1.0 };
    // Opening one would hang here for ever: nobody writes.
    for (path, what) in
        [(&pipe, "a named pipe"), (&link, "a named pipe"), (&socket, "a socket"), (&"/dev/null".into(), "a device")]
    {
        for result in [sordino_audio::decode_file(path, RATE, &limits), decode_window(path, RATE, window, &limits)] {
            let error = result.unwrap_err();
            assert_eq!(error.cause(), "not-a-file");
            assert!(error.to_string().starts_with(what), "{error}");
        }
    }
    assert_eq!(NoiseBank::load(folder.path(), RATE).unwrap().0.clips().len(), 0);
}

#[test]
fn a_stream_without_an_end_in_sight_is_decoded_from_its_bytes() {
    let bytes = fixture("mono_24000.mp3");
    let limits = DecodeLimits::default();
    assert_eq!(decode_stream(&bytes[..], RATE, &limits).unwrap(), decode(&bytes).unwrap());
    let limits = DecodeLimits { max_bytes: 100_000, ..limits };
    assert_eq!(cause(decode_stream(std::io::repeat(7), RATE, &limits)), "too-large");
    assert_eq!(cause(decode_stream(std::io::empty(), RATE, &limits)), "empty");
    assert_eq!(cause(decode_bytes(&[], RATE, &limits)), "empty");
}
