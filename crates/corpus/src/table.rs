//! [`MelTable`]: an index in memory.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sordino_front::{FeatureSpec, MelFrontEnd, MelPower};

use crate::catalogue::part;
use crate::index::manifest::Manifest;
use crate::index::measure;
use crate::index::shard::{self, Row};
use crate::{CachedMel, Catalogue, CorpusError, Rejected, SoundOptions, Track};

/// Gives the rows of a shard of an index.
type ReadShard<'a> = dyn Fn(&Path, &Manifest, usize) -> Result<Vec<Row>, CorpusError> + Sync + 'a;

/// Tracks with their mel power in float16 (120 KB for 30 s at the default spec; 3 GB for 25,000 of them). Cloning and selecting
/// share the mel power.
#[derive(Clone, Debug)]
pub struct MelTable {
    spec: FeatureSpec,
    tracks: Vec<Track>,
    mels: Vec<CachedMel>,
}

impl MelTable {
    /// Reads a complete index.
    ///
    /// # Errors
    /// [`CorpusError::Io`] for missing files; [`CorpusError::Format`] for an incomplete index and for shards that are
    /// truncated, changed, or of another index.
    pub fn open(dir: &Path) -> Result<Self, CorpusError> {
        Self::open_where(dir, |_| true)
    }

    /// Reads the tracks that `keep` accepts; memory holds those and, per thread, one shard.
    ///
    /// # Errors
    /// As [`MelTable::open`].
    pub fn open_where(dir: &Path, keep: impl Fn(&Track) -> bool + Sync) -> Result<Self, CorpusError> {
        let manifest = complete(dir)?;
        let shards: Vec<Vec<Row>> = (0..manifest.shard_count())
            .into_par_iter()
            .map(|shard| shard::read(dir, &manifest, shard, &keep))
            .collect::<Result<_, _>>()?;
        let (tracks, mels) = shards.into_iter().flatten().map(|row| (row.track, row.mel)).unzip();
        Ok(Self { spec: manifest.feature_spec, tracks, mels })
    }

    /// Reads several complete indexes as one library; ids are parted as [`Catalogue::concat`] parts them. With `limit`, only the
    /// first so many tracks, in the order of the indexes; shards behind them are not read.
    ///
    /// # Errors
    /// As [`MelTable::open`] and [`MelTable::concat`]; [`CorpusError::Setting`] for no index, or fewer tracks than `limit`.
    pub fn open_all<P: AsRef<Path>>(dirs: &[P], limit: Option<usize>) -> Result<Self, CorpusError> {
        let read = |dir: &Path, manifest: &Manifest, shard| shard::read(dir, manifest, shard, &|_| true);
        Ok(Self::joined(Self::indexes(dirs, limit, &read)?)?.sorted())
    }

    /// Several indexes, each as a table, with what `read` gives of every shard up to the last one wanted.
    fn indexes<P: AsRef<Path>>(
        dirs: &[P],
        limit: Option<usize>,
        read: &ReadShard<'_>,
    ) -> Result<Vec<Self>, CorpusError> {
        let mut left = limit.unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        for dir in dirs {
            let dir = dir.as_ref();
            let manifest = complete(dir)?;
            // What every shard still has to give; those behind the last one wanted are not read.
            let wanted = manifest.shards.iter().map(|entry| {
                let take = entry.rows.min(left);
                left -= take;
                take
            });
            let wanted: Vec<usize> = wanted.collect();
            let read = |(shard, &take): (usize, &usize)| {
                let rows = if take > 0 { read(dir, &manifest, shard)? } else { Vec::new() };
                Ok(rows.into_iter().take(take).collect())
            };
            let shards: Vec<Vec<Row>> = wanted.par_iter().enumerate().map(read).collect::<Result<_, CorpusError>>()?;
            let (tracks, mels) = shards.into_iter().flatten().map(|row| (row.track, row.mel)).unzip();
            parts.push(Self { spec: manifest.feature_spec, tracks, mels });
        }
        match limit {
            Some(limit) if left > 0 => Err(CorpusError::Setting {
                setting: "number of tracks",
                found: limit.to_string(),
                expected: format!("at most {}, as many as the indexes hold", limit - left),
            }),
            _ => Ok(parts),
        }
    }

