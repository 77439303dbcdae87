//! [`Sounds`]: which recording a file holds, and the id that follows from it.
//!
//! A recording is told by a hash of its sound as it was encoded. Tags, covers, the file's name and its place do not count, so a
//! library keeps its ids when it is moved, renamed, sorted into folders or tagged anew. Another encoding is another sound here;
//! that it is the same recording is found by ear, as `sordino_learn::songs` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sordino_audio::encoded_sound;

use crate::catalogue::hex;
use crate::files::write_beside_others;
use crate::stamp::Stamp;
use crate::{Catalogue, CorpusError, Source, ids};

/// Name of the list within an index.
const FILE_NAME: &str = "sounds.csv";
/// How much is looked at of a file that holds no sound.
const HEAD_BYTES: u64 = 1 << 20;

/// A recording: the first 128 bits of the SHA-256 of its encoded sound.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sound(String);

impl Sound {
    /// Reads the file without decoding it. A file that holds no sound has a hash of its beginning: it needs an id until it is
    /// rejected.
    fn of(path: &Path) -> Self {
        let mut hash = Sha256::new();
        if encoded_sound(path, |packet| hash.update(packet)).is_err() {
            let mut head = Vec::new();
            _ = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
            hash = Sha256::new_with_prefix(head);
        }
        Self(hex(&hash.finalize()[..16]))
    }

    /// The id that it has where no other sound has taken it: one of 3.3 thousand million, so that two among 25,000 recordings
    /// meet once in eleven libraries.
    fn id(&self) -> u32 {
        let number = u64::from_str_radix(self.0.get(..16).unwrap_or_default(), 16).unwrap_or(0);
        ids::FIRST + (number % (u64::from(u32::MAX - ids::FIRST) + 1)) as u32
    }
}

/// A file that was read, what it was then, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    pub(crate) id: u32,
    pub(crate) sound: Sound,
    bytes: u64,
    seconds: u64,
    nanoseconds: u32,
    path: PathBuf,
}

/// What the files of an index were when it was made: a file that has not been touched since need not be read for its id.
#[derive(Clone, Debug, Default)]
pub struct Sounds(BTreeMap<PathBuf, Heard>);

impl Sounds {
    /// The list that an index keeps. One that is missing or damaged is empty, which costs time and nothing else.
    pub fn read(index: &Path) -> Self {
        let list = |path: &Path| -> Result<BTreeMap<PathBuf, Heard>, csv::Error> {
            let heard = csv::Reader::from_path(path)?.into_deserialize();
            heard.map(|heard| heard.map(|heard: Heard| (heard.path.clone(), heard))).collect()
        };
        Self(list(&index.join(FILE_NAME)).unwrap_or_default())
    }

