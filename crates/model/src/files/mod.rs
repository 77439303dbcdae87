//! A model as files, format version 1.
//!
//! ```text
//! models/<name>/client/  labels.json  model.json  weights.safetensors  SHA256SUMS
//! models/<name>/server/               model.json  weights.safetensors  SHA256SUMS
//! models/<name>/card.md
//! ```
//!
//! `model.json` holds structure and settings, its numbers are in `weights.safetensors`, and `SHA256SUMS` (which `sha256sum
//! -c` checks) lists both. A half is identified by the SHA-256 of its `SHA256SUMS`; the client half names that of the
//! server half. Checksums find damage, not malice: whoever can write the files can write the checksums, so a file is
//! also read as if it came from an enemy, and nothing is allocated because a file claims a size.
//!
//! The files of a half are a [`Bundle`], which a folder, a map in memory or one byte string gives; a half is read from it.

mod archive;
mod bundle;
mod client;
mod error;
pub(crate) mod server;
mod tensors;

use std::fs;
use std::path::{Path, PathBuf};

pub use bundle::Bundle;
use bundle::write;
pub use error::FileError;

use crate::{Card, ClientModel, MAX_SCORE, ServerModel};

const CLIENT: &str = "client";
const SERVER: &str = "server";
const CARD: &str = "card.md";

/// Saves both halves and the model card as the folder `dir`, replacing a model that is there.
///
/// The folder is written under another name beside `dir`, read back and compared, and then renamed, so that `dir` never
/// holds a half-written model.
///
/// # Errors
/// [`FileError`] where the halves do not belong together, a score could overflow ([`crate::circuit::RangeError::Overflow`] says by
/// how much), `dir` holds something that is no model, or the disk refuses.
pub fn save(dir: &Path, client: &ClientModel, server: &ServerModel, card: &Card) -> Result<(), FileError> {
    client.check_server(server)?;
    server.prove(MAX_SCORE)?;
    let replace = check_vacant(dir)?;
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
    let new = Scratch::create(dir, "new")?;
    let written = write_and_read_back(&new.0, client, server, card);
    let renamed = written.and_then(|()| new.rename_to(dir, replace));
    if renamed.is_err() {
        new.remove();
    }
    renamed
}

fn write_and_read_back(dir: &Path, client: &ClientModel, server: &ServerModel, card: &Card) -> Result<(), FileError> {
    client.bundle()?.write(&dir.join(CLIENT))?;
    server.bundle()?.write(&dir.join(SERVER))?;
    write(&dir.join(CARD), card.markdown(client, server).as_bytes())?;
    // Catches what would only show when the model is next opened: numbers that JSON rounds, a disk that lies.
    let (read_client, read_server) = load_pair(dir)?;
    if read_client != *client {
        return Err(FileError::ReadBack { half: CLIENT });
    }
    if read_server != *server {
        return Err(FileError::ReadBack { half: SERVER });
    }
    Ok(())
}

/// Opens the client half of the model in `dir`.
///
/// # Errors
/// [`FileError`] for anything but an undamaged client half of this version.
pub fn load_client(dir: &Path) -> Result<ClientModel, FileError> {
    ClientModel::from_bundle(&Bundle::read(&dir.join(CLIENT))?)
}

/// Opens the server half of the model in `dir`.
///
/// # Errors
/// [`FileError`] for anything but an undamaged server half of this version.
pub fn load_server(dir: &Path) -> Result<ServerModel, FileError> {
    ServerModel::from_bundle(&Bundle::read(&dir.join(SERVER))?)
}

/// Opens both halves of the model in `dir`.
///
/// # Errors
/// Those of [`load_client`] and [`load_server`], and [`crate::ClientError::Mismatch`] for halves of two models.
pub fn load_pair(dir: &Path) -> Result<(ClientModel, ServerModel), FileError> {
    let (client, server) = (load_client(dir)?, load_server(dir)?);
    client.check_server(&server)?;
    Ok((client, server))
}

/// Whether `dir` holds a model that may be replaced; an error where it holds anything else.
fn check_vacant(dir: &Path) -> Result<bool, FileError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(FileError::io("look into", dir)(error)),
    };
    let mut found = false;
    for entry in entries {
        let name = entry.map_err(FileError::io("look into", dir))?.file_name();
        if ![CLIENT, SERVER, CARD].iter().any(|ours| name == *ours) {
            return Err(FileError::Occupied { path: dir.into() });
        }
        found = true;
    }
    Ok(found)
}

/// A folder beside the model's own, under a name that nobody else uses.
struct Scratch(PathBuf);

impl Scratch {
    fn create(dir: &Path, purpose: &str) -> Result<Self, FileError> {
        let path = Self::unused(dir, purpose);
        fs::create_dir(&path).map_err(FileError::io("create", &path))?;
        Ok(Self(path))
    }

    fn unused(dir: &Path, purpose: &str) -> PathBuf {
        let name = dir.file_name().map_or("model".into(), |name| name.to_string_lossy());
        let candidate = |n: u32| dir.with_file_name(format!(".{name}.{purpose}-{}-{n}", std::process::id()));
        let mut names = (0..).map(candidate);
        // The iterator never ends; the bare name is there for the compiler.
        names.find(|path| !path.exists()).unwrap_or_else(|| candidate(0))
    }

    /// Puts the folder in the place of `dir`. Where a model is there, it steps aside first and is put back if that fails.
    fn rename_to(&self, dir: &Path, replace: bool) -> Result<(), FileError> {
        let old = replace.then(|| Self::unused(dir, "old"));
        if let Some(old) = &old {
            fs::rename(dir, old).map_err(FileError::io("rename", dir))?;
        }
        let renamed = fs::rename(&self.0, dir).map_err(FileError::io("create", dir));
        match (old, &renamed) {
            (Some(old), Ok(())) => fs::remove_dir_all(&old).map_err(FileError::io("remove", &old))?,
            (Some(old), Err(_)) => fs::rename(&old, dir).map_err(FileError::io("put back", dir))?,
            (None, _) => {}
        }
        renamed
    }

    /// Best effort: the error that led here is the one worth reporting.
    fn remove(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
