//! [`Source`]: the bytes to decode, and which file they may come from.

use std::fs::{File, FileType};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::MediaSource;

use crate::AudioError;

/// Opens a regular file. Anything else is refused before it is opened: opening a pipe without a writer waits for ever.
pub(super) fn open(path: &Path) -> Result<File, AudioError> {
    let refused = |e: io::Error| match e.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => AudioError::Missing,
        _ => AudioError::Unreadable(e),
    };
    let kind = std::fs::metadata(path).map_err(refused)?.file_type();
    if kind.is_dir() {
        return Err(AudioError::Unreadable(ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(AudioError::NotAFile { found: describe(kind) });
    }
    File::open(path).map_err(refused)
}

#[cfg(unix)]
fn describe(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn describe(_: FileType) -> &'static str {
    "something else"
}

/// Fills `buf` with what stands at a place.
pub(super) fn read_at<R: Read + Seek>(reader: &mut R, at: u64, buf: &mut [u8]) -> io::Result<()> {
    reader.seek(SeekFrom::Start(at))?;
    reader.read_exact(buf)
}

/// A stretch of a seekable reader, with bytes of our own before it: a file whose header was written anew, or without the
/// tags around its sound.
pub(super) struct Source<R> {
    head: Vec<u8>,
    reader: R,
    /// Where the stretch begins in the reader, and its length.
    start: u64,
    length: u64,
    position: u64,
}

/// What a [`Source`] shows of its reader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) head: Vec<u8>,
    pub(super) start: u64,
    pub(super) length: u64,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(mut reader: R, View { head, start, length }: View) -> io::Result<Self> {
        reader.seek(SeekFrom::Start(start))?;
        Ok(Self { head, reader, start, length, position: 0 })
    }

    fn total(&self) -> u64 {
        self.head.len() as u64 + self.length
    }
}

impl<R: Read + Seek> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let head = self.head.len() as u64;
        let read = if self.position < head {
            (&self.head[self.position as usize..]).read(buf)?
        } else {
            let left = self.total().saturating_sub(self.position).min(buf.len() as u64) as usize;
            self.reader.read(&mut buf[..left])?
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for Source<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.total().checked_add_signed(by),
        };
        let wanted = wanted.ok_or(ErrorKind::InvalidInput)?;
        let inside = wanted.saturating_sub(self.head.len() as u64).min(self.length);
        self.reader.seek(SeekFrom::Start(self.start + inside))?;
        self.position = wanted;
        Ok(wanted)
    }
}

impl<R: Read + Seek + Send + Sync> MediaSource for Source<R> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.total())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_view_reads_and_seeks_like_the_bytes_it_stands_for() {
        let view = View { head: b"head".to_vec(), start: 3, length: 5 };
        let mut source = Source::new(Cursor::new(b"###body!###".to_vec()), view).unwrap();
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"headbody!");
        assert_eq!(source.byte_len(), Some(9));
        for at in 0..12_u64 {
            assert_eq!(source.seek(SeekFrom::Start(at)).unwrap(), at);
            let mut rest = Vec::new();
            source.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, all.get(at as usize..).unwrap_or_default());
        }
        assert_eq!(source.seek(SeekFrom::End(-2)).unwrap(), 7);
        assert_eq!(source.seek(SeekFrom::Current(-7)).unwrap(), 0);
        assert!(source.seek(SeekFrom::Current(-1)).is_err());
    }
}
