//! [`Bundle`]: the files of one half of a model, wherever they come from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::FileError;
use super::{archive, aside};
use crate::ModelHash;

/// Lists the SHA-256 of every other file, as `sha256sum` writes and checks it.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// Structure and settings.
pub(crate) const MODEL: &str = "model.json";
/// Numbers.
pub(crate) const WEIGHTS: &str = "weights.safetensors";
/// Names of tracks.
pub(crate) const LABELS: &str = "labels.json";

/// The name, where a half has a file of it.
fn known(name: &str) -> Option<&'static str> {
    [LABELS, MODEL, WEIGHTS, SUMS].into_iter().find(|known| *known == name)
}

/// Largest file of each kind that is opened, in bytes.
fn limit(name: &str) -> u64 {
    match name {
        SUMS => 4 << 10,
        MODEL => 64 << 20,
        LABELS => 4 << 30,
        _ => 64 << 30,
    }
}

/// The files of one half of a model, by name: those of a folder, of a map in memory, or of one byte string.
///
/// One byte string is a plain `ustar` archive of the folder's files, as `tar` packs and unpacks it. A client that fetches
/// its half over a network needs that one body and no file system. Nothing is checked until a half is read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// The folder, for messages; empty where there is none.
    folder: PathBuf,
    files: BTreeMap<&'static str, Cow<'a, [u8]>>,
}

impl<'a, N: AsRef<str>, B: Into<Cow<'a, [u8]>>> FromIterator<(N, B)> for Bundle<'a> {
    /// Files by name; those of other names than a half has are left out.
    fn from_iter<I: IntoIterator<Item = (N, B)>>(files: I) -> Self {
        let known = |(name, bytes): (N, B)| Some((known(name.as_ref())?, bytes.into()));
        Self { folder: PathBuf::new(), files: files.into_iter().filter_map(known).collect() }
    }
}

/// What every description begins with.
#[derive(Deserialize)]
pub(super) struct Preamble {
    format: String,
    version: u64,
}

impl Preamble {
    /// Refuses the description in `file` where it is of another kind or version.
    pub(super) fn check(self, file: &'static str, format: &'static str, version: u64) -> Result<(), FileError> {
        if self.format != format {
            return Err(FileError::Format { file, found: self.format, expected: format });
        }
        if self.version != version {
            return Err(FileError::Version { file, found: self.version, expected: version });
        }
        Ok(())
    }
}

impl<'a> Bundle<'a> {
    /// The files in one byte string, borrowed from it.
    ///
    /// # Errors
    /// [`FileError::Archive`] for anything but an undamaged `ustar` archive.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FileError> {
        let mut files = BTreeMap::new();
        for file in archive::unpack(bytes) {
            let (at, name, bytes) = file?;
            if let Some(name) = known(name)
                && files.insert(name, bytes.into()).is_some()
            {
                return Err(FileError::Archive { at, found: "holds a file a second time" });
            }
        }
        Ok(Self { folder: PathBuf::new(), files })
    }

    /// All files as one byte string. The same files always give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        archive::pack(self.files())
    }

    /// Reads the files of a folder that its `SHA256SUMS` lists.
    ///
    /// # Errors
    /// [`FileError::Io`] where one cannot be read, is no regular file, or is larger than any model needs.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        let sums = read(&folder.join(SUMS), limit(SUMS))?;
        let mut files = BTreeMap::new();
        for name in [LABELS, MODEL, WEIGHTS] {
            if sums.split(|&byte| byte == b'\n').any(|line| line.ends_with(name.as_bytes())) {
                files.insert(name, read(&folder.join(name), limit(name))?.into());
            }
        }
        files.insert(SUMS, sums.into());
        Ok(Self { folder: folder.into(), files })
    }

    /// Writes the files into a folder that is made for them, and waits until they are on the disk.
    ///
    /// # Errors
    /// [`FileError::Io`], also where the folder exists.
    pub fn write(&self, folder: &Path) -> Result<(), FileError> {
        fs::create_dir(folder).map_err(FileError::io("create", folder))?;
        self.files().try_for_each(|(name, bytes)| write(&folder.join(name), bytes))
    }

    /// The files with their names, sorted by name.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (*name, bytes.as_ref()))
    }

    /// Adds the list of checksums to the files of a half.
    pub(crate) fn signed(self) -> Self {
        let sums: String = self.files().map(|(name, bytes)| format!("{}  {name}\n", ModelHash::of(bytes))).collect();
        let mut files = self.files;
        files.insert(SUMS, sums.into_bytes().into());
        Self { files, ..self }
    }

    /// What identifies the half: the SHA-256 of its `SHA256SUMS`.
    pub fn hash(&self) -> ModelHash {
        ModelHash::of(self.files.get(SUMS).map_or(&[], |sums| sums.as_ref()))
    }

    /// One of the files.
    pub(crate) fn file(&self, name: &str) -> Result<&[u8], FileError> {
        self.files.get(name).map(Cow::as_ref).ok_or_else(|| FileError::Absent { path: self.folder.join(name) })
    }

    /// Refuses files that `SHA256SUMS` does not list as they are; it has to list exactly `names`, which are sorted.
    pub(crate) fn check(&self, names: &[&str]) -> Result<(), FileError> {
        let malformed = || FileError::Sums { path: self.folder.join(SUMS), expected: names.join(", ") };
        let text = std::str::from_utf8(self.file(SUMS)?).map_err(|_| malformed())?;
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or_default().split('\n').collect();
        if lines.len() != names.len() {
            return Err(malformed());
        }
        for (line, name) in lines.into_iter().zip(names) {
            let hash = line.strip_suffix(name).and_then(|line| line.strip_suffix("  "));
            let expected: ModelHash = hash.and_then(|hash| hash.parse().ok()).ok_or_else(malformed)?;
            let found = ModelHash::of(self.file(name)?);
            if found != expected {
                return Err(FileError::Damaged { path: self.folder.join(name), found, expected });
            }
        }
        Ok(())
    }

    /// Parses `model.json`, its format and version first.
    pub(crate) fn model<T: DeserializeOwned>(&self, format: &'static str, version: u64) -> Result<T, FileError> {
        let json = self.file(MODEL)?;
        let preamble: Preamble = serde_json::from_slice(json).map_err(FileError::json(MODEL))?;
        preamble.check(MODEL, format, version)?;
        serde_json::from_slice(json).map_err(FileError::json(MODEL))
    }
}

/// Writes a new file and waits until it is on the disk.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(FileError::io("write", path))
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    aside::read_file(path, limit).map_err(FileError::io("read", path))
}
