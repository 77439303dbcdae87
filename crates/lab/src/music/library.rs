//! [`LibrarySettings`]: a library by its make-up, and how it is put together from recorded and composed tracks.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sordino_corpus::{Catalogue, Holdout, IndexOptions, MelTable, excerpts, folds, index, split_unknown, synth};
use sordino_front::FeatureSpec;

use super::Music;
use crate::{LabError, Monitor};

/// Seed of composed music: always the same, so that its index is made once.
const COMPOSER: u64 = 1;
/// Seed of what is left out.
const SEED: u64 = 1;

/// A library by its make-up; the sources say where its tracks come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LibrarySettings {
    /// Number of tracks.
    pub(crate) tracks: usize,
    /// At most so many of them are asked about: the real ones first.
    pub(crate) asked: usize,
    /// Share of the asked tracks that is left out, to be reported unknown.
    pub(crate) unknown: f32,
    /// Which fold of how many is left out.
    pub(crate) fold: Option<(usize, usize)>,
}

impl LibrarySettings {
    /// Which fold this is, 0 without folds: every fold draws what it asks anew.
    pub(crate) fn draw(&self) -> usize {
        self.fold.map_or(0, |(fold, _)| fold)
    }

    /// How many tracks are asked about at most, and how many of those are left out: of folds every asked track is left out once, so the
    /// asked tracks may be more than the library holds.
    pub(crate) fn at_most(&self) -> (usize, usize) {
        match self.fold {
            Some((_, folds)) => {
                let asked = self.asked.min((self.tracks * folds).div_ceil(folds - 1));
                (asked, asked.div_ceil(folds))
            }
            None => {
                let asked = self.asked.min(self.tracks);
                (asked, (self.unknown * asked as f32).round() as usize)
            }
        }
    }
}

/// A library, put together, and the tracks that are asked about.
pub(crate) struct Placement {
    /// The library's tracks.
    pub(crate) table: MelTable,
    /// Tracks that are asked about, whether or not they are in the library.
    pub(crate) asked: Catalogue,
    /// Recorded tracks in the library.
    pub(crate) recorded: usize,
}

/// Indexes on disk.
pub(crate) struct LibraryStore<'a> {
    music: &'a Music,
    folder: PathBuf,
    /// Tracks of the largest library of the run.
    largest: usize,
    monitor: &'a dyn Monitor,
}

impl<'a> LibraryStore<'a> {
    /// A store in `folder` for libraries of at most `largest` tracks.
    pub(crate) fn new(music: &'a Music, folder: &Path, largest: usize, monitor: &'a dyn Monitor) -> Self {
        Self { music, folder: folder.to_owned(), largest, monitor }
    }

    /// Puts a library together, measuring what has not been measured yet. It holds no excerpt of a song that is left out, and every asked
    /// track that is not: so it may be some tracks smaller or larger than it should be.
    pub(crate) fn place(&self, library: &LibrarySettings) -> Result<Placement, LabError> {
        let (asked, unknown) = library.at_most();
        let table = self.table(library.tracks + unknown)?;
        let catalogue = table.catalogue();
        let recorded = |catalogue: &Catalogue| catalogue.tracks.iter().filter(|t| !t.source.is_composed()).count();
        let from = match recorded(&catalogue) {
            0 => table.len(),
            recorded => recorded,
        };
        let count = asked.min(from);
        let positions: Vec<usize> = (0..count).map(|i| i * from / count.max(1)).collect();
        let asked = catalogue.select(&positions);
        let left_out = match library.fold {
            Some((fold, of)) => asked.select(&folds(&asked, of, SEED)?[fold].unknown),
            None => split_unknown(&asked, Holdout::Fraction(library.unknown), SEED)?.1,
        };
        let table = table.select(&known(&catalogue, &left_out, &positions, library.tracks));
        let recorded = recorded(&table.catalogue());
        Ok(Placement { table, asked, recorded })
    }

    /// The first `tracks` of all: recorded ones, then composed ones.
    fn table(&self, tracks: usize) -> Result<MelTable, LabError> {
        let spec = FeatureSpec::default();
        let (mut folders, mut recorded) = (Vec::new(), 0);
        let recordings = &self.music.recorded;
        if !recordings.tracks.is_empty() {
            let folder = self.folder.join(format!("recorded-{}", &recordings.fingerprint()[..12]));
            recorded = self.index(recordings, &spec, &folder, "indexing")?;
            folders.push(folder);
        }
        if tracks > recorded {
            // Once for all sizes of the run.
            let folder = self.composed_folder(self.largest.max(tracks) - recorded);
            let count = count_of(&folder).unwrap_or(tracks);
            self.index(&synth::catalogue(count as u32, COMPOSER), &spec, &folder, "composing")?;
            folders.push(folder);
        }
        Ok(MelTable::open_all(&folders, Some(tracks))?)
    }

    /// The smallest index of enough composed tracks, or the folder for one.
    fn composed_folder(&self, tracks: usize) -> PathBuf {
        let listed = std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let enough = listed.filter_map(|path| Some((count_of(&path)?, path))).filter(|(count, _)| *count >= tracks);
        enough.min().map_or_else(|| self.folder.join(format!("{COMPOSED}{tracks}")), |(_, path)| path)
    }

    /// Builds or finishes an index and says how many tracks it holds.
    fn index(
        &self,
        catalogue: &Catalogue,
        spec: &FeatureSpec,
        folder: &Path,
        what: &'static str,
    ) -> Result<usize, LabError> {
        let bar = self.monitor.bar(catalogue.tracks.len() as u64, what);
        let report = index::build(catalogue, spec, folder, &IndexOptions::for_spec(spec), &bar)?;
        bar.finish_and_clear();
        Ok(report.indexed)
    }
}

const COMPOSED: &str = "composed-";

/// Tracks of an index of composed music, by its folder's name.
fn count_of(folder: &Path) -> Option<usize> {
    folder.file_name()?.to_str()?.strip_prefix(COMPOSED)?.parse().ok()
}

/// The positions of a library of `tracks` tracks in a catalogue: no excerpt of a song that is left out, all others of those at `asked`, and
/// so many more.
fn known(catalogue: &Catalogue, left_out: &Catalogue, asked: &[usize], tracks: usize) -> Vec<usize> {
    let left_out = excerpts(catalogue, left_out);
    let mut known: Vec<usize> = (0..catalogue.tracks.len()).filter(|i| left_out.binary_search(i).is_err()).collect();
    let not_asked = known.iter().rev().copied().filter(|i| asked.binary_search(i).is_err());
    let surplus: HashSet<usize> = not_asked.take(known.len().saturating_sub(tracks)).collect();
    known.retain(|i| !surplus.contains(i));
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_holds_no_excerpt_of_what_is_left_out_and_everything_else_that_is_asked() {
        let mut catalogue = synth::catalogue(12, 1);
        for (position, track) in catalogue.tracks.iter_mut().enumerate() {
            (track.artist, track.album) = ("A".into(), "B".into());
            track.title = format!("Song {} ({}/2)", position / 2, position % 2 + 1);
        }
        let asked = [0, 3, 6, 9, 11];
        let known = |left_out: &[usize], tracks| known(&catalogue, &catalogue.select(left_out), &asked, tracks);
        assert_eq!(known(&[3], 12), [0, 1, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(known(&[3], 7), [0, 1, 4, 5, 6, 9, 11]);
        assert_eq!(known(&[3], 2), [0, 6, 9, 11]);
        assert_eq!(known(&[], 12).len(), 12);
    }
}
