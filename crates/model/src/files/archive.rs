//! Named byte strings in one: a POSIX `ustar` archive (IEEE Std 1003.1, pax, "ustar Interchange Format").
//!
//! Written are regular files of short names, without owners or times, so that the same files give the same bytes. Read is
//! what any `tar` packs: names lose their folders, and everything but regular files is stepped over.

use super::error::FileError;

/// Everything comes in blocks of so many bytes.
const BLOCK: usize = 512;
/// Where a header holds its fields.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..262;

/// The archive of some files, whose names have at most 100 bytes.
pub(crate) fn pack<'a>(files: impl Iterator<Item = (&'static str, &'a [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(NAME.start, name.as_bytes());
        // Mode, owner, group; then the time, 1970.
        put(100, b"0000644\x000000000\x000000000\0");
        put(SIZE.start, format!("{:011o}\0", bytes.len()).as_bytes());
        put(136, b"00000000000\0");
        put(KIND, b"0");
        put(MAGIC.start, b"ustar\x0000");
        let checksum = format!("{:06o}\0 ", checksum(&header));
        header[CHECKSUM].copy_from_slice(checksum.as_bytes());
        out.extend(header);
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

/// The regular files of an archive: where each starts, its name without folders, its bytes.
pub(crate) fn unpack(bytes: &[u8]) -> Unpack<'_> {
    Unpack { bytes, at: 0 }
}

/// Kind, name and bytes of an entry.
type Entry<'a> = (u8, &'a str, &'a [u8]);

/// What is left to read of an archive.
pub(crate) struct Unpack<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Unpack<'a> {
    /// The next entry of any kind; `None` at the blocks of zeros that end an archive.
    fn entry(&mut self) -> Result<Option<Entry<'a>>, &'static str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (header, rest) = rest.split_first_chunk::<BLOCK>().ok_or("ends before its end is marked")?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if header[MAGIC] != *b"ustar" {
            return Err("is no ustar archive");
        }
        if octal(&header[CHECKSUM]) != Some(checksum(header)) {
            return Err("has a header with a wrong checksum");
        }
        let size = octal(&header[SIZE]).and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or("states a size that is no number, or too large")?;
        let bytes = rest.get(..size).ok_or("states a size past its end")?;
        let name = header[NAME].split(|&byte| byte == 0).next().unwrap_or_default();
        let name = std::str::from_utf8(name).map_err(|_| "holds a name that is no UTF-8")?;
        // No overflow: `size` bytes are there, and what is there is below `isize::MAX`.
        self.at += BLOCK + size.next_multiple_of(BLOCK);
        Ok(Some((header[KIND], name.rsplit('/').next().unwrap_or(name), bytes)))
    }
}

impl<'a> Iterator for Unpack<'a> {
    type Item = Result<(usize, &'a str, &'a [u8]), FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.at;
            match self.entry() {
                Ok(Some((b'0' | 0, name, bytes))) => return Some(Ok((at, name, bytes))),
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(found) => return Some(Err(FileError::Archive { at, found })),
            }
        }
    }
}

/// The sum of a header's bytes, those of the checksum counted as spaces.
fn checksum(header: &[u8; BLOCK]) -> u64 {
    let byte = |(at, &byte): (usize, &u8)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { byte });
    header.iter().enumerate().map(byte).sum()
}

/// A number in octal digits, with spaces or zero bytes around it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}
