//! [`KeyFile`]: keys on disk. A file is whole or not there, and a secret one is its owner's alone.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sordino_model::files::{Aside, open_file};

use crate::keys::secret::{MOST_BYTES, wipe};
use crate::params::STANDARD;
use crate::{EvaluationKey, FheError, SecretKey};

/// A key that was written beside its place, under another name. [`KeyFile::keep`] gives it its name in one step; dropped before that,
/// it leaves nothing.
pub struct KeyFile {
    file: Aside,
    path: PathBuf,
}

impl KeyFile {
    fn write(
        path: &Path,
        file: io::Result<Aside>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self, FheError> {
        let written = || {
            let mut out = BufWriter::with_capacity(1 << 20, file?);
            write(&mut out)?;
            Ok(Self { file: out.into_inner()?, path: path.to_owned() })
        };
        written().map_err(io_error(path))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`FheError::Io`]: a file of that name stays as it is unless `replace` is set.
    pub fn keep(self, replace: bool) -> Result<(), FheError> {
        let kept = if replace { self.file.publish() } else { self.file.publish_new() };
        kept.map_err(io_error(&self.path))
    }
}

impl SecretKey {
    /// Writes the key beside `path`, readable by its owner only, whatever the umask.
    ///
    /// # Errors
    /// [`FheError::Io`].
    pub fn stage(&self, path: &Path) -> Result<KeyFile, FheError> {
        let mut bytes = self.to_bytes();
        let staged = KeyFile::write(path, Aside::create_private(path), |out| out.write_all(&bytes));
        wipe(&mut bytes);
        staged
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`FheError::Io`]; a file that exists is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), FheError> {
        self.stage(path)?.keep(false)
    }

    /// Reads a key that [`SecretKey::save`] wrote.
    ///
    /// # Errors
    /// [`FheError::Io`], or [`FheError::InFile`] for what is no secret key; on Unix [`FheError::Exposed`] for a file that others than its
    /// owner can read.
    pub fn load(path: &Path) -> Result<Self, FheError> {
        // A key is small, and nothing larger is read.
        let file = open_file(path, MOST_BYTES).map_err(io_error(path))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = file.metadata().map_err(io_error(path))?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(FheError::Exposed { path: path.display().to_string(), mode });
            }
        }
        let mut bytes = Vec::with_capacity(MOST_BYTES as usize + 1);
        let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
        let key = read.map_err(io_error(path)).and_then(|_| Self::from_bytes(&bytes).map_err(in_file(path)));
        wipe(&mut bytes);
        key
    }
}

impl EvaluationKey {
    /// Writes the key beside `path`.
    ///
    /// # Errors
    /// [`FheError::Io`].
    pub fn stage(&self, path: &Path) -> Result<KeyFile, FheError> {
        KeyFile::write(path, Aside::create(path), |mut out| EvaluationKey::write(self, &mut out))
    }

    /// Writes the key to a new file.
    ///
    /// # Errors
    /// [`FheError::Io`]; a file that exists is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), FheError> {
        self.stage(path)?.keep(false)
    }

    /// Reads a key from a file.
    ///
    /// # Errors
    /// [`FheError::Io`], or [`FheError::InFile`] for what is no evaluation key.
    pub fn load(path: &Path) -> Result<Self, FheError> {
        read_whole(path, Self::read)
    }
}

/// Reads an evaluation key from all of a file.
pub(crate) fn read_whole<T>(
    path: &Path,
    read: impl FnOnce(&mut BufReader<File>) -> Result<T, FheError>,
) -> Result<T, FheError> {
    // Of every parameter set, the standard one has the largest key.
    let most = EvaluationKey::wire_bytes_for_samples(&STANDARD) as u64 + 1;
    let mut file = BufReader::with_capacity(1 << 20, open_file(path, most).map_err(io_error(path))?);

    let key = read(&mut file).map_err(in_file(path))?;
    match file.fill_buf().map_err(io_error(path))? {
        [] => Ok(key),
        _ => Err(in_file(path)(FheError::EvaluationKey { what: "it is longer than its parameter set implies" })),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FheError + '_ {
    |reason| FheError::Io { path: path.display().to_string(), reason }
}

fn in_file(path: &Path) -> impl Fn(FheError) -> FheError + '_ {
    |reason| FheError::InFile { path: path.display().to_string(), reason: Box::new(reason) }
}
