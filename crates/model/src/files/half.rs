//! [`Half`]: the files of one half, their checksums and their hash.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::FileError;
use crate::ModelHash;

/// Lists the SHA-256 of every other file, as `sha256sum` writes and checks it.
pub(crate) const SUMS: &str = "SHA256SUMS";
/// Structure and settings.
pub(crate) const MODEL: &str = "model.json";
/// Numbers.
pub(crate) const WEIGHTS: &str = "weights.safetensors";
/// Names of tracks.
pub(crate) const LABELS: &str = "labels.json";

/// Largest file of each kind that is opened, in bytes.
fn limit(name: &str) -> u64 {
    match name {
        SUMS => 4 << 10,
        MODEL => 64 << 20,
        LABELS => 4 << 30,
        _ => 64 << 30,
    }
}

/// The files of one half, sorted by name, without the list of checksums.
pub(crate) struct Half(Vec<(&'static str, Vec<u8>)>);

#[derive(Deserialize)]
struct Preamble {
    format: String,
    version: u64,
}

impl Half {
    pub(crate) fn new(mut files: Vec<(&'static str, Vec<u8>)>) -> Self {
        files.sort_by_key(|(name, _)| *name);
        Self(files)
    }

    /// One of the files.
    pub(crate) fn file(&self, name: &str) -> &[u8] {
        self.0.iter().find(|(n, _)| *n == name).map_or(&[], |(_, bytes)| bytes)
    }

    /// The text of `SHA256SUMS`.
    fn sums(&self) -> String {
        self.0.iter().map(|(name, bytes)| format!("{}  {name}\n", ModelHash::of(bytes))).collect()
    }

    /// What identifies the half: the SHA-256 of its `SHA256SUMS`.
    pub(crate) fn hash(&self) -> ModelHash {
        ModelHash::of(self.sums().as_bytes())
    }

    /// Writes the files into a folder that is made for them, and waits until they are on the disk.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), FileError> {
        fs::create_dir(dir).map_err(FileError::io("create", dir))?;
        let sums = self.sums();
        let files = self.0.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
        for (name, bytes) in files.chain([(SUMS, sums.as_bytes())]) {
            write(&dir.join(name), bytes)?;
        }
        Ok(())
    }

    /// Reads exactly these files and checks them against `SHA256SUMS`.
    pub(crate) fn read(dir: &Path, names: &[&'static str]) -> Result<Self, FileError> {
        let sums = read(&dir.join(SUMS), limit(SUMS))?;
        let malformed = || FileError::Sums { path: dir.join(SUMS), expected: names.join(", ") };
        let text = std::str::from_utf8(&sums).map_err(|_| malformed())?;
        let mut names: Vec<&'static str> = names.to_vec();
        names.sort_unstable();
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or_default().split('\n').collect();
        if lines.len() != names.len() {
            return Err(malformed());
        }
        let mut files = Vec::with_capacity(names.len());
        for (line, name) in lines.into_iter().zip(names) {
            let hash = line.strip_suffix(name).and_then(|line| line.strip_suffix("  "));
            let expected: ModelHash = hash.and_then(|hash| hash.parse().ok()).ok_or_else(malformed)?;
            let path = dir.join(name);
            let bytes = read(&path, limit(name))?;
            let found = ModelHash::of(&bytes);
            if found != expected {
                return Err(FileError::Damaged { path, found, expected });
            }
            files.push((name, bytes));
        }
        Ok(Self(files))
    }

    /// Parses `model.json`, its format and version first.
    pub(crate) fn model<T: DeserializeOwned>(&self, format: &'static str, version: u64) -> Result<T, FileError> {
        let json = self.file(MODEL);
        let preamble: Preamble = serde_json::from_slice(json).map_err(FileError::json(MODEL))?;
        if preamble.format != format {
            return Err(FileError::Format { file: MODEL, found: preamble.format, expected: format });
        }
        if preamble.version != version {
            return Err(FileError::Version { file: MODEL, found: preamble.version, expected: version });
        }
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
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let found = file.metadata().map_err(FileError::io("open", path))?.len();
    if found > limit {
        return Err(FileError::TooLarge { path: path.into(), found, limit });
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    Ok(bytes)
}
