//! [`Catalogue`]: the tracks of a library and the files that were refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::CorpusError;
use crate::ids::part_ids;
use crate::sounds::Sound;
use crate::stamp::Stamp;

/// Where a track's sound comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An audio file.
    File(PathBuf),
    /// Composed and synthesised from this seed.
    Synthetic(u64),
}

impl Source {
    /// Whether the sound is composed rather than recorded.
    pub fn is_composed(&self) -> bool {
        matches!(self, Self::Synthetic(_))
    }
}

impl fmt::Display for Source {
    /// The path as [`printable`] has it, or `synthetic:<seed>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", printable(&path.display().to_string())),
            Self::Synthetic(seed) => write!(f, "synthetic:{seed}"),
        }
    }
}

/// One track of a library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Identity within the library: FMA's own track id, of a file in a folder one that follows from its sound, of a composed track its
    /// number. Never 0, which stands for "unknown" in answers.
    pub id: u32,
    /// Artist, or empty.
    pub artist: String,
    /// Title; the file name where tags are missing.
    pub title: String,
    /// Album, or empty.
    pub album: String,
    /// Licence, or empty.
    pub licence: String,
    /// The sound.
    pub source: Source,
}

/// An entry of a library that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The file or entry.
    pub source: Source,
    /// FMA's id where there is one.
    pub id: Option<u32>,
    /// Why, in a sentence.
    pub reason: String,
}

/// A library: tracks to index and entries refused before any sound was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Tracks, by ascending id.
    pub tracks: Vec<Track>,
    /// Entries refused.
    pub rejected: Vec<Rejected>,
    /// Of files from a folder, by id: the recording, and the file's stamp when it was read.
    #[serde(skip)]
    pub(crate) sounds: BTreeMap<u32, (Sound, Option<Stamp>)>,
}

impl Catalogue {
    /// Sorts by id and checks that ids are positive and unique, and paths UTF-8.
    ///
    /// # Errors
    /// [`CorpusError::Catalogue`] names the first track that breaks a rule.
    pub fn new(mut tracks: Vec<Track>, rejected: Vec<Rejected>) -> Result<Self, CorpusError> {
        tracks.sort_by_key(|track| track.id);
        let catalogue = Self { tracks, rejected, sounds: BTreeMap::new() };
        catalogue.validate()?;
        Ok(catalogue)
    }

    /// Several libraries in one: the first keeps its ids, and those of every next one are parted from them by [`part_ids`].
    ///
    /// # Errors
    /// As [`part_ids`] and [`Catalogue::new`].
    pub fn concat(parts: impl IntoIterator<Item = Self>) -> Result<Self, CorpusError> {
        let mut all = Self::default();
        for mut part in parts {
            let before: Vec<u32> = part.tracks.iter().map(|track| track.id).collect();
            self::part(&all.tracks, &mut part.tracks)?;
            for (old, track) in before.iter().zip(&part.tracks) {
                all.sounds.extend(part.sounds.remove(old).map(|heard| (track.id, heard)));
            }
            all.tracks.append(&mut part.tracks);
            all.rejected.append(&mut part.rejected);
        }
        Ok(Self { sounds: all.sounds, ..Self::new(all.tracks, all.rejected)? })
    }

