//! Any folder of music, however deep, with tags where the files have them.

mod legacy;
mod tags;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sordino_audio::SoundFormat;

use self::tags::Tags;
use crate::catalogue::tidy;
use crate::{Catalogue, CorpusError, Rejected, Source, Track};

/// Containers that hold films as a rule. Their sound is not looked for, and they are not listed.
const FILMS: [&str; 6] = ["avi", "m4v", "mk3d", "mks", "mkv", "mov"];

/// Lists the music below `root`: every file with the extension of a sound file, or with the first bytes of one. What is
/// sound and not decoded here is in [`Catalogue::rejected`], by the name of its format.
///
/// Ids are 1, 2, ... in the order of the paths relative to `root` (compared folder by folder, by bytes), so they do not depend on the machine or on where
/// the folder lies; adding or removing a file shifts the ids behind it. Hidden files are skipped, links followed once.
/// No sound is decoded: files that turn out not to be audio are rejected by the index.
///
/// # Errors
/// [`CorpusError::Io`] where `root` itself cannot be read. Whatever else is unreadable is in [`Catalogue::rejected`].
pub fn load(root: &Path) -> Result<Catalogue, CorpusError> {
    let mut walk = Walk::default();
    let entries = std::fs::read_dir(root).map_err(CorpusError::io(root, "open the music folder"))?;
    walk.seen.extend(root.canonicalize().ok());
    walk.entries(root, entries);
    // Paths share the prefix `root`, and `Path` compares component by component: this is the order of relative paths.
    walk.files.sort();
    let tracks: Vec<Track> = walk
        .files
        .into_par_iter()
        .enumerate()
        .map(|(position, path)| {
            // A folder of more than 2^32 files is beyond every file system; the catalogue's check would see the repeat.
            let id = position as u32 + 1;
            let tags = Tags::read(&path);
            let (artist, title) = from_file_name(&path);
            let keep = |tag: Option<String>, fallback: String| tag.filter(|text| !text.is_empty()).unwrap_or(fallback);
            // A name is taken whole from the tags or whole from the file: mixing them gives "Artist - Artist - Title".
            let artist = if tags.title.as_ref().is_none_or(String::is_empty) { artist } else { String::new() };
            Track {
                id,
                artist: keep(tags.artist, artist),
                title: keep(tags.title, title),
                album: tags.album.unwrap_or_default(),
                licence: tags.licence.unwrap_or_default(),
                source: Source::File(path),
            }
        })
        .collect();
    Catalogue::new(tracks, walk.rejected)
}

#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    rejected: Vec<Rejected>,
    /// Folders already entered, by their real path: a link may lead back to one.
    seen: BTreeSet<PathBuf>,
}

impl Walk {
    fn folder(&mut self, folder: &Path) {
        match folder.canonicalize().and_then(|real| Ok((real, std::fs::read_dir(folder)?))) {
            Ok((real, entries)) => {
                if self.seen.insert(real) {
                    self.entries(folder, entries);
                }
            }
            Err(error) => self.reject(folder, format!("the folder could not be opened: {error}")),
        }
    }

    fn entries(&mut self, folder: &Path, entries: std::fs::ReadDir) {
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => paths.push(entry.path()),
                Err(error) => self.reject(folder, format!("an entry of the folder could not be read: {error}")),
            }
        }
        // Of several links to one folder, the same one must be followed on every machine.
        paths.sort();
        for path in paths {
            self.entry(path);
        }
    }

    fn entry(&mut self, path: PathBuf) {
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            return;
        }
        let extension = extension(&path);
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => self.folder(&path),
            Ok(found) if found.is_file() => {
                let format = match extension.as_deref().map(SoundFormat::of_extension) {
                    Some(Some(format)) => Some(format),
                    _ if extension.is_some_and(|extension| FILMS.contains(&extension.as_str())) => None,
                    _ => of_content(&path),
                };
                match (format, path.to_str()) {
                    (None, _) => {}
                    // The content decides: many a file has the wrong extension.
                    (Some(format), _) if !format.decoded && of_content(&path).is_none_or(|found| !found.decoded) => {
                        self.reject(
                            &path,
                            format!("{} is not decoded here; convert it, to FLAC for example", format.name),
                        );
                    }
                    (Some(_), Some(_)) => self.files.push(path),
                    (Some(_), None) => self.reject(&path, "the file's path is not UTF-8; rename it".into()),
                }
            }
            // A pipe, a socket or a device is not opened: that could wait for ever.
            Ok(_) => {
                if extension.is_some_and(|extension| SoundFormat::of_extension(&extension).is_some()) {
                    self.reject(&path, "not a regular file but a pipe, a socket or a device".into());
                }
            }
            Err(error) => self.reject(&path, format!("the file could not be opened: {error}")),
        }
    }

    fn reject(&mut self, path: &Path, reason: String) {
        let source = Source::File(PathBuf::from(path.to_string_lossy().into_owned()));
        self.rejected.push(Rejected { source, id: None, reason });
    }
}

/// A file's extension, in lower case.
fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase)
}

/// The format of sound that a file's first bytes say, if any.
fn of_content(path: &Path) -> Option<&'static SoundFormat> {
    let mut head = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(1 << 13).read_to_end(&mut head)).ok()?;
    SoundFormat::of_content(&head)
}

/// Artist and title from `Artist - Title.mp3`, `07 - Artist - Title.mp3` or `Title.mp3`.
fn from_file_name(path: &Path) -> (String, String) {
    let stem = tidy(&path.file_stem().unwrap_or_default().to_string_lossy().replace('_', " "));
    let mut parts: Vec<&str> = stem.split(" - ").map(str::trim).filter(|part| !part.is_empty()).collect();
    let is_number = |part: &str| part.len() <= 3 && part.chars().all(|c| c.is_ascii_digit() || c == '.');
    if parts.len() > 1 && is_number(parts[0]) {
        parts.remove(0);
    }
    match parts.as_slice() {
        [] => (String::new(), if stem.is_empty() { "untitled".into() } else { stem }),
        [title] => (String::new(), (*title).to_owned()),
        [artist, title @ ..] => ((*artist).to_owned(), title.join(" - ")),
    }
}
