//! [`Staging`]: finished tracks between the worker that measured them and the shard that will hold them, and the hashes of
//! shards until the manifest has them.
//!
//! One small file per track, named after its source, written whole and renamed into place. It begins with the hash of the rest, so
//! that what a kill or a power cut may have left half-written is recognised and measured again. So is a track whose file is
//! another one by now.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use sha2::{Digest, Sha256};

use super::manifest::ShardEntry;
use crate::catalogue::hex;
use crate::files::{temporary, write_atomically};
use crate::stamp::Stamp;
use crate::{CachedMel, CorpusError, Part, Source};

/// What became of one track.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Measured.
    Indexed {
        /// Length in samples.
        samples: u64,
        /// Its mel power.
        mel: CachedMel,
    },
    /// Refused, for this reason.
    Rejected(String),
}

/// First bytes of a staged file; the digit is the format's version.
const MAGIC: [u8; 8] = *b"sordmel2";
const HASH_BYTES: usize = 32;
/// The file whose lock is held.
const LOCK: &str = "lock";

/// What the folder of a part is called before its number.
const OF_PART: &str = "staging-";

/// The folder of staged tracks, locked for this process.
pub(crate) struct Staging {
    folder: PathBuf,
    /// Held for its lock, which the system frees however the process ends.
    _lock: File,
}

impl Staging {
    /// Opens or creates the folder and takes its lock. What parts have staged is taken over.
    pub(crate) fn open(index: &Path) -> Result<Self, CorpusError> {
        let staging = Self::locked(index, index.join("staging"))?;
        for entry in fs::read_dir(index).map_err(CorpusError::io(index, "list"))? {
            let folder = entry.map_err(CorpusError::io(index, "list"))?.path();
            if Self::is_of_part(&folder) {
                staging.take_over(Self::locked(index, folder)?)?;
            }
        }
        Ok(staging)
    }

    /// The same for a part of the library, beside those of others.
    pub(crate) fn open_part(index: &Path, part: Part) -> Result<Self, CorpusError> {
        Self::locked(index, index.join(format!("{OF_PART}{}-of-{}", part.number() + 1, part.of())))
    }

    /// Whether a folder of an index is one of [`Staging::open_part`].
    pub(crate) fn is_of_part(folder: &Path) -> bool {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(OF_PART))
    }

    /// Moves everything that another folder holds here.
    fn take_over(&self, other: Self) -> Result<(), CorpusError> {
        for entry in fs::read_dir(&other.folder).map_err(CorpusError::io(&other.folder, "list"))? {
            let path = entry.map_err(CorpusError::io(&other.folder, "list"))?.path();
            if let Some(name) = path.file_name().filter(|name| *name != LOCK) {
                fs::rename(&path, self.folder.join(name)).map_err(CorpusError::io(&path, "move"))?;
            }
        }
        other.close()
    }

    fn locked(index: &Path, folder: PathBuf) -> Result<Self, CorpusError> {
        fs::create_dir_all(&folder).map_err(CorpusError::io(&folder, "create"))?;
        let path = folder.join(LOCK);
        let lock = File::create(&path).map_err(CorpusError::io(&path, "create"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(CorpusError::format(
                index,
                "a folder that nobody else is indexing into",
                "another running index",
                "wait for it, or index into another folder",
            )),
            Err(TryLockError::Error(error)) => Err(CorpusError::io(&path, "lock")(error)),
        }
    }

    fn path(&self, source: &Source) -> PathBuf {
        let name = match source {
            Source::File(path) => hex(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..16]),
            Source::Synthetic(seed) => format!("{seed:016x}"),
        };
        self.folder.join(format!("{name}.track"))
    }

    /// Stores the outcome of a track whose file has this stamp.
    pub(crate) fn put(&self, source: &Source, stamp: Option<Stamp>, outcome: &Outcome) -> Result<(), CorpusError> {
        let body = encode(stamp, outcome);
        let path = self.path(source);
        let unfinished = temporary(&path);
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(&MAGIC)?;
            file.write_all(&Sha256::digest(&body))?;
            file.write_all(&body)?;
            // Not synced: after a power cut the hash tells, and one track is measured again.
            fs::rename(&unfinished, &path)
        };
        write().map_err(CorpusError::io(&path, "write"))
    }

    /// Reads a staged outcome; `None` where there is no whole one, or only one of another file.
    pub(crate) fn get(&self, source: &Source, stamp: Option<Stamp>) -> Result<Option<Outcome>, CorpusError> {
        let path = self.path(source);
        match fs::read(&path) {
            Ok(bytes) => Ok(verified(&bytes).and_then(|body| decode(body, stamp))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CorpusError::io(&path, "read")(error)),
        }
    }

    fn hash_path(&self, shard: usize) -> PathBuf {
        self.folder.join(format!("shard-{shard:05}.json"))
    }

    /// Keeps the hash of a shard until the manifest has it. Called before the shard gets its name, so that none is without.
    pub(crate) fn put_entry(&self, shard: usize, entry: &ShardEntry) -> Result<(), CorpusError> {
        let path = self.hash_path(shard);
        let json = serde_json::to_vec(entry).map_err(|e| CorpusError::io(&path, "write")(std::io::Error::other(e)))?;
        write_atomically(&path, |file| file.write_all(&json))
    }

    /// The hash that a shard of an unfinished index should have, if it is known.
    pub(crate) fn entry(&self, shard: usize) -> Option<ShardEntry> {
        serde_json::from_slice(&fs::read(self.hash_path(shard)).ok()?).ok()
    }

    /// Removes a staged outcome once its shard is in place.
    pub(crate) fn remove(&self, source: &Source) -> Result<(), CorpusError> {
        Self::remove_file(&self.path(source))
    }

    /// Forgets the hash of a shard that is no longer wanted.
    pub(crate) fn remove_entry(&self, shard: usize) -> Result<(), CorpusError> {
        Self::remove_file(&self.hash_path(shard))
    }

    fn remove_file(path: &Path) -> Result<(), CorpusError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CorpusError::io(path, "remove")(error)),
            _ => Ok(()),
        }
    }

    /// Removes the folder when the index is complete.
    pub(crate) fn close(self) -> Result<(), CorpusError> {
        fs::remove_dir_all(&self.folder).map_err(CorpusError::io(&self.folder, "remove"))
    }
}