    /// Checks what [`Catalogue::new`] promises; the fields are public, so a catalogue may have changed since.
    ///
    /// # Errors
    /// [`CorpusError::Catalogue`] as for [`Catalogue::new`], or where tracks are out of order.
    pub fn validate(&self) -> Result<(), CorpusError> {
        let bad = |track: &Track| CorpusError::Catalogue {
            expected: "positive track ids, each once, in ascending order",
            found: format!("id {} for \"{}\"", track.id, track.title),
        };
        if let Some(first) = self.tracks.first().filter(|track| track.id == 0) {
            return Err(bad(first));
        }
        if let Some(pair) = self.tracks.windows(2).find(|pair| pair[0].id >= pair[1].id) {
            return Err(bad(&pair[1]));
        }
        // The index stores paths as text.
        match self.tracks.iter().find(|track| matches!(&track.source, Source::File(path) if path.to_str().is_none())) {
            Some(track) => Err(CorpusError::Catalogue {
                expected: "paths in UTF-8; rename the folder",
                found: track.source.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// The tracks at these positions, in ascending order, without the rejected entries.
    pub fn select(&self, positions: &[usize]) -> Self {
        let mut positions: Vec<usize> = positions.iter().copied().filter(|&p| p < self.tracks.len()).collect();
        positions.sort_unstable();
        positions.dedup();
        let tracks: Vec<Track> = positions.into_iter().map(|p| self.tracks[p].clone()).collect();
        let heard = |track: &Track| self.sounds.get(&track.id).map(|heard| (track.id, heard.clone()));
        let sounds = tracks.iter().filter_map(heard).collect();
        Self { tracks, rejected: Vec::new(), sounds }
    }

    /// SHA-256 over every track's fields in order, in hexadecimal: two catalogues with one fingerprint list the same
    /// tracks. Rejected entries do not count, and neither do the files' contents.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for track in &self.tracks {
            // The path as it is: two names that print alike are two files.
            let source = match &track.source {
                Source::File(path) => path.display().to_string(),
                composed => composed.to_string(),
            };
            hash.update(track.id.to_le_bytes());
            for field in [&track.artist, &track.title, &track.album, &track.licence, &source] {
                // The length keeps ("ab", "c") apart from ("a", "bc").
                hash.update((field.len() as u64).to_le_bytes());
                hash.update(field.as_bytes());
            }
        }
        hex(&hash.finalize())
    }
}

/// Parts the ids of `next` from those of `before`, as [`part_ids`] does.
pub(crate) fn part(before: &[Track], next: &mut [Track]) -> Result<(), CorpusError> {
    let mut ids: Vec<u32> = next.iter().map(|track| track.id).collect();
    part_ids(before.iter().map(|track| track.id), &mut ids)?;
    next.iter_mut().zip(ids).for_each(|(track, id)| track.id = id);
    Ok(())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Trims and turns every run of white space and of what [`printable`] replaces into one space: names end up in tables and
/// terminals.
pub(crate) fn tidy(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || is_unprintable(c))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A text from outside, such as a file's name, fit for a terminal and a table: what steers either is replaced by U+FFFD.
/// Those are control characters, line breaks and escape sequences among them, and the marks that reverse the direction of
/// writing and so make a name look like another (Unicode Technical Report 36, section 2.10).
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unprintable) { text.replace(is_unprintable, "\u{fffd}").into() } else { text.into() }
}

/// Whether [`printable`] replaces it.
pub fn is_unprintable(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    c.is_control() || turns || breaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(id: u32, title: &str) -> Track {
        Track {
            id,
            artist: String::new(),
            title: title.into(),
            album: String::new(),
            licence: String::new(),
            source: Source::Synthetic(u64::from(id)),
        }
    }

    #[test]
    fn ids_are_positive_unique_and_sorted() {
        let ok = Catalogue::new(vec![track(9, "b"), track(2, "a")], vec![]).unwrap();
        assert_eq!(ok.tracks.iter().map(|t| t.id).collect::<Vec<_>>(), [2, 9]);
        assert!(Catalogue::new(vec![track(3, "a"), track(3, "b")], vec![]).is_err());
        assert!(Catalogue::new(vec![track(0, "a")], vec![]).is_err());
    }

    #[test]
    fn fingerprint_sees_every_field_and_its_borders() {
        let base = Catalogue::new(vec![track(1, "ab")], vec![]).unwrap();
        let mut moved = base.clone();
        moved.tracks[0].artist = "a".into();
        moved.tracks[0].title = "b".into();
        let mut sound = base.clone();
        sound.tracks[0].source = Source::Synthetic(7);
        assert_eq!(base.fingerprint(), base.clone().fingerprint());
        assert_ne!(base.fingerprint(), moved.fingerprint());
        assert_ne!(base.fingerprint(), sound.fingerprint());
    }

    #[test]
    fn select_ignores_order_repeats_and_positions_beyond_the_end() {
        let all = Catalogue::new((1..=5).map(|id| track(id, "t")).collect(), vec![]).unwrap();
        let some = all.select(&[4, 1, 1, 99]);
        assert_eq!(some.tracks.iter().map(|t| t.id).collect::<Vec<_>>(), [2, 5]);
    }

    #[test]
    fn libraries_in_one_keep_their_ids_apart() {
        let part = |ids: &[u32]| Catalogue::new(ids.iter().map(|&id| track(id, "t")).collect(), vec![]).unwrap();
        let all = Catalogue::concat([part(&[2, 155_320]), part(&[2, u32::MAX]), part(&[7])]).unwrap();
        let ids: Vec<u32> = all.tracks.iter().map(|t| t.id).collect();
        assert_eq!(ids, [2, 7, 155_320, 1_000_002, u32::MAX]);
        assert_eq!(Catalogue::concat([part(&[5])]).unwrap(), part(&[5]));
    }

    #[test]
    fn tidy_flattens_lines_controls_and_marks_of_direction() {
        assert_eq!(tidy("  one\r\n two\tthree\u{7}  "), "one two three");
        assert_eq!(tidy("\u{1b}[31mred\u{1b}[0m"), "[31mred [0m");
        assert_eq!(tidy("song\u{202e}3pm.exe\u{2066}!\u{9b}2J"), "song 3pm.exe ! 2J");
        // Arabic and Hebrew need no marks, and keep their letters.
        assert_eq!(tidy("فيروز - שלום"), "فيروز - שלום");
    }

    #[test]
    fn what_is_printed_of_a_source_steers_no_terminal() {
        let path = |name: &str| Source::File(PathBuf::from(name));
        assert_eq!(
            path("a/\u{1b}]0;title\u{7}b\n\u{202e}.mp3").to_string(),
            "a/\u{fffd}]0;title\u{fffd}b\u{fffd}\u{fffd}.mp3"
        );
        assert_eq!(path("Björk/Jóga – é.mp3").to_string(), "Björk/Jóga – é.mp3");
        // The file itself is found by its true name, and told apart from the one that prints alike.
        let catalogue =
            |name: &str| Catalogue::new(vec![Track { source: path(name), ..track(1, "t") }], vec![]).unwrap();
        assert_ne!(catalogue("a\u{7}").fingerprint(), catalogue("a\u{8}").fingerprint());
    }
}
