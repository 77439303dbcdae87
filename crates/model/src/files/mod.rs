//! A model as files, format version 1.
//!
//! ```text
//! models/<name>/client/  labels.json  model.json  weights.safetensors  SHA256SUMS
//! models/<name>/server/               model.json  weights.safetensors  SHA256SUMS
//! models/<name>/card.md
//! models/<name>/train.toml     where the model was trained here
//! models/<name>/files.json     where its tracks come from files here
//! models/<name>/held-out.safetensors   clips that training has not seen, where it was trained here
//! ```
//!
//! `model.json` holds structure and settings, its numbers are in `weights.safetensors`, and `SHA256SUMS` (which `sha256sum
//! -c` checks) lists both. A half is identified by the SHA-256 of its `SHA256SUMS`; the client half names that of the
//! server half. Checksums find damage, not malice: whoever can write the files can write the checksums, so a file is
//! also read as if it came from an enemy, and nothing is allocated because a file claims a size.
//!
//! A model is replaced by two renames. Between them it has the name `.<name>.old`, where whoever opens `<name>` finds it, and from where
//! the next save puts it back: a kill loses nothing at any moment. [`Aside`] does the same for single files, whatever they hold.
//!
//! The files of a half are a [`Bundle`], which a folder, a map in memory or one byte string gives; a half is read from it.

mod archive;
mod aside;
mod bundle;
mod client;
mod error;
mod held_out;
mod network;
pub(crate) mod server;
mod stages;
mod tensors;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

pub use aside::{Aside, open_file, read_file, read_text, write_file};
pub use bundle::Bundle;
use bundle::write;
pub use error::FileError;
pub use held_out::{HeldOut, load_held_out};
pub use network::{assemble_network, network_from_bytes, network_to_bytes, read_network};

use crate::{Card, ClientModel, MAX_SCORE, ServerModel};

const CLIENT: &str = "client";
const SERVER: &str = "server";
const CARD: &str = "card.md";
const SETTINGS: &str = "train.toml";
const FILES: &str = "files.json";
const HELD_OUT: &str = "held-out.safetensors";
/// Most bytes of a list of files: a million paths of a hundred letters.
const MOST_FILES: u64 = 1 << 27;

/// Saves both halves, the model card and its settings as the folder `dir`, replacing a model that is there.
///
/// The folder is written under another name beside `dir`, read back and compared, and then renamed, so that `dir` never
/// holds a half-written model, and an earlier one is there until the new one is.
///
/// # Errors
/// [`FileError`] where the halves do not belong together, a score could overflow ([`crate::circuit::RangeError::Overflow`] says by
/// how much), and those of [`check_place`].
pub fn save(dir: &Path, client: &ClientModel, server: &ServerModel, card: &Card) -> Result<(), FileError> {
    client.check_server(server)?;
    server.prove(MAX_SCORE)?;
    let place = Place::find(dir)?;
    let (new, _held) = place.scratch()?;
    let written = write_and_read_back(&new, client, server, card);
    let saved = written.and_then(|()| place.swap(&new));
    if saved.is_err() {
        // Best effort: the error that led here is the one worth reporting.
        let _ = fs::remove_dir_all(&new);
    }
    saved
}

/// Makes sure that a model can be saved as `dir`, before anybody spends hours on one. Makes the folder that it will be in.
///
/// # Errors
/// [`FileError::Occupied`] where `dir` is there and is no model, [`FileError::Unnamed`] where it ends in no name,
/// [`FileError::Io`] where the disk refuses.
pub fn check_place(dir: &Path) -> Result<(), FileError> {
    let place = Place::find(dir)?;
    let (new, _held) = place.scratch()?;
    fs::remove_dir(&new).map_err(FileError::io("remove", &new))
}

fn write_and_read_back(dir: &Path, client: &ClientModel, server: &ServerModel, card: &Card) -> Result<(), FileError> {
    client.bundle()?.write(&dir.join(CLIENT))?;
    server.bundle()?.write(&dir.join(SERVER))?;
    write(&dir.join(CARD), card.markdown(client, server).as_bytes())?;
    if !card.settings.is_empty() {
        write(&dir.join(SETTINGS), card.settings.as_bytes())?;
    }
    if !card.files.is_empty() {
        let json = serde_json::to_vec_pretty(&card.files);
        write(&dir.join(FILES), &json.map_err(|source| FileError::Json { file: FILES, source })?)?;
    }
    if !card.held_out.is_empty() {
        write(&dir.join(HELD_OUT), &card.held_out.bytes()?)?;
    }
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
    ClientModel::from_bundle(&Bundle::read(&standing(dir).join(CLIENT))?)
}

