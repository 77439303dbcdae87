//! Formats: what people have is decoded, or refused by its name; headers that lie do not matter.

mod common;

use common::{RATE, amplitude, cause, decode, fixture, sine, wav};
use sordino_audio::{AudioError, DecodeLimits, Samples, SoundFormat, decode_bytes};

/// Amplitudes of the fixtures' two tones, and silence between them.
fn assert_tones(name: &str, samples: &Samples, seconds: f32, tolerance_db: f32) {
    assert!((samples.seconds() - seconds).abs() < 0.1, "{name}: {} s", samples.seconds());
    for (hz, expected) in [(440.0, 0.4), (1_000.0, 0.1)] {
        let off = 20.0 * (amplitude(&samples.data, samples.rate, hz) / expected).log10();
        assert!(off.abs() < tolerance_db, "{name}: {hz} Hz is {off:.2} dB off");
    }
    assert!(amplitude(&samples.data, samples.rate, 2_500.0) < 2e-3, "{name}");
}

fn tones(name: &str, seconds: f32, tolerance_db: f32) {
    let samples = decode(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_tones(name, &samples, seconds, tolerance_db);
}

#[test]
fn opus_is_decoded_in_ogg_webm_and_mp4() {
    for name in ["opus.ogg", "opus.webm", "opus.mp4"] {
        tones(name, 1.5, 1.0);
    }
    tones("opus_speech.ogg", 1.5, 2.5);
    // What libopus makes of them, sample by sample.
    for (name, reference) in [("opus.ogg", "opus.s16"), ("opus_speech.ogg", "opus_speech.s16")] {
        let found = decode_bytes(&fixture(name), 48_000, &DecodeLimits::default()).unwrap();
        assert_eq!(found.data.len(), 72_000, "{name}");
        let expected = fixture(reference);
        for (pair, x) in expected.chunks(2).zip(&found.data[24_000..]) {
            let expected = f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
            assert!((x - expected).abs() < 1e-3, "{name}: {x}, libopus {expected}");
        }
    }
    // Five channels and a half, of which one sounds.
    let surround = decode(&fixture("opus_5.1.ogg")).unwrap();
    assert!((surround.seconds() - 1.2).abs() < 0.01, "{} s", surround.seconds());
    let off = 20.0 * (amplitude(&surround.data, RATE, 440.0) / (0.4 / 6.0)).log10();
    assert!(off.abs() < 2.0, "{off:.2} dB");
}

#[test]
fn alac_is_decoded() {
    tones("alac_8000.m4a", 1.5, 0.1);
}

#[test]
fn he_aac_has_the_pitch_and_length_of_its_core() {
    // An ADTS stream at 22,050 Hz, put into an MP4 that announces SBR above it, as an encoder of HE-AAC does.
    let adts = fixture("mono_22050.aac");
    let (mut frames, mut at) = (Vec::new(), 0);
    while at + 7 <= adts.len() {
        let length =
            (usize::from(adts[at + 3] & 3) << 11) | (usize::from(adts[at + 4]) << 3) | usize::from(adts[at + 5] >> 5);
        frames.push(adts[at + 7..at + length].to_vec());
        at += length;
    }
    for (announced, config) in [
        ("nothing", &[0x13, 0x88][..]),
        ("SBR", &[0x2b, 0x8a, 0x08, 0x00]),
        ("parametric stereo", &[0xeb, 0x8a, 0x08, 0x00]),
        ("SBR at the end", &[0x13, 0x88, 0x56, 0xe5, 0xa0]),
    ] {
        for timescale in [22_050, 44_100] {
            let samples = decode(&mp4(&frames, config, timescale)).unwrap_or_else(|e| panic!("{announced}: {e}"));
            assert_tones(announced, &samples, 1.5, 0.5);
        }
    }
}

/// A box of an MP4 file.
fn atom(name: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&(content.len() as u32 + 8).to_be_bytes()[..], name, &content].concat()
}