    /// Reads the list of a library's tracks and the mel power of those that `wanted` says, which is given a position and the number of tracks: a
    /// part of a library that memory does not hold. Of other tracks the length is known. `limit` is as in [`MelTable::open_all`], and so is the order.
    ///
    /// # Errors
    /// As [`MelTable::open_all`].
    pub fn open_part<P: AsRef<Path>>(
        dirs: &[P],
        limit: Option<usize>,
        wanted: impl Fn(usize, usize) -> bool,
    ) -> Result<Self, CorpusError> {
        let parts = Self::indexes(dirs, limit, &shard::list)?;
        let lengths: Vec<usize> = parts.iter().map(Self::len).collect();
        let mut table = Self::joined(parts)?;
        let mut order: Vec<usize> = (0..table.len()).collect();
        order.sort_by_key(|&row| table.tracks[row].id);
        let of = table.len();
        let mut wanted: Vec<usize> = (0..of).filter(|&at| wanted(at, of)).map(|at| order[at]).collect();
        wanted.sort_unstable();
        let mut first = 0;
        for (dir, length) in dirs.iter().zip(lengths) {
            let own = &wanted
                [wanted.partition_point(|&row| row < first)..wanted.partition_point(|&row| row < first + length)];
            table.load(dir.as_ref(), first, own)?;
            first += length;
        }
        Ok(table.sorted())
    }

    /// Reads the mel power of some rows, ascending, of an index whose rows begin at `first`.
    fn load(&mut self, dir: &Path, first: usize, rows: &[usize]) -> Result<(), CorpusError> {
        let manifest = complete(dir)?;
        let mut starts = vec![first];
        for entry in &manifest.shards {
            starts.push(starts.last().map_or(0, |last| last + entry.rows));
        }
        let read = |(shard, start): (usize, &[usize])| {
            let own = &rows[rows.partition_point(|&row| row < start[0])..rows.partition_point(|&row| row < start[1])];
            if own.is_empty() {
                return Ok(Vec::new());
            }
            let found = shard::read(dir, &manifest, shard, &|_| true)?;
            let kept = found.into_iter().enumerate().map(|(row, found)| (start[0] + row, found.mel));
            Ok(kept.filter(|(row, _)| own.binary_search(row).is_ok()).collect())
        };
        let found: Vec<Vec<(usize, CachedMel)>> =
            starts.par_windows(2).enumerate().map(read).collect::<Result<_, CorpusError>>()?;
        found.into_iter().flatten().for_each(|(row, mel)| self.mels[row] = mel);
        Ok(())
    }

    /// Several tables as one library; ids are parted as [`Catalogue::concat`] parts them.
    ///
    /// # Errors
    /// [`CorpusError::Setting`] for no table, or tables of different specs; [`CorpusError::Catalogue`] for ids that do not fit.
    pub fn concat(parts: impl IntoIterator<Item = Self>) -> Result<Self, CorpusError> {
        Ok(Self::joined(parts)?.sorted())
    }

    /// Several tables one after another.
    fn joined(parts: impl IntoIterator<Item = Self>) -> Result<Self, CorpusError> {
        let mut parts = parts.into_iter();
        let mut all = parts.next().ok_or_else(|| CorpusError::Setting {
            setting: "number of indexes",
            found: "0".into(),
            expected: "at least 1".into(),
        })?;
        for mut next in parts {
            if next.spec != all.spec {
                return Err(CorpusError::Setting {
                    setting: "feature spec of an index",
                    found: format!("{:?}", next.spec),
                    expected: format!("{:?}, as in the first; index again with the same settings", all.spec),
                });
            }
            part(&all.tracks, &mut next.tracks)?;
            all.tracks.append(&mut next.tracks);
            all.mels.append(&mut next.mels);
        }
        Ok(all)
    }

    /// The same by ascending id.
    fn sorted(self) -> Self {
        let mut rows: Vec<(Track, CachedMel)> = self.tracks.into_iter().zip(self.mels).collect();
        rows.sort_by_key(|(track, _)| track.id);
        let (tracks, mels) = rows.into_iter().unzip();
        Self { spec: self.spec, tracks, mels }
    }

    /// Measures a catalogue straight into memory, without an index on disk, and lists the tracks refused.
    ///
    /// # Errors
    /// [`CorpusError::Spec`] and [`CorpusError::Catalogue`] for bad arguments.
    pub fn measure(
        catalogue: &Catalogue,
        spec: &FeatureSpec,
        sound: &SoundOptions,
    ) -> Result<(Self, Vec<Rejected>), CorpusError> {
        catalogue.validate()?;
        let front = MelFrontEnd::new(spec)?;
        let measured: Vec<Result<CachedMel, String>> = catalogue
            .tracks
            .par_iter()
            .map_init(|| front.scratch(), |scratch, track| Ok(measure(track, &front, scratch, sound)?.1))
            .collect();
        let mut table = Self { spec: spec.clone(), tracks: Vec::new(), mels: Vec::new() };
        let mut rejected = catalogue.rejected.clone();
        for (track, measured) in catalogue.tracks.iter().zip(measured) {
            match measured {
                Ok(mel) => {
                    table.tracks.push(track.clone());
                    table.mels.push(mel);
                }
                Err(reason) => rejected.push(Rejected { source: track.source.clone(), id: Some(track.id), reason }),
            }
        }
        Ok((table, rejected))
    }

