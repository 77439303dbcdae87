//! [`KeyFile`]: keys on disk. A file is whole or not there, and a secret one is its owner's alone.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::keys::secret::{MOST_BYTES, wipe};
use crate::{EvaluationKey, FheError, SecretKey};

/// A key that was written beside its place, under another name, and synced. [`KeyFile::keep`] gives it its name in one step; dropped
/// before that, it leaves nothing.
pub struct KeyFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl KeyFile {
    fn write(path: &Path, mode: u32, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Self, FheError> {
        let written = || {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut builder = tempfile::Builder::new();
            builder.prefix(".sordino-key-");
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
            let file = builder.tempfile_in(folder)?;
            let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
            write(&mut out)?;
            out.into_inner()?.sync_all()?;
            Ok(Self { file, path: path.to_owned() })
        };
        written().map_err(io_error(path))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`FheError::Io`]: a file of that name stays as it is unless `replace` is set.
    pub fn keep(self, replace: bool) -> Result<(), FheError> {
        let Self { file, path } = self;
        let kept = if replace { file.persist(&path) } else { file.persist_noclobber(&path) };
        kept.map_err(|error| io_error(&path)(error.error)).map(drop)
    }
}

impl SecretKey {
    /// Writes the key beside `path`, readable by its owner only, whatever the umask.
    ///
    /// # Errors
    /// [`FheError::Io`].
    pub fn stage(&self, path: &Path) -> Result<KeyFile, FheError> {
        let mut bytes = self.to_bytes();
        let staged = KeyFile::write(path, 0o600, |out| out.write_all(&bytes));
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
        let file = open(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = file.metadata().map_err(io_error(path))?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(FheError::Exposed { path: path.display().to_string(), mode });
            }
        }
        // A key is small; of anything else no more than this is read.
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
        KeyFile::write(path, 0o666, |mut out| EvaluationKey::write(self, &mut out))
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
    let mut file = BufReader::with_capacity(1 << 20, open(path)?);
    let key = read(&mut file).map_err(in_file(path))?;
    match file.fill_buf().map_err(io_error(path))? {
        [] => Ok(key),
        _ => Err(in_file(path)(FheError::EvaluationKey { what: "it is longer than its parameter set implies" })),
    }
}

/// Opens a regular file. Anything else could make the reader wait for ever.
fn open(path: &Path) -> Result<File, FheError> {
    let opened = || match std::fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file; expected a key")),
    };
    opened().map_err(io_error(path))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FheError + '_ {
    |reason| FheError::Io { path: path.display().to_string(), reason }
}

fn in_file(path: &Path) -> impl Fn(FheError) -> FheError + '_ {
    |reason| FheError::InFile { path: path.display().to_string(), reason: Box::new(reason) }
}