/// An MP4 of one AAC track with this configuration, 1,024 samples at 22,050 Hz a frame.
fn mp4(frames: &[Vec<u8>], config: &[u8], timescale: u32) -> Vec<u8> {
    let be = u32::to_be_bytes;
    let count = frames.len() as u32;
    let ticks = 1_024 * timescale / 22_050;
    let duration = be(count * ticks);
    let matrix: Vec<u8> = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000_u32].into_iter().flat_map(be).collect();
    let descriptor = |tag: u8, content: &[&[u8]]| {
        let content = content.concat();
        [&[tag, content.len() as u8][..], &content].concat()
    };
    let specific = descriptor(5, &[config]);
    let decoder = descriptor(4, &[&[0x40, 0x15, 0, 0, 0], &be(32_000), &be(32_000), &specific]);
    let esds = atom(b"esds", &[&be(0), &descriptor(3, &[&[0, 1, 0], &decoder, &descriptor(6, &[&[2]])])]);
    // Reserved, data reference 1, version and vendor, 1 channel of 16 bits, and the rate that a player would show.
    let entry = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 8], &[0, 1, 0, 16, 0, 0, 0, 0], &be(timescale << 16)].concat();
    let ftyp = atom(b"ftyp", &[b"M4A ", &be(0), b"M4A isom"]);
    let table = |offset: u32| {
        let sizes: Vec<u8> = frames.iter().flat_map(|frame| be(frame.len() as u32)).collect();
        let stbl = atom(
            b"stbl",
            &[
                &atom(b"stsd", &[&be(0), &be(1), &atom(b"mp4a", &[&entry, &esds])]),
                &atom(b"stts", &[&be(0), &be(1), &be(count), &be(ticks)]),
                &atom(b"stsc", &[&be(0), &be(1), &be(1), &be(count), &be(1)]),
                &atom(b"stsz", &[&be(0), &be(0), &be(count), &sizes]),
                &atom(b"stco", &[&be(0), &be(1), &be(offset)]),
            ],
        );
        let dinf = atom(b"dinf", &[&atom(b"dref", &[&be(0), &be(1), &atom(b"url ", &[&be(1)])])]);
        let minf = atom(b"minf", &[&atom(b"smhd", &[&be(0), &be(0)]), &dinf, &stbl]);
        let hdlr = atom(b"hdlr", &[&be(0), &be(0), b"soun", &[0; 13]]);
        let mdhd = atom(b"mdhd", &[&be(0), &be(0), &be(0), &be(timescale), &duration, &[0x55, 0xc4, 0, 0]]);
        let tkhd = atom(
            b"tkhd",
            &[&be(7), &be(0), &be(0), &be(1), &be(0), &duration, &[0; 8], &[0, 0, 0, 0, 1, 0, 0, 0], &matrix, &[0; 8]],
        );
        let mvhd = atom(
            b"mvhd",
            &[
                &be(0),
                &be(0),
                &be(0),
                &be(timescale),
                &duration,
                &be(0x1_0000),
                &[1, 0],
                &[0; 10],
                &matrix,
                &[0; 24],
                &be(2),
            ],
        );
        let trak = atom(b"trak", &[&tkhd, &atom(b"mdia", &[&mdhd, &hdlr, &minf])]);
        atom(b"moov", &[&mvhd, &trak])
    };
    let offset = ftyp.len() + table(0).len() + 8;
    [ftyp, table(offset as u32), atom(b"mdat", &frames.iter().map(Vec::as_slice).collect::<Vec<_>>())].concat()
}

/// The samples of a second and a half of a tone, as bytes of this order.
fn pcm(bytes: fn(i16) -> [u8; 2]) -> Vec<u8> {
    (0..12_000).map(sine(RATE, 300.0)).flat_map(|x| bytes((x * 32_767.0).round() as i16)).collect()
}

/// A common chunk and a sound chunk of 16 bits at 8,000 Hz.
fn aiff(kind: &[u8; 4], codec: &[u8], data: &[u8]) -> Vec<u8> {
    // The rate as the 80-bit float that AIFF wants.
    let rate = [0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0];
    let common = [&[0, 1][..], &(data.len() as u32 / 2).to_be_bytes(), &[0, 16], &rate, codec].concat();
    let sound = [&[0; 8], data].concat();
    chunk(b"FORM", &[&kind[..], &chunk(b"COMM", &common), &chunk(b"SSND", &sound)].concat())
}

