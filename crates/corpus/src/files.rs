//! Files as this crate writes and reads them: whole or not at all, and regular ones only.
//!
//! `sordino_model::files` does the same above, for everything but indexes and composed music: this crate knows no models.

use std::fs::{self, File};
use std::io::{BufWriter, Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::CorpusError;

/// The name under which a file of an index is written before it gets its own.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// A name that no loader of music looks at.
pub(crate) fn hidden(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    temporary(&path.with_file_name(name))
}

/// Writes a file so that a reader, or the next run after a kill or a power cut, sees all of it or nothing.
pub(crate) fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<T>,
) -> Result<T, CorpusError> {
    write_as(path, &temporary(path), write)
}

/// The same where other processes may write the very file at once.
pub(crate) fn write_beside_others<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<T>,
) -> Result<T, CorpusError> {
    let own = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{own}", std::process::id()));
    write_as(path, &temporary(Path::new(&name)), write)
}

/// The same under another name until it is whole.
pub(crate) fn write_as<T>(
    path: &Path,
    unfinished: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<T>,
) -> Result<T, CorpusError> {
    let file = File::create(unfinished).map_err(CorpusError::io(unfinished, "create"))?;
    let mut file = BufWriter::new(file);
    let written = write(&mut file).map_err(CorpusError::io(unfinished, "write"))?;
    let finish = || file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all();
    finish().map_err(CorpusError::io(unfinished, "write to disk"))?;
    fs::rename(unfinished, path).map_err(CorpusError::io(path, "rename into place"))?;
    Ok(written)
}

/// Reads a regular file. Looks before it opens: a pipe would be waited for, for ever.
pub(crate) fn read(path: &Path, action: &'static str) -> Result<Vec<u8>, CorpusError> {
    let found = fs::metadata(path).map_err(CorpusError::io(path, action))?;
    if !found.is_file() {
        let error = Error::new(ErrorKind::InvalidInput, "it is no regular file");
        return Err(CorpusError::io(path, action)(error));
    }
    fs::read(path).map_err(CorpusError::io(path, action))
}