/// Opens the server half of the model in `dir`.
///
/// # Errors
/// [`FileError`] for anything but an undamaged server half of this version.
pub fn load_server(dir: &Path) -> Result<ServerModel, FileError> {
    ServerModel::from_bundle(&Bundle::read(&standing(dir).join(SERVER))?)
}

/// Where the sound of each track of the model in `dir` lies, by its id; nothing where the model does not say.
///
/// # Errors
/// [`FileError`] for a list that is there and cannot be read.
pub fn load_files(dir: &Path) -> Result<BTreeMap<u32, String>, FileError> {
    let path = standing(dir).join(FILES);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = read_text(&path, MOST_FILES).map_err(FileError::io("read", &path))?;
    serde_json::from_str(&text).map_err(|source| FileError::Json { file: FILES, source })
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

/// Where the model of `dir` is: there, or where a save that was killed between its two renames left it.
///
/// Nothing is moved here. A save that is still running would find its place taken.
fn standing(dir: &Path) -> PathBuf {
    match stepped_aside(dir).filter(|_| !dir.exists()) {
        Some(old) if old.exists() => old,
        _ => dir.to_owned(),
    }
}

/// `.<name>.old` beside `dir`, where a model steps aside for another; nothing where `dir` ends in no name.
fn stepped_aside(dir: &Path) -> Option<PathBuf> {
    let mut hidden = OsString::from(".");
    hidden.push(dir.file_name()?);
    hidden.push(".old");
    Some(dir.with_file_name(hidden))
}

/// Whether `dir` holds a model that may be replaced; an error where it holds anything else.
fn check_vacant(dir: &Path) -> Result<bool, FileError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory && dir.exists() => {
            return Err(FileError::Occupied { path: dir.into() });
        }
        Err(error) => return Err(FileError::io("look into", dir)(error)),
    };
    let mut found = false;
    for entry in entries {
        let name = entry.map_err(FileError::io("look into", dir))?.file_name();
        if ![CLIENT, SERVER, CARD, SETTINGS, FILES, HELD_OUT].iter().any(|ours| name == *ours) {
            return Err(FileError::Occupied { path: dir.into() });
        }
        found = true;
    }
    Ok(found)
}

/// Where a model is to be saved.
struct Place<'a> {
    dir: &'a Path,
    /// Where a model that is there steps aside.
    old: PathBuf,
    /// Whether there is one.
    taken: bool,
}

impl<'a> Place<'a> {
    /// Looks whether a model may be saved as `dir`, makes the folder that it will be in, and clears up after a save that was
    /// killed.
    fn find(dir: &'a Path) -> Result<Self, FileError> {
        let old = stepped_aside(dir).ok_or_else(|| FileError::Unnamed { path: dir.into() })?;
        let parent = dir.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
        if check_vacant(&old)? {
            match check_vacant(dir)? {
                // Killed between the renames.
                false => fs::rename(&old, dir).map_err(FileError::io("put back", dir))?,
                // Killed after them.
                true => fs::remove_dir_all(&old).map_err(FileError::io("remove", &old))?,
            }
        }
        Ok(Self { dir, old, taken: check_vacant(dir)? })
    }

    /// An empty folder beside `dir`, under a name that nobody else uses, and what keeps others from clearing it away.
    fn scratch(&self) -> Result<(PathBuf, Option<fs::File>), FileError> {
        let prefix =
            aside::hidden_prefix(self.dir, "new").ok_or_else(|| FileError::Unnamed { path: self.dir.into() })?;
        aside::clear_left(self.dir, &prefix);
        let found = aside::unused(self.dir, &prefix, |path| fs::create_dir(path));
        let (path, (), held) = found.map_err(FileError::io("create a folder beside", self.dir))?;
        Ok((path, held))
    }

    /// Puts the folder `new` in the place of `dir`. Where a model is there, it steps aside first and is put back if that fails.
    fn swap(&self, new: &Path) -> Result<(), FileError> {
        if self.taken {
            fs::rename(self.dir, &self.old).map_err(FileError::io("rename", self.dir))?;
        }
        if let Err(error) = fs::rename(new, self.dir) {
            if self.taken {
                fs::rename(&self.old, self.dir).map_err(FileError::io("put back", self.dir))?;
            }
            return Err(FileError::io("create", self.dir)(error));
        }
        // On the disk before the old one is gone from it.
        aside::sync_folder(self.dir).map_err(FileError::io("write", self.dir))?;
        if self.taken {
            fs::remove_dir_all(&self.old).map_err(FileError::io("remove", &self.old))?;
        }
        Ok(())
    }
}
