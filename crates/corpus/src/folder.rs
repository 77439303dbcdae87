//! Any folder of music, however deep, with tags where the files have them.

mod legacy;
mod tags;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use rayon::prelude::*;
use sordino_audio::SoundFormat;

use self::tags::Tags;
use crate::catalogue::tidy;
use crate::sounds::Sound;
use crate::stamp::Stamp;
use crate::{Catalogue, CorpusError, Rejected, Sounds, Source, Track};

/// Containers that hold films as a rule. Their sound is not looked for, and they are not listed.
const FILMS: [&str; 6] = ["avi", "m4v", "mk3d", "mks", "mkv", "mov"];

/// Lists the music below `root`: every file with the extension of a sound file, or with the first bytes of one. What is
/// sound and not decoded here is in [`Catalogue::rejected`], by the name of its format.
///
/// Ids follow from the sound, from 1,000,000,000 on: they stay when files are added, removed, renamed, moved or tagged anew, and
/// are the same on every machine. Files of the very same sound have ids that follow each other. Hidden files are skipped, links
/// followed once. Every file is read once for its hash, and none is decoded: files that turn out not to be audio are rejected by
/// the index.
///
/// # Errors
/// [`CorpusError::Io`] where `root` itself cannot be read. Whatever else is unreadable is in [`Catalogue::rejected`].
pub fn load(root: &Path) -> Result<Catalogue, CorpusError> {
    load_known(root, &Sounds::default(), &ProgressBar::hidden())
}

/// The same where an index knows most of the files: what has not been touched since is not read, and what has been moved keeps
/// its id. `progress` gets the number of files as its length and advances by one a file.
///
/// # Errors
/// As [`load`].
pub fn load_known(root: &Path, known: &Sounds, progress: &ProgressBar) -> Result<Catalogue, CorpusError> {
    let mut walk = Walk::default();
    let entries = std::fs::read_dir(root).map_err(CorpusError::io(root, "open the music folder"))?;
    walk.seen.extend(root.canonicalize().ok());
    walk.entries(root, entries);
    // Paths share the prefix `root`, and `Path` compares component by component: this is the order of relative paths.
    walk.files.sort();
    progress.set_length(walk.files.len() as u64);
    let read = |path: PathBuf| {
        let (sound, stamp) = known.of(&path);
        let track = track(path);
        progress.inc(1);
        (track, sound, stamp)
    };
    let mut files: Vec<(Track, Sound, Option<Stamp>)> = walk.files.into_par_iter().map(read).collect();
    let heard: Vec<(&Path, &Sound)> = files
        .iter()
        .filter_map(|(track, sound, _)| match &track.source {
            Source::File(path) => Some((path.as_path(), sound)),
            Source::Synthetic(_) => None,
        })
        .collect();
    let ids = known.ids(&heard);
    files.iter_mut().zip(ids).for_each(|((track, ..), id)| track.id = id);
    let sounds = files.iter().map(|(track, sound, stamp)| (track.id, (sound.clone(), *stamp))).collect();
    let tracks = files.into_iter().map(|(track, ..)| track).collect();
    Ok(Catalogue { sounds, ..Catalogue::new(tracks, walk.rejected)? })
}

/// A file as a track that has no id yet.
fn track(path: PathBuf) -> Track {
    let tags = Tags::read(&path);
    let (artist, title) = from_file_name(&path);
    let keep = |tag: Option<String>, fallback: String| tag.filter(|text| !text.is_empty()).unwrap_or(fallback);
    // A name is taken whole from the tags or whole from the file: mixing them gives "Artist - Artist - Title".
    let artist = if tags.title.as_ref().is_none_or(String::is_empty) { artist } else { String::new() };
    Track {
        id: 0,
        artist: keep(tags.artist, artist),
        title: keep(tags.title, title),
        album: tags.album.unwrap_or_default(),
        licence: tags.licence.unwrap_or_default(),
        source: Source::File(path),
    }
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
        // Hidden files are a system's notes on others more often than music: they are told to whoever asks for more.
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            tracing::info!("{}: hidden, and passed over", path.display());
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

/// Artist and title from `Artist - Title.mp3`, `07 - Artist - Title.mp3` or `Title.mp3`. Underscores stand for spaces where there are none,
/// and a number that begins with 0 is a track's place.
fn from_file_name(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let spaced = |part: &str| if part.contains(' ') { part.to_owned() } else { part.replace('_', " ") };
    let stem = tidy(&stem.split(" - ").map(spaced).collect::<Vec<_>>().join(" - "));
    // Not `99 Luftballons`, and not `50 Cent`.
    let numbered =
        |number: &str| number.len() > 1 && number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
    let stem = match stem.split_once(' ') {
        Some((number, rest)) if numbered(number.trim_end_matches('.')) && !rest.starts_with("- ") => {
            rest.trim_start().to_owned()
        }
        _ => stem,
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_read_as_their_owners_meant_them() {
        for (file, artist, title) in [
            ("07 - Some Band - A Song.mp3", "Some Band", "A Song"),
            ("Some_Band_-_A_Song.mp3", "Some Band", "A Song"),
            ("some_song.ogg", "", "some song"),
            // Where there are spaces, an underscore is a letter like others.
            ("caves_3 (1_1).wav", "", "caves_3 (1_1)"),
            ("Other_Artist - No_1 in 9_8.mp3", "Other Artist", "No_1 in 9_8"),
            ("_.mp3", "", "untitled"),
            ("00005 Brelouser Engine - Lighthouse.wav", "Brelouser Engine", "Lighthouse"),
            ("07. A Song.mp3", "", "A Song"),
            ("50 Cent - In Da Club.mp3", "50 Cent", "In Da Club"),
            ("99 Luftballons.mp3", "", "99 Luftballons"),
            ("007 - Title.mp3", "", "Title"),
        ] {
            assert_eq!(from_file_name(Path::new(file)), (artist.to_owned(), title.to_owned()), "{file}");
        }
    }
}
