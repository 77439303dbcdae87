//! AIFF and AIFC: headers that lie are written anew from what the file holds.
//!
//! A recording that was cut off, or written as a stream, states sizes that the file does not have. The sound is there all the
//! same: from the sound chunk to its end, or to the end of the file.

use std::io::{self, Read, Seek};

use super::source::{View, read_at};

/// Chunks looked at before the sound; a file of zeros would have half a billion.
const CHUNKS: usize = 1_000;
/// Longest common chunk taken over: what it must have, and the name of a codec.
const COMMON: u64 = 512;
/// Offset and block size, before the samples in a sound chunk.
const SOUND: u64 = 8;

/// What to decode in place of an AIFF file of `length` bytes; `None` where it is none, or where its sizes are true.
pub(super) fn view<R: Read + Seek>(reader: &mut R, length: u64) -> io::Result<Option<View>> {
    let mut start = [0_u8; 12];
    if length < start.len() as u64 {
        return Ok(None);
    }
    read_at(reader, 0, &mut start)?;
    let [b'F', b'O', b'R', b'M', sizes @ .., b'A', b'I', b'F', b'F' | b'C'] = start else { return Ok(None) };
    let form_end = u64::from(u32::from_be_bytes(sizes)) + 8;
    // Chunks that are needed: the version of AIFC, and the common chunk.
    let (mut version, mut common) = (Vec::new(), Vec::new());
    let mut at = 12;
    for _ in 0..CHUNKS {
        let mut header = [0_u8; 8];
        let body = at + header.len() as u64;
        if body > length {
            return Ok(None);
        }
        read_at(reader, at, &mut header)?;
        let [a, b, c, d, size @ ..] = header;
        let size = u64::from(u32::from_be_bytes(size));
        match &[a, b, c, d] {
            name @ (b"FVER" | b"COMM") if size <= COMMON && body + size <= length => {
                let mut chunk = vec![0; header.len() + size as usize];
                read_at(reader, at, &mut chunk)?;
                chunk.resize(chunk.len().next_multiple_of(2), 0);
                *(if name == b"COMM" { &mut common } else { &mut version }) = chunk;
            }
            b"SSND" => {
                let held = if (SOUND + 1..=length - body).contains(&size) { size } else { length - body };
                let honest = held == size && body + size <= form_end && form_end <= length + 1;
                if honest || common.len() < 26 || held <= SOUND {
                    return Ok(None);
                }
                limit_frames(&mut common, held - SOUND);
                let head = head(&[&start[8..], &version, &common].concat(), held);
                return Ok(Some(View { head, start: body, length: held }));
            }
            _ => {}
        }
        at = (body + size).next_multiple_of(2);
    }
    Ok(None)
}

/// Lowers the number of frames that a common chunk states to what so many bytes of samples can hold.
fn limit_frames(common: &mut [u8], samples: u64) {
    // Behind the chunk's name and size: channels, frames, bits of a sample, 80 bits of rate, and in AIFC the codec.
    let channels = u64::from(u16::from_be_bytes([common[8], common[9]]));
    let stated = u32::from_be_bytes([common[10], common[11], common[12], common[13]]);
    let bits = u64::from(u16::from_be_bytes([common[14], common[15]]));
    let companded = matches!(common.get(26..30), Some(b"alaw" | b"ulaw" | b"ALAW" | b"ULAW"));
    let width = channels * if companded { 1 } else { bits.div_ceil(8) };
    if let Some(held) = samples.checked_div(width).and_then(|frames| u32::try_from(frames).ok()) {
        common[10..14].copy_from_slice(&stated.min(held).to_be_bytes());
    }
}

/// A header with these chunks, and so many bytes of the sound chunk to come.
fn head(chunks: &[u8], sound: u64) -> Vec<u8> {
    let size = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let form = chunks.len() as u64 + 8 + sound;
    [b"FORM", &size(form)[..], chunks, b"SSND", &size(sound)].concat()
}