#[test]
fn aiff_and_caf_are_decoded_as_wav_is() {
    let expected = decode(&wav(RATE, 1, 12_000, sine(RATE, 300.0))).unwrap();
    assert_eq!(decode(&aiff(b"AIFF", b"", &pcm(i16::to_be_bytes))).unwrap(), expected);
    assert_eq!(decode(&aiff(b"AIFC", b"sowt\0\0", &pcm(i16::to_le_bytes))).unwrap(), expected);

    let description = [
        &8_000_f64.to_be_bytes()[..],
        b"lpcm",
        &0_u32.to_be_bytes(),
        &2_u32.to_be_bytes(),
        &1_u32.to_be_bytes(),
        &1_u32.to_be_bytes(),
        &16_u32.to_be_bytes(),
    ]
    .concat();
    let long = |name: &[u8; 4], content: &[u8]| [&name[..], &(content.len() as u64).to_be_bytes(), content].concat();
    let data = [&[0; 4][..], &pcm(i16::to_be_bytes)].concat();
    let caf = [&b"caff\0\x01\0\0"[..], &long(b"desc", &description), &long(b"data", &data)].concat();
    assert_eq!(decode(&caf).unwrap(), expected);
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&name[..], &(content.len() as u32).to_be_bytes(), content].concat()
}

#[test]
fn headers_of_wav_that_lie_do_not_matter() {
    let good = wav(RATE, 1, 12_000, sine(RATE, 300.0));
    let expected = decode(&good).unwrap();
    let size = good.len() as u32 - 44;
    let with = |riff: u32, data: u32| {
        let mut bytes = good.clone();
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        bytes[40..44].copy_from_slice(&data.to_le_bytes());
        bytes
    };
    for (what, bytes) in [
        ("RIFF eight too short", with(size + 28, size)),
        ("RIFF of zero", with(0, size)),
        ("sizes of zero", with(0, 0)),
        ("sizes of a stream", with(u32::MAX, u32::MAX)),
        ("sizes of a stream, less a header", with(u32::MAX - 8, u32::MAX - 44)),
        ("twice the data", with(size + 36, 2 * size)),
        ("twice of everything", with(2 * size + 36, 2 * size)),
        ("a list of another size than stated, and an odd end", [&good[..], b"LIST\xff\xff\0\0odd"].concat()),
    ] {
        assert_eq!(decode(&bytes).unwrap_or_else(|e| panic!("{what}: {e}")), expected, "{what}");
    }
    // Sound that is not there is not made up.
    assert_eq!(decode(&good[..44 + 16_000]).unwrap().data, expected.data[..8_000]);
    assert_eq!(cause(decode(&[&good[..40], &[0; 4], b"LIST\x04\0\0\0INFO"].concat())), "corrupt");
}

#[test]
fn headers_of_aiff_that_lie_do_not_matter() {
    let kinds = [aiff(b"AIFF", b"", &pcm(i16::to_be_bytes)), aiff(b"AIFC", b"sowt\0\0", &pcm(i16::to_le_bytes))];
    for good in kinds {
        let expected = decode(&good).unwrap();
        let place = |name: &[u8]| good.windows(4).position(|found| found == name).unwrap();
        let (frames, sound) = (place(b"COMM") + 10, place(b"SSND") + 4);
        let (form_size, sound_size) = (good.len() as u32 - 8, 24_008);
        let with = |form: u32, stated: u32, data: u32| {
            let mut bytes = good.clone();
            bytes[4..8].copy_from_slice(&form.to_be_bytes());
            bytes[frames..frames + 4].copy_from_slice(&stated.to_be_bytes());
            bytes[sound..sound + 4].copy_from_slice(&data.to_be_bytes());
            bytes
        };
        for (what, bytes) in [
            ("sizes of zero", with(0, 12_000, 0)),
            ("sizes of a stream", with(u32::MAX, u32::MAX, u32::MAX)),
            ("FORM eight too short", with(form_size - 8, 12_000, sound_size)),
            ("FORM of twice", with(2 * form_size, 12_000, sound_size)),
            ("twice the sound", with(form_size, 12_000, 2 * sound_size)),
            ("twice of everything", with(2 * form_size, 24_000, 2 * sound_size)),
            ("three times the frames", with(form_size, 36_000, sound_size)),
        ] {
            assert_eq!(decode(&bytes).unwrap_or_else(|e| panic!("{what}: {e}")), expected, "{what}");
        }
        // Sound that is not there is not made up, and an end within a sample is none.
        for cut in [16_000, 16_001] {
            assert_eq!(decode(&good[..sound + 12 + cut]).unwrap().data, expected.data[..8_000]);
        }
    }
}

