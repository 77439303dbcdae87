//! [`Stamp`]: whether a file is still the one that was read.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalogue::hex;
use crate::{Catalogue, Source, Track};

/// A file's size and when it was last written, in seconds and nanoseconds since 1970: what `make` and `rsync` tell files apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp(pub(crate) u64, pub(crate) u64, pub(crate) u32);

impl Stamp {
    /// The stamp of a source; none for composed music, and for a file that is not there.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        let Source::File(path) = source else { return None };
        let found = std::fs::metadata(path).ok()?;
        let since = found.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Self(found.len(), since.as_secs(), since.subsec_nanos()))
    }
}

impl Catalogue {
    /// The stamp of a track's file: that which it had when its sound was hashed, where it was.
    pub(crate) fn stamp(&self, track: &Track) -> Option<Stamp> {
        self.sounds.get(&track.id).map_or_else(|| Stamp::of(&track.source), |(_, stamp)| *stamp)
    }

    /// [`Catalogue::fingerprint`], and of every file its size and when it was last written: a file replaced under the same
    /// name gives another one. Composed music alone gives the fingerprint itself.
    pub fn state(&self) -> String {
        let stamps: Vec<_> = self.tracks.iter().map(|track| Stamp::of(&track.source)).collect();
        let fingerprint = self.fingerprint();
        if stamps.iter().all(Option::is_none) {
            return fingerprint;
        }
        let mut hash = Sha256::new();
        hash.update(&fingerprint);
        for stamp in stamps {
            let Stamp(bytes, seconds, nanoseconds) = stamp.unwrap_or(Stamp(u64::MAX, 0, 0));
            hash.update(bytes.to_le_bytes());
            hash.update(seconds.to_le_bytes());
            hash.update(nanoseconds.to_le_bytes());
        }
        hex(&hash.finalize())
    }
}
