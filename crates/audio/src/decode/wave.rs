//! WAV and its 64-bit kin (RF64, BW64, Sony's W64): headers that lie are written anew from what the file holds.
//!
//! Recorders that stream write sizes of 0 or 2^32 - 1, editors forget to count a chunk, and files larger than 4 GiB keep
//! their sizes elsewhere. The sound is there all the same: from the data chunk to its end, or to the end of the file.

use std::io::{self, Read, Seek, SeekFrom};

use super::source::{View, read_at};

/// Chunks looked at before the data; a file of zeros would have half a billion.
const CHUNKS: usize = 1_000;
/// Most channels: more are a lie, and counts of bytes that follow from them overflow.
const CHANNELS: u16 = 1_024;
/// Longest format chunk taken over.
const FORMAT: u64 = 4_096;
/// The rest of the GUID behind "riff" and behind every other chunk's name in W64.
const RIFF_GUID: [u8; 12] = [0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 0x04, 0xc1, 0x00, 0x00];
const GUID: [u8; 12] = [0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0x00, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a];

/// What was found at the start of a WAV file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wave {
    /// The container, for messages.
    pub(super) container: &'static str,
    /// The format tag of the format chunk.
    pub(super) tag: u16,
    /// Channels that it states.
    channels: u16,
    /// What to decode in place of the whole file; `None` where the header tells the truth.
    pub(super) view: Option<View>,
}

impl Wave {
    /// What makes the file none that is decoded, in words.
    pub(super) fn refusal(&self) -> Option<String> {
        (!(1..=CHANNELS).contains(&self.channels)).then(|| format!("{} channels in {}", self.channels, self.container))
    }

    /// The codec that the format tag stands for (RFC 2361, and Microsoft's `mmreg.h`).
    pub(super) fn codec(&self) -> String {
        let name = match self.tag {
            0x0001 => "PCM",
            0x0002 => "Microsoft ADPCM",
            0x0003 => "floating point",
            0x0006 => "A-law",
            0x0007 => "mu-law",
            0x0011 => "IMA ADPCM",
            0x0022 => "TrueSpeech",
            0x0031 => "GSM 6.10",
            0x0040 | 0x0045 | 0x0064 => "G.721 or G.726 ADPCM",
            0x0050 => "MPEG layer 1 or 2",
            0x0055 => "MP3",
            0x0092 | 0x2000 => "AC-3",
            0x00ff | 0x1600 | 0x1601 | 0xa106 => "AAC",
            0x0160..=0x0163 => "Windows Media Audio",
            0x0270 => "ATRAC3",
            0x2001 => "DTS",
            0x566f | 0x674f..=0x6751 | 0x676f..=0x6771 => "Vorbis",
            0xf1ac => "FLAC",
            0xfffe => "an extensible format",
            _ => "an unknown codec",
        };
        format!("{name} (format tag {:#06x}) in {}", self.tag, self.container)
    }
}

/// Widths and order of the fields of a chunk's header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Riff,
    Wave64,
}