#[test]
fn wav_beyond_four_gigabytes_is_read_in_its_three_forms() {
    let good = wav(RATE, 1, 12_000, sine(RATE, 300.0));
    let expected = decode(&good).unwrap();
    let (format, data) = (&good[20..36], &good[44..]);
    for name in [b"RF64", b"BW64"] {
        let ds64 = [&0_u64.to_le_bytes()[..], &(data.len() as u64).to_le_bytes(), &[0; 12]].concat();
        let bytes = [
            &name[..],
            &[0xff; 4],
            b"WAVEds64",
            &(ds64.len() as u32).to_le_bytes(),
            &ds64,
            b"fmt \x10\0\0\0",
            format,
            b"data\xff\xff\xff\xff",
            data,
            b"LIST\x04\0\0\0INFO",
        ]
        .concat();
        assert_eq!(decode(&bytes).unwrap(), expected);
    }
    let guid = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
    let long = |name: &[u8; 4], content: &[u8]| {
        let mut bytes = [&name[..], guid, &(content.len() as u64 + 24).to_le_bytes(), content].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let riff = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";
    let chunks = [long(b"junk", b"three"), long(b"fmt ", format), long(b"data", data)].concat();
    let w64 = [&riff[..], &(chunks.len() as u64 + 40).to_le_bytes(), b"wave", guid, &chunks].concat();
    assert_eq!(decode(&w64).unwrap(), expected);
}

#[test]
fn chained_ogg_is_decoded_whole() {
    let (vorbis, opus) = (fixture("stereo_48000.ogg"), fixture("opus.ogg"));
    for chain in [[&vorbis[..], &opus].concat(), [&opus[..], &vorbis].concat()] {
        let samples = decode(&chain).unwrap();
        assert!((samples.seconds() - 3.0).abs() < 0.02, "{} s", samples.seconds());
        for half in samples.data.chunks(samples.data.len() / 2) {
            let off = 20.0 * (amplitude(half, RATE, 440.0) / 0.4).log10();
            assert!(off.abs() < 1.0, "{off:.2} dB");
            if half.len() < 100 {
                break;
            }
        }
    }
}

/// An ID3v2.3 tag with a picture that is full of what looks like frames.
fn tag(stated: usize) -> Vec<u8> {
    let picture: Vec<u8> = [0xff, 0xfb, 0x90, 0x64, 0x11, 0x22, 0x33].into_iter().cycle().take(20_000).collect();
    let frame =
        [&b"APIC"[..], &(picture.len() as u32 + 14).to_be_bytes(), b"\0\0\0image/jpeg\0\x03\0", &picture].concat();
    let size = if stated == 0 { frame.len() } else { stated };
    let syncsafe = [21, 14, 7, 0].map(|shift| (size >> shift & 0x7f) as u8);
    [&b"ID3\x03\0\0"[..], &syncsafe, &frame].concat()
}

#[test]
fn pictures_in_tags_of_mp3_are_not_taken_for_sound() {
    let good = fixture("mono_24000.mp3");
    let expected = decode(&good).unwrap();
    let picture = &tag(0)[10..];
    let size = (picture.len() as u32 + 32).to_le_bytes();
    let ape = [picture, b"APETAGEX\xd0\x07\0\0", &size, b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"].concat();
    let id3v1 = [&b"TAG"[..], &[0; 125]].concat();
    for (what, bytes) in [
        ("at the start", [&tag(0)[..], &good].concat()),
        ("twice at the start", [&tag(0)[..], &tag(0), &good].concat()),
        ("with a length too short", [&tag(500)[..], &good].concat()),
        ("at the end", [&good[..], &ape].concat()),
        ("at the end before another tag", [&good[..], &ape, &id3v1].concat()),
    ] {
        let found = decode(&bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(found, expected, "{what}: {} s in place of {}", found.seconds(), expected.seconds());
    }
}

#[test]
fn silence_within_mp3_keeps_its_length() {
    // A frame of MPEG-2 layer 3, 32 kbit/s at 24 kHz, one channel, 96 bytes: all zero behind the header is silence. Without
    // the mark of its first frame, the stream states no length.
    let mut good = fixture("mono_24000.mp3");
    let mark = good.windows(4).position(|four| four == b"Info" || four == b"Xing").unwrap();
    good[mark..mark + 4].fill(0);
    let header = &good[good.len() - 96..][..4];
    assert_eq!(header[0], 0xff);
    let silence = [header, &[0; 92]].concat().repeat(100);
    let samples = decode(&[&good[..], &silence, &good].concat()).unwrap();
    let expected = 2.0 * decode(&good).unwrap().seconds() + 100.0 * 576.0 / 24_000.0;
    assert!((samples.seconds() - expected).abs() < 0.15, "{} s, expected {expected}", samples.seconds());
}

#[test]
fn what_is_not_decoded_is_refused_by_name() {
    let mut codec = wav(RATE, 1, 16_000, sine(RATE, 440.0));
    codec[20] = 0x61;
    codec[21] = 0x01;
    for (bytes, name) in [
        (codec, "Windows Media Audio (format tag 0x0161) in WAV"),
        (b"wvpk".repeat(3_000), "WavPack"),
        (b"MAC \x96\x0f".repeat(3_000), "Monkey's Audio"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11".repeat(2_000), "Windows Media Audio"),
        (b"DSD \x1c\0\0\0".repeat(2_000), "DSD"),
        ([&b"OggS\0\x02"[..], &[0; 22], b"Speex   1.2"].concat(), "Speex"),
        (b"RIFX\0\0\0\0WAVEfmt ".repeat(1_000), "big-endian WAV"),
        (b"\x0b\x77\x7a\x58\x1e\x40".repeat(2_000), "Dolby Digital"),
        (b"\x7f\xfe\x80\x01\xfc\x7d".repeat(2_000), "DTS"),
    ] {
        match decode(&bytes) {
            Err(AudioError::UnsupportedCodec(found)) => assert!(found.contains(name), "{found}: {name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    for channels in [0_u16, 53_506] {
        let mut lie = wav(RATE, 1, 16_000, sine(RATE, 440.0));
        lie[22..24].copy_from_slice(&channels.to_le_bytes());
        let refused = decode(&lie).unwrap_err().to_string();
        assert!(refused.contains(&format!("{channels} channels in WAV")), "{refused}");
    }
    let surround = mp4(&[vec![0; 100]], &[0x12, 0x30], 44_100);
    let refused = decode(&surround).unwrap_err().to_string();
    assert!(refused.contains("not AAC-LC of one or two channels"), "{refused}");
}

#[test]
fn formats_are_known_by_extension_and_by_content() {
    let extension = |name: &str| SoundFormat::of_extension(name).map(|format| format.decoded);
    for name in "mp3 MP1 ogg opus flac wav w64 aif aiff aifc caf m4a webm mka".split(' ') {
        assert_eq!(extension(name), Some(true), "{name}");
    }
    for name in "wv ape WMA dsf tta mpc spx au amr ra".split(' ') {
        assert_eq!(extension(name), Some(false), "{name}");
    }
    for name in "txt jpg mkv pdf".split(' ') {
        assert_eq!(extension(name), None, "{name}");
    }
    let content = |bytes: &[u8]| SoundFormat::of_content(bytes).map(|format| format.name);
    assert_eq!(content(&fixture("mono_24000.mp3")), Some("MP3"));
    assert_eq!(content(&fixture("opus.webm")), Some("Matroska or WebM"));
    assert_eq!(content(b"\xff\xfe<\0h\0t\0m\0l\0>\0"), None);
    assert_eq!(content(&[0xff; 8_192]), None);
    assert_eq!(content(b""), None);
}
