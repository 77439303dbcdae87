//! [`Adoption`]: what an earlier shard holds, staged for the tracks of this catalogue that it still is of.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::Indexed;
use super::manifest::{Manifest, ShardEntry};
use super::shard;
use super::staging::{Outcome, Staging};
use crate::sounds::Sound;
use crate::stamp::Stamp;
use crate::{CorpusError, Sounds, Source};

/// Finds the tracks of a catalogue that earlier entries are of: the same file that has not been touched since, or the same sound
/// under whatever name.
pub(super) struct Adoption<'a> {
    wanted: Indexed<'a>,
    staging: &'a Staging,
    by_source: HashMap<&'a Source, usize>,
    by_sound: BTreeMap<&'a Sound, Vec<usize>>,
    /// What the earlier ids sounded like.
    heard: BTreeMap<u32, &'a Sound>,
}

/// What became of earlier entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Adopted {
    /// Entries that are of a track of this catalogue.
    pub(super) kept: usize,
    /// Entries whose file holds another sound by now.
    pub(super) replaced: usize,
    /// Entries that this catalogue does not list, a further copy of a sound among them.
    pub(super) gone: usize,
}

impl std::iter::Sum for Adopted {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            kept: a.kept + b.kept,
            replaced: a.replaced + b.replaced,
            gone: a.gone + b.gone,
        })
    }
}

impl<'a> Adoption<'a> {
    pub(super) fn new(wanted: Indexed<'a>, heard: &'a Sounds, staging: &'a Staging) -> Self {
        let tracks = &wanted.catalogue.tracks;
        let mut by_sound: BTreeMap<&Sound, Vec<usize>> = BTreeMap::new();
        for (position, track) in tracks.iter().enumerate() {
            if let Some((sound, _)) = wanted.catalogue.sounds.get(&track.id) {
                by_sound.entry(sound).or_default().push(position);
            }
        }
        let by_source = tracks.iter().enumerate().map(|(position, track)| (&track.source, position)).collect();
        Self { wanted, staging, by_source, by_sound, heard: heard.by_id() }
    }

    /// Stages what is still wanted of a whole shard.
    pub(super) fn stage(
        &self,
        path: &Path,
        manifest: &Manifest,
        shard: usize,
        entry: &ShardEntry,
    ) -> Result<Adopted, CorpusError> {
        let footer = shard::check(path, manifest, shard, entry)?;
        let rows = shard::read_as(path, manifest, shard, entry, &|_| true)?;
        let rows = rows.into_iter().map(|row| {
            let outcome = Outcome::Indexed { samples: row.samples, mel: row.mel };
            (row.track.id, row.track.source, outcome)
        });
        let refused = footer.rejected.into_iter().filter_map(|entry| {
            let outcome = Outcome::Rejected(entry.reason);
            entry.id.map(|id| (id, entry.source, outcome))
        });
        let mut entries: Vec<(u32, Source, Outcome)> = rows.chain(refused).collect();
        entries.sort_by_key(|(id, ..)| *id);
        let stamps = footer.stamps.into_iter().chain(std::iter::repeat(None));
        let mut adopted = Adopted::default();
        for ((id, source, outcome), stamp) in entries.into_iter().zip(stamps) {
            let positions = self.positions(id, &source, stamp);
            for &position in &positions {
                let track = &self.wanted.catalogue.tracks[position];
                self.staging.put(&track.source, self.wanted.stamps[position], &outcome)?;
            }
            let there = self.by_source.contains_key(&source);
            let listed = self.wanted.catalogue.tracks.binary_search_by_key(&id, |track| track.id).is_ok();
            // An index of 0.1.0 does not say what the files were.
            *match positions.is_empty() {
                true if there && stamp.is_some() => &mut adopted.replaced,
                false if there || listed => &mut adopted.kept,
                _ => &mut adopted.gone,
            } += 1;
        }
        Ok(adopted)
    }

    /// Positions of the tracks that an earlier entry is of.
    fn positions(&self, id: u32, source: &Source, stamp: Option<Stamp>) -> Vec<usize> {
        let untouched = |position: &usize| self.wanted.stamps[*position] == stamp;
        let there = self.by_source.get(source).copied().filter(untouched);
        let sound = self.heard.get(&id).and_then(|sound| self.by_sound.get(*sound));
        let elsewhere = sound.into_iter().flatten().copied();
        let mut positions: Vec<usize> = there.into_iter().chain(elsewhere).collect();
        if positions.is_empty() && stamp.is_some() {
            // FMA's ids are the files' names: the same one, as large and as old, is the same file in another folder.
            let tracks = &self.wanted.catalogue.tracks;
            let same_id = tracks.binary_search_by_key(&id, |track| track.id).ok().filter(untouched);
            positions.extend(same_id.filter(|&position| file_name(&tracks[position].source) == file_name(source)));
        }
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

fn file_name(source: &Source) -> Option<&std::ffi::OsStr> {
    match source {
        Source::File(path) => path.file_name(),
        Source::Synthetic(_) => None,
    }
}