fn verified(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (hash, body) = rest.split_at_checked(HASH_BYTES)?;
    (Sha256::digest(body)[..] == *hash).then_some(body)
}

/// Little-endian: 0, or 1 and the stamp (u64, u64, u32); then 0 and the reason; or 1, samples (u64), frames (u32), bands (u32), mean power (f32), logarithms (f16).
fn encode(stamp: Option<Stamp>, outcome: &Outcome) -> Vec<u8> {
    let mut body = encode_stamp(stamp);
    match outcome {
        Outcome::Rejected(reason) => {
            body.push(0);
            body.extend(reason.as_bytes());
        }
        Outcome::Indexed { samples, mel } => {
            body.reserve(21 + 2 * mel.logs().len());
            body.push(1);
            body.extend(samples.to_le_bytes());
            body.extend((mel.frames() as u32).to_le_bytes());
            body.extend((mel.bands() as u32).to_le_bytes());
            body.extend(mel.mean_power().to_le_bytes());
            body.extend(mel.logs().reinterpret_cast().iter().flat_map(|bits: &u16| bits.to_le_bytes()));
        }
    }
    body
}

fn encode_stamp(stamp: Option<Stamp>) -> Vec<u8> {
    let mut bytes = vec![u8::from(stamp.is_some())];
    if let Some(Stamp(length, seconds, nanoseconds)) = stamp {
        bytes.extend(length.to_le_bytes());
        bytes.extend(seconds.to_le_bytes());
        bytes.extend(nanoseconds.to_le_bytes());
    }
    bytes
}

fn decode(body: &[u8], stamp: Option<Stamp>) -> Option<Outcome> {
    let body = body.strip_prefix(encode_stamp(stamp).as_slice())?;
    let (&kind, body) = body.split_first()?;
    if kind == 0 {
        return Some(Outcome::Rejected(String::from_utf8(body.to_vec()).ok()?));
    }
    let (samples, body) = body.split_first_chunk::<8>()?;
    let (frames, body) = body.split_first_chunk::<4>()?;
    let (bands, body) = body.split_first_chunk::<4>()?;
    let (mean_power, body) = body.split_first_chunk::<4>()?;
    let (pairs, _) = body.as_chunks::<2>();
    let logs: Arc<[f16]> = pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect();
    let (frames, bands) = (u32::from_le_bytes(*frames) as usize, u32::from_le_bytes(*bands) as usize);
    let mel = CachedMel::from_parts(frames, bands, f32::from_le_bytes(*mean_power), logs).ok()?;
    Some(Outcome::Indexed { samples: u64::from_le_bytes(*samples), mel })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use sordino_front::MelPower;

    use super::*;

    const THREE: Source = Source::Synthetic(3);
    const STAMP: Option<Stamp> = Some(Stamp(1, 2, 3));

    fn indexed() -> Outcome {
        let mel = MelPower(Array2::from_shape_fn((7, 4), |(t, b)| 1.0 + (t * 4 + b) as f32));
        Outcome::Indexed { samples: 2_816, mel: CachedMel::new(&mel) }
    }

    #[test]
    fn outcomes_come_back_and_half_written_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::open(folder.path()).unwrap();
        staging.put(&THREE, STAMP, &indexed()).unwrap();
        staging.put(&Source::File("4.wav".into()), None, &Outcome::Rejected("too short".into())).unwrap();
        assert_eq!(staging.get(&THREE, STAMP).unwrap(), Some(indexed()));
        assert_eq!(
            staging.get(&Source::File("4.wav".into()), None).unwrap(),
            Some(Outcome::Rejected("too short".into()))
        );
        assert_eq!(staging.get(&Source::Synthetic(5), None).unwrap(), None);

        for other in [None, Some(Stamp(1, 2, 4)), Some(Stamp(0, 2, 3))] {
            assert_eq!(staging.get(&THREE, other).unwrap(), None, "another file by now");
        }

        let path = staging.path(&THREE);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(staging.get(&THREE, STAMP).unwrap(), None, "{length} bytes");
        }
        let mut flipped = whole.clone();
        flipped[60] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert_eq!(staging.get(&THREE, STAMP).unwrap(), None);
    }

    #[test]
    fn one_index_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Staging::open(folder.path()).unwrap();
        assert!(matches!(Staging::open(folder.path()), Err(CorpusError::Format { .. })));
        drop(first);
        assert!(Staging::open(folder.path()).is_ok());
    }
}