/// Reads the header of a WAV file of `length` bytes; `None` where it is none, or has no sound to find.
pub(super) fn inspect<R: Read + Seek>(reader: &mut R, length: u64) -> io::Result<Option<Wave>> {
    let mut start = [0_u8; 40];
    if length < 40 {
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(0))?;
    reader.read_exact(&mut start)?;
    let (container, kind, mut at) = match (&start[..4], &start[8..12]) {
        (b"RIFF", b"WAVE") => ("WAV", Kind::Riff, 12),
        (b"RF64", b"WAVE") => ("RF64", Kind::Riff, 12),
        (b"BW64", b"WAVE") => ("BW64", Kind::Riff, 12),
        (b"riff", _) if start[4..16] == RIFF_GUID && start[24..28] == *b"wave" => ("W64", Kind::Wave64, 40),
        _ => return Ok(None),
    };
    let stated_end = match container {
        "WAV" => u64::from(u32::from_le_bytes([start[4], start[5], start[6], start[7]])) + 8,
        _ => 0,
    };
    let (mut format, mut data_size_64) = (Vec::new(), None);
    for _ in 0..CHUNKS {
        let Some((name, size, body)) = chunk(reader, kind, at, length)? else { return Ok(None) };
        match &name {
            b"ds64" if size >= 16 => {
                let mut sizes = [0; 16];
                read_at(reader, body, &mut sizes)?;
                data_size_64 = sizes[8..].try_into().ok().map(u64::from_le_bytes);
            }
            b"fmt " if (16..=FORMAT).contains(&size) && body + size <= length => {
                format = vec![0; size as usize];
                read_at(reader, body, &mut format)?;
            }
            b"data" => {
                if format.is_empty() {
                    return Ok(None);
                }
                let stated = match data_size_64 {
                    Some(large) if size == u64::from(u32::MAX) => large,
                    _ => size,
                };
                let left = length - body;
                let empty = stated == 0 && is_name(reader, body, length)?;
                let held = if (1..=left).contains(&stated) || empty { stated } else { left };
                let honest = container == "WAV" && held == stated && body + held <= stated_end;
                let view = (!honest).then(|| View { head: header(&format, held), start: body, length: held });
                let number = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
                return Ok(Some(Wave { container, tag: number(0), channels: number(2), view }));
            }
            _ => {}
        }
        // W64 counts the header in, and aligns to eight bytes; RIFF does neither, and aligns to two.
        let align = if kind == Kind::Riff { 2 } else { 8 };
        match body.checked_add(size).and_then(|end| end.checked_next_multiple_of(align)) {
            Some(next) if next < length => at = next,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Name, size and place of the content of the chunk at a place.
fn chunk<R: Read + Seek>(reader: &mut R, kind: Kind, at: u64, length: u64) -> io::Result<Option<([u8; 4], u64, u64)>> {
    let mut header = [0_u8; 24];
    let header = if kind == Kind::Riff { &mut header[..8] } else { &mut header[..] };
    let body = at + header.len() as u64;
    if body > length {
        return Ok(None);
    }
    read_at(reader, at, header)?;
    let name = [header[0], header[1], header[2], header[3]];
    let size = match *header {
        [_, _, _, _, a, b, c, d] => Some(u64::from(u32::from_le_bytes([a, b, c, d]))),
        [_, _, _, _, .., a, b, c, d, e, f, g, h] if header[4..16] == GUID => {
            u64::from_le_bytes([a, b, c, d, e, f, g, h]).checked_sub(24)
        }
        // A chunk that is not Microsoft's: none that matters here.
        [.., a, b, c, d, e, f, g, h] => {
            return Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]).checked_sub(24).map(|size| (*b"    ", size, body)));
        }
        _ => None,
    };
    Ok(size.map(|size| (name, size, body)))
}

/// Whether a chunk's name stands at a place: an empty data chunk is believed where another chunk follows it.
fn is_name<R: Read + Seek>(reader: &mut R, at: u64, length: u64) -> io::Result<bool> {
    let mut name = [0; 4];
    if at + 8 > length {
        return Ok(at == length);
    }
    read_at(reader, at, &mut name)?;
    Ok(name.iter().all(|&byte| byte == b' ' || byte.is_ascii_alphanumeric()))
}

/// A header for so many bytes of data. Sizes beyond 32 bits become the value that stands for "to the end".
fn header(format: &[u8], data: u64) -> Vec<u8> {
    let size = u32::try_from(data).unwrap_or(u32::MAX);
    let mut head = b"RIFF\xff\xff\xff\xffWAVEfmt ".to_vec();
    head.extend((format.len() as u32).to_le_bytes());
    head.extend(format);
    head.resize(head.len().next_multiple_of(2), 0);
    head.extend(b"data");
    head.extend(size.to_le_bytes());
    head
}
