//! Where the frames of an MPEG stream (MP1, MP2, MP3) begin and end: tags around them are not searched for sound.
//!
//! Pictures in tags contain what looks like the start of a frame. Symphonia skips a tag that is well-formed and stands at
//! the start; this finds the frames behind one with a wrong length, and before tags at the end.

use std::io::{self, Read, Seek, SeekFrom};

use super::source::View;

/// What is read of a stream that begins where it should.
const START: u64 = 1 << 16;
/// How far behind the tags a first frame is looked for.
const SEARCH: u64 = 4 << 20;
/// Frames that must follow each other where a stream is taken to begin that does not begin where it should.
const CHAIN: usize = 4;

/// The stretch of a reader of `length` bytes that holds MPEG frames; `None` where it begins with none.
pub(super) fn view<R: Read + Seek>(reader: &mut R, length: u64) -> io::Result<Option<View>> {
    let Some(begin) = behind_tags(reader, length)? else { return Ok(None) };
    let end = before_tags(reader, begin, length)?;
    let mut bytes = Vec::new();
    reader.seek(SeekFrom::Start(begin))?;
    reader.by_ref().take(START.min(end.saturating_sub(begin))).read_to_end(&mut bytes)?;
    let mut first = Some(0);
    if !chains(&bytes, 2) {
        if [&b"fLaC"[..], b"OggS", b"RIFF"].iter().any(|magic| bytes.starts_with(magic)) {
            return Ok(None);
        }
        reader.by_ref().take(SEARCH.min(end.saturating_sub(begin)).saturating_sub(START)).read_to_end(&mut bytes)?;
        first = (0..bytes.len()).find(|&at| chains(&bytes[at..], CHAIN));
    }
    Ok(first.map(|first| View { head: Vec::new(), start: begin + first as u64, length: end - begin - first as u64 }))
}

/// Whether a file's first bytes are frames of an MPEG stream
pub(crate) fn begins_with_mpeg(head: &[u8]) -> bool {
    chains(head, CHAIN)
}

/// Whether so many frames of one kind follow each other from the first byte on.
fn chains(mut bytes: &[u8], count: usize) -> bool {
    let kind = bytes.get(..4).and_then(Frame::read).map(|frame| frame.kind);
    (0..count).all(|_| {
        let frame = bytes.get(..4).and_then(Frame::read).filter(|frame| kind == Some(frame.kind));
        frame.and_then(|frame| bytes.get(frame.bytes..)).map(|rest| bytes = rest).is_some()
    })
}

/// What one frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Version, layer and sampling rate, which all frames of a stream share.
    pub(super) kind: [u8; 2],
    /// Length in bytes.
    bytes: usize,
}

impl Frame {
    /// Reads a frame's header (ISO/IEC 11172-3, 2.4.2.3, and 13818-3).
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        const KBITS: [[u32; 14]; 5] = [
            [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
            [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
            [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
            [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
            [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        ];
        let &[sync, kind, rates, _, ..] = header else { return None };
        let (version, layer) = (kind >> 3 & 3, kind >> 1 & 3);
        if sync != 0xff || kind < 0xe0 || version == 1 || layer == 0 {
            return None;
        }
        let first_version = version == 3;
        let row = match (first_version, layer) {
            (true, 3) => 0,
            (true, 2) => 1,
            (true, _) => 2,
            (false, 3) => 3,
            (false, _) => 4,
        };
        // An index of 0 leaves the bit rate, and so the length, to be found out; 15 is forbidden.
        let kbits = *KBITS[row].get(usize::from(rates >> 4).checked_sub(1)?)?;
        let rate = *[44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))?;
        let rate: u32 = match version {
            3 => rate,
            2 => rate / 2,
            _ => rate / 4,
        };
        let padding = u32::from(rates >> 1 & 1);
        let bytes = match (layer, first_version) {
            (3, _) => (12_000 * kbits / rate + padding) * 4,
            (1, false) => 72_000 * kbits / rate + padding,
            _ => 144_000 * kbits / rate + padding,
        };
        (bytes >= 4).then_some(Self { kind: [kind & 0b1_1110, rates & 0b1100], bytes: bytes as usize })
    }
}

/// The place behind all ID3v2 tags at the start; `None` where neither a tag nor a frame stands there.
fn behind_tags<R: Read + Seek>(reader: &mut R, length: u64) -> io::Result<Option<u64>> {
    let mut at = 0;
    while at + 10 <= length {
        let header: [u8; 10] = read_at(reader, at)?;
        match header {
            [b'I', b'D', b'3', _, _, flags, size @ ..] if size.iter().all(|byte| byte & 0x80 == 0) => {
                let size = size.iter().fold(0, |sum, &byte| sum << 7 | u64::from(byte));
                let footer = if flags & 0x10 == 0 { 0 } else { 10 };
                at += 10 + size + footer;
            }
            _ => return Ok((at > 0 || Frame::read(&header).is_some()).then_some(at)),
        }
    }
    Ok(None)
}

/// The place before all ID3v1, ID3v2 and APE tags at the end.
fn before_tags<R: Read + Seek>(reader: &mut R, begin: u64, length: u64) -> io::Result<u64> {
    let mut end = length;
    loop {
        let left = end.saturating_sub(begin);
        let size = if left >= 128 && read_at(reader, end - 128)? == *b"TAG" {
            128
        } else if left >= 32 && read_at(reader, end - 32)? == *b"APETAGEX" {
            let fields: [u8; 16] = read_at(reader, end - 24)?;
            let size = u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]);
            let header = if fields[15] & 0x80 == 0 { 0 } else { 32 };
            u64::from(size) + header
        } else if left >= 10 && read_at(reader, end - 10)? == *b"3DI" {
            let size: [u8; 4] = read_at(reader, end - 4)?;
            20 + size.iter().fold(0, |sum, &byte| sum << 7 | u64::from(byte & 0x7f))
        } else {
            return Ok(end);
        };
        if size < 10 || size > left {
            return Ok(end);
        }
        end -= size;
    }
}

fn read_at<R: Read + Seek, const N: usize>(reader: &mut R, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.seek(SeekFrom::Start(at))?;
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
