//! Any folder of music, however deep, with tags where the files have them.

use std::collections::BTreeSet;
use std::io::Read;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use lofty::config::ParseOptions;
use lofty::file::TaggedFileExt;
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey};
use rayon::prelude::*;

use crate::catalogue::tidy;
use crate::{Catalogue, CorpusError, Rejected, Source, Track};

/// File names that say "audio". Anything else is opened only as far as its first bytes.
const EXTENSIONS: [&str; 14] =
    ["mp3", "mp2", "ogg", "oga", "flac", "wav", "wave", "m4a", "m4b", "mp4", "aac", "mka", "opus", "wma"];

/// Lists the music below `root`: every file with an audio extension, or whose first bytes are those of an audio file.
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
            let tags = read_tags(&path);
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
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => self.folder(&path),
            Ok(found) if found.is_file() => {
                if !(has_audio_extension(&path) || starts_like_audio(&path)) {
                    return;
                }
                match path.to_str() {
                    Some(_) => self.files.push(path),
                    None => self.reject(&path, "the file's path is not UTF-8; rename it".into()),
                }
            }
            Ok(_) => {}
            Err(error) => self.reject(&path, format!("the file could not be opened: {error}")),
        }
    }

    fn reject(&mut self, path: &Path, reason: String) {
        let source = Source::File(PathBuf::from(path.to_string_lossy().into_owned()));
        self.rejected.push(Rejected { source, id: None, reason });
    }
}

fn has_audio_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Whether the first bytes are the signature of FLAC, Ogg, RIFF/WAVE, an ID3v2 tag or an `M4A` brand.
fn starts_like_audio(path: &Path) -> bool {
    let mut head = [0_u8; 12];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok()
        && (head.starts_with(b"fLaC")
            || head.starts_with(b"OggS")
            || head.starts_with(b"ID3")
            || (head.starts_with(b"RIFF") && head.ends_with(b"WAVE"))
            || &head[4..] == b"ftypM4A ")
}

#[derive(Default)]
struct Tags {
    artist: Option<String>,
    title: Option<String>,
    album: Option<String>,
    licence: Option<String>,
}

/// Tags, or nothing: a file with broken tags may still play.
fn read_tags(path: &Path) -> Tags {
    let read = || {
        let options = ParseOptions::new().read_properties(false).read_cover_art(false);
        let file = Probe::open(path).ok()?.options(options).guess_file_type().ok()?.read().ok()?;
        let tag = file.primary_tag().or_else(|| file.first_tag())?;
        let text = |value: Option<std::borrow::Cow<'_, str>>| value.map(|text| tidy(&text));
        let licence = [ItemKey::License, ItemKey::CopyrightUrl, ItemKey::CopyrightMessage];
        Some(Tags {
            artist: text(tag.artist()),
            title: text(tag.title()),
            album: text(tag.album()),
            licence: licence.into_iter().find_map(|key| tag.get_string(key)).map(tidy),
        })
    };
    // The parser meets bytes from anywhere; a bug in it must cost one file's tags, not the library.
    catch_unwind(read).ok().flatten().unwrap_or_default()
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
