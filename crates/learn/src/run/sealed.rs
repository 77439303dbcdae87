//! Files of a training run: what is in them, and a checksum that a damaged one does not pass.
//!
//! A line with the SHA-256 of what follows, a line of JSON, then bytes. A file is written beside its place and renamed into it, so that it is
//! whole or absent; what has been damaged since is refused.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use sordino_model::files::Aside;

/// What the line of the hash begins with.
const HASH: &str = "sha256 ";
/// Longest line of JSON, in bytes.
const LONGEST: u64 = 1 << 24;

/// Why there is no file to read.
pub(crate) enum Unsealed {
    /// The system refuses.
    Io(io::Error),
    /// It is not what it should be.
    Bad(String),
}

impl From<io::Error> for Unsealed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes a file of a header and bytes.
pub(crate) fn write(path: &Path, header: &impl Serialize, body: &[&[u8]]) -> io::Result<()> {
    let header = [serde_json::to_vec(header)?, b"\n".to_vec()].concat();
    let mut hash = Sha256::new_with_prefix(&header);
    body.iter().for_each(|bytes| hash.update(bytes));
    let mut file = Aside::create(path)?;
    file.write_all(format!("{HASH}{}\n", hex(&hash.finalize())).as_bytes())?;
    file.write_all(&header)?;
    body.iter().try_for_each(|bytes| file.write_all(bytes))?;
    file.publish()
}

/// Reads the header, and tells the bytes behind it to `take`; nothing of it counts unless this succeeds.
pub(crate) fn read_by<H: DeserializeOwned>(path: &Path, mut take: impl FnMut(&[u8])) -> Result<H, Unsealed> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let (expected, header) = (line(&mut file)?, line(&mut file)?);
    let expected = String::from_utf8_lossy(&expected);
    let expected = expected.trim_end().strip_prefix(HASH).ok_or_else(|| Unsealed::Bad("no checksum".into()))?;
    let mut hash = Sha256::new_with_prefix(&header);
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
        take(bytes);
        let read = bytes.len();
        file.consume(read);
    }
    let found = hex(&hash.finalize());
    if found != expected {
        return Err(Unsealed::Bad(format!("damaged: its SHA-256 is {found}, expected {expected}")));
    }
    serde_json::from_slice(&header).map_err(|error| Unsealed::Bad(error.to_string()))
}

fn line(file: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    file.take(LONGEST).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Reads the header alone; nobody has looked at what it says.
pub(crate) fn header<H: DeserializeOwned>(path: &Path) -> Result<H, Unsealed> {
    let mut file = BufReader::new(File::open(path)?);
    line(&mut file)?;
    serde_json::from_slice(&line(&mut file)?).map_err(|error| Unsealed::Bad(error.to_string()))
}

/// Reads header and bytes.
pub(crate) fn read<H: DeserializeOwned>(path: &Path) -> Result<(H, Vec<u8>), Unsealed> {
    let mut body = Vec::new();
    let header = read_by(path, |bytes| body.extend_from_slice(bytes))?;
    Ok((header, body))
}

/// Lower-case hexadecimal, as digests stand in headers and names of runs.
pub(crate) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