    /// Writes the list of a catalogue into its index. A catalogue without files from a folder has none.
    pub(crate) fn write(catalogue: &Catalogue, index: &Path) -> Result<(), CorpusError> {
        let path = index.join(FILE_NAME);
        if catalogue.sounds.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(CorpusError::io(&path, "remove")(error))
                }
                _ => Ok(()),
            };
        }
        write_beside_others(&path, |file| {
            let mut writer = csv::Writer::from_writer(file);
            for track in &catalogue.tracks {
                let (Some((sound, stamp)), Source::File(path)) = (catalogue.sounds.get(&track.id), &track.source)
                else {
                    continue;
                };
                let Some(&Stamp(bytes, seconds, nanoseconds)) = stamp.as_ref() else { continue };
                let (id, sound, path) = (track.id, sound.clone(), path.clone());
                writer.serialize(Heard { id, sound, bytes, seconds, nanoseconds, path })?;
            }
            writer.flush()
        })
    }

    /// What a file holds and what it is now: from the list where it has not been touched since, or read.
    pub(crate) fn of(&self, path: &Path) -> (Sound, Option<Stamp>) {
        let stamp = Stamp::of(&Source::File(path.to_owned()));
        let known = self.0.get(path).filter(|heard| stamp == Some(heard.stamp()));
        (known.map_or_else(|| Sound::of(path), |heard| heard.sound.clone()), stamp)
    }

    /// The recording that had an id.
    pub(crate) fn by_id(&self) -> BTreeMap<u32, &Sound> {
        self.0.values().map(|heard| (heard.id, &heard.sound)).collect()
    }

    /// Ids for files, each with its sound: what is on the list keeps its id, wherever the file is by now. Anything else has the
    /// id of its sound, or the next one that is free: copies of one sound follow each other, in the order of the files.
    pub(crate) fn ids(&self, files: &[(&Path, &Sound)]) -> Vec<u32> {
        let mut found: Vec<Option<u32>> = files
            .iter()
            .map(|&(path, sound)| self.0.get(path).filter(|heard| heard.sound == *sound).map(|heard| heard.id))
            .collect();
        let mut taken: BTreeSet<u32> = found.iter().flatten().copied().collect();
        let mut moved: BTreeMap<&Sound, Vec<u32>> = BTreeMap::new();
        for heard in self.0.values().filter(|heard| !taken.contains(&heard.id)) {
            moved.entry(&heard.sound).or_default().push(heard.id);
        }
        let mut order: Vec<usize> = (0..files.len()).filter(|&file| found[file].is_none()).collect();
        order.sort_by_key(|&file| (files[file].1, file));
        // Those that were there first, so that nothing new takes their ids.
        for &file in &order {
            let left = moved.get_mut(files[file].1).filter(|left| !left.is_empty());
            found[file] = left.map(|left| left.remove(0)).filter(|&id| taken.insert(id));
        }
        for file in order {
            found[file].get_or_insert_with(|| ids::free(files[file].1.id(), &mut taken));
        }
        found.into_iter().flatten().collect()
    }
}

impl Heard {
    fn stamp(&self) -> Stamp {
        Stamp(self.bytes, self.seconds, self.nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(number: u64) -> Sound {
        Sound(format!("{number:016x}{:016x}", 0))
    }

    #[test]
    fn ids_follow_from_the_sound_and_stay() {
        let (a, b, c) = (sound(5), sound(9), sound(5 + (1 << 32) - u64::from(ids::FIRST)));
        let files = |list: &[(&'static str, &Sound)]| -> Vec<(PathBuf, Sound)> {
            list.iter().map(|&(path, sound)| (path.into(), sound.clone())).collect()
        };
        let given = |known: &Sounds, files: &[(PathBuf, Sound)]| {
            known.ids(&files.iter().map(|(path, sound)| (path.as_path(), sound)).collect::<Vec<_>>())
        };
        let known = |files: &[(PathBuf, Sound)], ids: &[u32]| {
            let heard = files.iter().zip(ids).map(|((path, sound), &id)| {
                let heard =
                    Heard { id, sound: sound.clone(), bytes: 1, seconds: 2, nanoseconds: 3, path: path.clone() };
                (path.clone(), heard)
            });
            Sounds(heard.collect())
        };
        // Two copies of one sound, another one whose id would be the same, and one by itself.
        let there = files(&[("1", &b), ("2", &a), ("3", &c), ("4", &a)]);
        let first = given(&Sounds::default(), &there);
        assert_eq!(first, [ids::FIRST + 9, ids::FIRST + 5, ids::FIRST + 7, ids::FIRST + 6]);
        let known = known(&there, &first);
        // One copy is gone, the rest under other names: every id stays with its sound, the one that had to give way too.
        let later = files(&[("x", &c), ("y", &b), ("z", &a)]);
        assert_eq!(given(&known, &later), [ids::FIRST + 7, ids::FIRST + 9, ids::FIRST + 5]);
        // A file whose sound is another one by now is another track.
        assert_eq!(given(&known, &files(&[("1", &sound(40)), ("5", &b)])), [ids::FIRST + 40, ids::FIRST + 9]);
    }
}
