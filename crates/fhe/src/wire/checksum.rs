//! SHA-256 (FIPS 180-4) over all of a message or a key, at its end.
//!
//! It finds damage, and ties a reply to its query. It is no signature: whoever can change a message can change its checksum. Every
//! format begins with a magic number of its own, so no two kinds of bytes share a checksum.

use std::io::{Read, Write};

use sha2::{Digest, Sha256};
use sordino_model::layout::CHECKSUM_BYTES;

/// SHA-256 of everything before it.
pub(crate) type Checksum = [u8; CHECKSUM_BYTES];

/// Appends the checksum of `bytes` to them.
pub(crate) fn seal(bytes: &mut Vec<u8>) -> Checksum {
    let checksum = of(bytes);
    bytes.extend(checksum);
    checksum
}

/// What [`seal`] was given, and its checksum; `None` where a byte was changed, or where there are too few.
pub(crate) fn open(bytes: &[u8]) -> Option<(&[u8], Checksum)> {
    let (content, stated) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    (of(content) == *stated).then_some((content, *stated))
}

fn of(bytes: &[u8]) -> Checksum {
    Sha256::digest(bytes).into()
}

/// A reader or writer that takes the checksum of what passes through.
pub(crate) struct Hashing<T> {
    inner: T,
    hash: Sha256,
}

impl<T> Hashing<T> {
    /// Around `inner`, with nothing passed yet.
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    /// `inner`, and the checksum of what has passed.
    pub(crate) fn finish(self) -> (T, Checksum) {
        (self.inner, self.hash.finalize().into())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