    /// The same mel power under another spec: one that differs only in what happens after mel power is measured.
    ///
    /// # Errors
    /// [`CorpusError::Setting`] where the specs measure mel power differently, [`CorpusError::Spec`] for an invalid one.
    pub fn with_spec(self, spec: &FeatureSpec) -> Result<Self, CorpusError> {
        spec.validate()?;
        // Of a spec, these fields do not touch mel power.
        let measured = FeatureSpec {
            query_seconds: self.spec.query_seconds,
            log_floor: self.spec.log_floor,
            statistics: self.spec.statistics,
            ..spec.clone()
        };
        if measured != self.spec {
            return Err(CorpusError::Setting {
                setting: "feature spec",
                found: format!("{spec:?}"),
                expected: format!("mel power as in {:?}; index again for another", self.spec),
            });
        }
        Ok(Self { spec: spec.clone(), ..self })
    }

    /// Number of tracks.
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Whether there is no track.
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    /// The front end that measured it.
    pub fn spec(&self) -> &FeatureSpec {
        &self.spec
    }

    /// The tracks, by ascending id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The track at position `i`.
    ///
    /// # Panics
    /// Where `i` is not below [`MelTable::len`], as for a slice; the same holds for the methods below.
    pub fn track(&self, i: usize) -> &Track {
        &self.tracks[i]
    }

    /// Position of the track with this id.
    pub fn position(&self, id: u32) -> Option<usize> {
        self.tracks.binary_search_by_key(&id, |track| track.id).ok()
    }

    /// Frames of track `i`.
    pub fn frames(&self, i: usize) -> usize {
        self.mels[i].frames()
    }

    /// Mel power of track `i` as it is kept.
    pub fn cached(&self, i: usize) -> &CachedMel {
        &self.mels[i]
    }

    /// Mel power of track `i`, `[frames, bands]`.
    pub fn mel(&self, i: usize) -> MelPower {
        self.mels[i].mel()
    }

    /// Mel power of some frames of track `i`, or `None` where it does not have them.
    pub fn mel_frames(&self, i: usize, frames: Range<usize>) -> Option<MelPower> {
        self.mels[i].mel_frames(frames)
    }

    /// The tracks at these positions, in ascending order; positions beyond the end are ignored.
    pub fn select(&self, positions: &[usize]) -> Self {
        let mut positions: Vec<usize> = positions.iter().copied().filter(|&p| p < self.len()).collect();
        positions.sort_unstable();
        positions.dedup();
        Self {
            spec: self.spec.clone(),
            tracks: positions.iter().map(|&p| self.tracks[p].clone()).collect(),
            mels: positions.iter().map(|&p| self.mels[p].clone()).collect(),
        }
    }

    /// The tracks as a catalogue, for splits and queries.
    pub fn catalogue(&self) -> Catalogue {
        Catalogue { tracks: self.tracks.clone(), ..Catalogue::default() }
    }
}

/// The tracks of an index, shard by shard: memory holds one shard, whatever the library's size.
pub struct MelStream {
    dir: PathBuf,
    manifest: Manifest,
    shard: usize,
    rows: std::vec::IntoIter<Row>,
}

impl MelStream {
    /// Opens a complete index.
    ///
    /// # Errors
    /// As [`MelTable::open`], but shards are only checked when they are reached.
    pub fn open(dir: &Path) -> Result<Self, CorpusError> {
        Ok(Self { dir: dir.to_owned(), manifest: complete(dir)?, shard: 0, rows: Vec::new().into_iter() })
    }

    /// The front end that measured it.
    pub fn spec(&self) -> &FeatureSpec {
        &self.manifest.feature_spec
    }
}

impl Iterator for MelStream {
    type Item = Result<(Track, CachedMel), CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.next() {
                return Some(Ok((row.track, row.mel)));
            }
            if self.shard >= self.manifest.shard_count() {
                return None;
            }
            let shard = self.shard;
            self.shard += 1;
            match shard::read(&self.dir, &self.manifest, shard, &|_| true) {
                Ok(rows) => self.rows = rows.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn complete(dir: &Path) -> Result<Manifest, CorpusError> {
    let manifest = Manifest::read(dir)?;
    if manifest.complete {
        return Ok(manifest);
    }
    let advice = "run the same index command again: it continues where it stopped";
    Err(CorpusError::format(dir, "a complete index", "one that was interrupted", advice))
}
