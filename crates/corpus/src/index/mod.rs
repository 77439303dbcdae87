//! Building an index: every track's mel power, measured once and kept in Parquet.
//!
//! An index is a folder: `index.json` (what it is of), `shard-00000.parquet` and so on (one row per track), `rejected.csv`
//! (every entry left out, and why). While it is being built `staging/` holds the tracks whose shard is not full yet.
//! Every file appears by renaming, and every step may be the last before a kill: the next run keeps what is whole.
//! Whole is a shard whose hash is the one it was written with, and whose tracks' files have the size and the time that they had
//! then; what is damaged, and what was replaced, is measured again.

mod columns;
pub(crate) mod manifest;
pub(crate) mod shard;
mod staging;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use rayon::prelude::*;
use sordino_audio::DecodeLimits;
use sordino_front::{FeatureSpec, MelFrontEnd, MelScratch};

use crate::files::write_atomically;
use crate::stamp::Stamp;
use crate::{CachedMel, Catalogue, CorpusError, Rejected, SoundOptions, Track};
use manifest::{Manifest, ShardEntry};
use shard::Row;
use staging::{Outcome, Staging};

/// Settings of an index.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IndexOptions {
    /// How sound is read and what is refused.
    pub sound: SoundOptions,
    /// Catalogue entries per shard.
    pub shard_tracks: usize,
}

impl IndexOptions {
    /// Tracks at least one query long, 128 to a shard (15 MB of 30-s clips).
    pub fn for_spec(spec: &FeatureSpec) -> Self {
        let sound = SoundOptions { limits: DecodeLimits::for_spec(spec), ..SoundOptions::default() };
        Self { sound, shard_tracks: 128 }
    }

    /// The same with sound read in another way.
    #[must_use]
    pub fn with_sound(self, sound: SoundOptions) -> Self {
        Self { sound, ..self }
    }

    /// The same with as many catalogue entries a shard, 1 to 65,536.
    #[must_use]
    pub fn with_shard_tracks(self, shard_tracks: usize) -> Self {
        Self { shard_tracks, ..self }
    }
}

/// What a run of [`build`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexReport {
    /// Tracks in the index.
    pub indexed: usize,
    /// Entries left out: the catalogue's, then those found while reading, by catalogue position.
    pub rejected: Vec<Rejected>,
    /// Tracks (indexed or rejected) that an earlier run had finished.
    pub resumed: usize,
    /// Tracks that an earlier run had finished and whose file has been replaced since: they were read again.
    pub replaced: usize,
    /// Shards of an earlier run that are not what was written, or of which that is not known: their tracks were read again.
    pub damaged: usize,
    /// Seconds of sound measured by this run.
    pub sound_seconds: f64,
    /// Wall-clock time of this run.
    pub elapsed: Duration,
}

/// Measures every track of the catalogue on all threads of the current rayon pool and writes the index to `dir`, or
/// finishes what an earlier run began there. The files depend on the arguments alone, not on threads or interruptions.
///
/// `progress` gets the number of tracks as its length and advances by one a track; pass [`ProgressBar::hidden`] for none.
/// Memory: per thread one decoded track and one row group (32 MB, or one track if that is more).
///
/// # Errors
/// A track never is: it is rejected. [`CorpusError::Format`] where `dir` holds an index of something else, or other files;
/// [`CorpusError::Io`] where it cannot be written; [`CorpusError::Spec`], [`CorpusError::Setting`] and
/// [`CorpusError::Catalogue`] for bad arguments.
pub fn build(
    catalogue: &Catalogue,
    spec: &FeatureSpec,
    dir: &Path,
    options: &IndexOptions,
    progress: &ProgressBar,
) -> Result<IndexReport, CorpusError> {
    let start = Instant::now();
    if !(1..=65_536).contains(&options.shard_tracks) {
        return Err(CorpusError::Setting {
            setting: "tracks per shard",
            found: options.shard_tracks.to_string(),
            expected: "1 to 65,536".into(),
        });
    }
    catalogue.validate()?;
    let front = MelFrontEnd::new(spec)?;
    let (manifest, earlier, staging) = open(catalogue, spec, dir, options)?;
    let stamps: Vec<Option<Stamp>> = catalogue.tracks.par_iter().map(|track| Stamp::of(&track.source)).collect();
    let builder = Builder {
        catalogue,
        stamps: &stamps,
        options,
        dir,
        manifest: &manifest,
        earlier: &earlier,
        staging: &staging,
        front: &front,
    };
    let Done { entries, resumed, replaced, damaged, sound_seconds } = builder.run(progress)?;

    let mut rejected = catalogue.rejected.clone();
    for (shard, entry) in entries.iter().enumerate() {
        rejected.extend(shard::check(&dir.join(shard::file_name(shard)), &manifest, shard, entry)?.rejected);
    }
    write_rejected(dir, &rejected)?;
    let indexed = entries.iter().map(|entry| entry.rows).sum();
    Manifest { shards: entries, complete: true, ..manifest }.write(dir)?;
    staging.close()?;
    Ok(IndexReport { indexed, rejected, resumed, replaced, damaged, sound_seconds, elapsed: start.elapsed() })
}

/// Mel power of one track, as [`build`] measures it.
///
/// # Errors
/// The reason in a sentence, fit for [`Rejected`].
pub(crate) fn measure(
    track: &Track,
    front: &MelFrontEnd,
    scratch: &mut MelScratch,
    sound: &SoundOptions,
) -> Result<(u64, CachedMel), String> {
    let samples = track.samples(front.spec().sample_rate, sound)?;
    let mel = front.mel_power_with(&samples.data, scratch);
    if mel.frames() == 0 {
        return Err(format!("too short: {:.3} s give no frame", samples.seconds()));
    }
    Ok((samples.data.len() as u64, CachedMel::new(&mel)))
}

/// Finds or writes the manifest, takes the lock, and clears what a killed run left half-written. Returns the manifest that is
/// wanted, and the one that was there.
fn open(
    catalogue: &Catalogue,
    spec: &FeatureSpec,
    dir: &Path,
    options: &IndexOptions,
) -> Result<(Manifest, Option<Manifest>, Staging), CorpusError> {
    fs::create_dir_all(dir).map_err(CorpusError::io(dir, "create the index folder"))?;
    let wanted = Manifest::new(catalogue, spec, options);
    let earlier = match dir.join(manifest::FILE_NAME).exists() {
        true => Some(Manifest::read(dir)?),
        false => None,
    };
    match &earlier {
        Some(earlier) => earlier.check_same_work(&wanted, dir)?,
        None => refuse_foreign_files(dir)?,
    }
    let staging = Staging::open(dir)?;
    for entry in fs::read_dir(dir).map_err(CorpusError::io(dir, "list"))? {
        let path = entry.map_err(CorpusError::io(dir, "list"))?.path();
        if is_temporary(&path) {
            fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
        }
    }
    if earlier.is_none() {
        wanted.write(dir)?;
    }
    Ok((wanted, earlier, staging))
}

/// Without a manifest a folder may hold what a run killed in its first moments leaves, and nothing else.
fn refuse_foreign_files(dir: &Path) -> Result<(), CorpusError> {
    for entry in fs::read_dir(dir).map_err(CorpusError::io(dir, "list"))? {
        let path = entry.map_err(CorpusError::io(dir, "list"))?.path();
        let ours = path.file_name().is_some_and(|name| name == "staging") || is_temporary(&path);
        if !ours {
            let found = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(CorpusError::format(dir, "an empty folder or an index", found, "index into another folder"));
        }
    }
    Ok(())
}

fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

struct Builder<'a> {
    catalogue: &'a Catalogue,
    /// What the tracks' files are now, before any is read: one that is replaced meanwhile is read again by the next run.
    stamps: &'a [Option<Stamp>],
    options: &'a IndexOptions,
    dir: &'a Path,
    manifest: &'a Manifest,
    /// The manifest of an earlier run.
    earlier: &'a Option<Manifest>,
    staging: &'a Staging,
    front: &'a MelFrontEnd,
}

/// What a run came to.
struct Done {
    entries: Vec<ShardEntry>,
    resumed: usize,
    replaced: usize,
    damaged: usize,
    sound_seconds: f64,
}

/// How a shard of an earlier run stands.
enum Standing {
    /// Not there.
    Absent,
    /// There, and not what was written, or nobody knows what was.
    Damaged,
    /// As it was written, but files of its tracks have been replaced since. Holds what the files were.
    Stale(ShardEntry, Vec<Option<Stamp>>),
    /// As it should be.
    Whole(ShardEntry),
}

impl Builder<'_> {
    /// Finishes every shard.
    fn run(&self, progress: &ProgressBar) -> Result<Done, CorpusError> {
        let total = self.catalogue.tracks.len();
        progress.set_length(total as u64);
        let shards = self.manifest.shard_count();
        let standing: Vec<Standing> = (0..shards).into_par_iter().map(|shard| self.standing(shard)).collect();
        self.reopen(&standing)?;
        let damaged = standing.iter().filter(|standing| matches!(standing, Standing::Damaged)).count();
        let surveyed = |(shard, standing)| self.survey(shard, standing);
        let found: Vec<(Option<ShardEntry>, Vec<usize>, usize)> =
            standing.into_par_iter().enumerate().map(surveyed).collect::<Result<_, _>>()?;
        let replaced = found.iter().map(|(.., replaced)| replaced).sum();
        let pending: Vec<usize> = found.iter().flat_map(|(_, pending, _)| pending).copied().collect();
        let remaining: Vec<AtomicUsize> = found.iter().map(|(_, pending, _)| AtomicUsize::new(pending.len())).collect();
        let resumed = total - pending.len();
        progress.set_position(resumed as u64);
        tracing::info!(total, resumed, replaced, damaged, "indexing");

        let seconds = Mutex::new(0.0);
        let entries: Vec<Mutex<Option<ShardEntry>>> = found.into_iter().map(|(entry, ..)| Mutex::new(entry)).collect();
        // Shards whose tracks were all staged when the last run was killed.
        (0..shards).into_par_iter().try_for_each(|shard| {
            if remaining[shard].load(Ordering::Acquire) == 0 { self.compact(shard, &entries[shard]) } else { Ok(()) }
        })?;
        // In order: neighbouring tracks finish together, so few shards are open at a time.
        pending.into_iter().par_bridge().try_for_each_init(
            || self.front.scratch(),
            |scratch, position| {
                let track = &self.catalogue.tracks[position];
                let outcome = match measure(track, self.front, scratch, &self.options.sound) {
                    Ok((samples, mel)) => Outcome::Indexed { samples, mel },
                    Err(reason) => {
                        tracing::warn!(id = track.id, source = %track.source, reason, "track rejected");
                        Outcome::Rejected(reason)
                    }
                };
                self.staging.put(position, self.stamps[position], &outcome)?;
                if let Outcome::Indexed { samples, .. } = &outcome {
                    *lock(&seconds) += *samples as f64 / f64::from(self.front.spec().sample_rate);
                }
                progress.inc(1);
                let shard = position / self.options.shard_tracks;
                match remaining[shard].fetch_sub(1, Ordering::AcqRel) {
                    1 => self.compact(shard, &entries[shard]),
                    _ => Ok(()),
                }
            },
        )?;
        let entries = entries.into_iter().filter_map(|entry| entry.into_inner().unwrap_or_else(|e| e.into_inner()));
        let sound_seconds = seconds.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(Done { entries: entries.collect(), resumed, replaced, damaged, sound_seconds })
    }

    fn positions(&self, shard: usize) -> std::ops::Range<usize> {
        let span = self.options.shard_tracks;
        shard * span..((shard + 1) * span).min(self.catalogue.tracks.len())
    }

    /// How an earlier run left a shard. Changes nothing.
    fn standing(&self, shard: usize) -> Standing {
        let path = self.dir.join(shard::file_name(shard));
        if !path.exists() {
            return Standing::Absent;
        }
        // Of an unfinished index, the hash was kept beside the staged tracks.
        let listed = self.earlier.as_ref().and_then(|earlier| earlier.shards.get(shard).cloned());
        let Some(entry) = listed.or_else(|| self.staging.entry(shard)) else { return Standing::Damaged };
        let positions = self.positions(shard);
        match shard::check(&path, self.manifest, shard, &entry) {
            Ok(footer) if footer.rows == entry.rows && footer.rows + footer.rejected.len() == positions.len() => {
                let now = &self.stamps[positions.clone()];
                let mut then = footer.stamps;
                then.resize(positions.len(), None);
                if then == now { Standing::Whole(entry) } else { Standing::Stale(entry, then) }
            }
            _ => Standing::Damaged,
        }
    }

    /// Marks a complete index as unfinished before anything of it is changed, and keeps the hashes that its manifest had.
    fn reopen(&self, standing: &[Standing]) -> Result<(), CorpusError> {
        let Some(earlier) = self.earlier.as_ref().filter(|earlier| earlier.complete) else { return Ok(()) };
        if standing.iter().all(|standing| matches!(standing, Standing::Whole(_))) {
            return Ok(());
        }
        for (shard, entry) in earlier.shards.iter().enumerate() {
            self.staging.put_entry(shard, entry)?;
        }
        self.manifest.write(self.dir)
    }

    /// Keeps what is good of a shard: all of it, or the tracks of those files that are still the same. Returns the positions
    /// that are to be measured, and how many of them had been measured before their file was replaced.
    fn survey(&self, shard: usize, standing: Standing) -> Result<(Option<ShardEntry>, Vec<usize>, usize), CorpusError> {
        let path = self.dir.join(shard::file_name(shard));
        let mut replaced = 0;
        match standing {
            Standing::Absent => {}
            Standing::Whole(entry) => {
                // A kill between the rename and here leaves the staged tracks behind.
                self.positions(shard).try_for_each(|position| self.staging.remove(position))?;
                return Ok((Some(entry), Vec::new(), 0));
            }
            Standing::Damaged => {
                tracing::warn!(shard = %path.display(), "the shard is damaged; its tracks are measured again");
                fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
            }
            Standing::Stale(entry, stamps) => {
                replaced = self.unpack(shard, &path, &entry, &stamps)?;
                fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
            }
        }
        let mut pending = Vec::new();
        for position in self.positions(shard) {
            if self.staging.get(position, self.stamps[position])?.is_none() {
                pending.push(position);
            }
        }
        Ok((None, pending, replaced))
    }

    /// Stages the tracks of a shard again whose files are the same as then; returns how many have been replaced.
    fn unpack(
        &self,
        shard: usize,
        path: &Path,
        entry: &ShardEntry,
        stamps: &[Option<Stamp>],
    ) -> Result<usize, CorpusError> {
        let refused = shard::check(path, self.manifest, shard, entry)?.rejected;
        let rows = shard::read_as(path, self.manifest, shard, entry, &|_| true)?;
        let mut replaced = 0;
        for (position, &stamp) in self.positions(shard).zip(stamps) {
            if stamp != self.stamps[position] {
                // An index of 0.1.0 does not say what the files were.
                replaced += usize::from(stamp.is_some());
                continue;
            }
            let id = self.catalogue.tracks[position].id;
            let row = rows.binary_search_by_key(&id, |row| row.track.id).ok().map(|place| &rows[place]);
            let outcome = match (row, refused.iter().find(|entry| entry.id == Some(id))) {
                (Some(Row { samples, mel, .. }), _) => Outcome::Indexed { samples: *samples, mel: mel.clone() },
                (None, Some(entry)) => Outcome::Rejected(entry.reason.clone()),
                (None, None) => continue,
            };
            self.staging.put(position, stamp, &outcome)?;
        }
        Ok(replaced)
    }

    /// Turns a shard's staged tracks into its Parquet file, then removes them. Does nothing where the shard exists.
    fn compact(&self, shard: usize, entry: &Mutex<Option<ShardEntry>>) -> Result<(), CorpusError> {
        let mut entry = lock(entry);
        if entry.is_some() {
            return Ok(());
        }
        let get = |position: usize| {
            let lost = || CorpusError::format(self.dir, "every staged track", "one removed or changed", "run it again");
            self.staging.get(position, self.stamps[position])?.ok_or_else(lost)
        };
        let entries = self.positions(shard).map(|position| {
            let track = &self.catalogue.tracks[position];
            Ok(match get(position)? {
                Outcome::Indexed { samples, mel } => Ok(Row { track: track.clone(), samples, mel }),
                Outcome::Rejected(reason) => Err(Rejected { source: track.source.clone(), id: Some(track.id), reason }),
            })
        });
        let stamps = &self.stamps[self.positions(shard)];
        let announce = |entry: &ShardEntry| self.staging.put_entry(shard, entry);
        *entry = Some(shard::write(self.dir, self.manifest, shard, stamps, entries, announce)?);
        self.positions(shard).try_for_each(|position| self.staging.remove(position))
    }
}

/// A lock held by a thread that panicked guards plain values here: they are as good as before.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// `rejected.csv`: id (may be empty), source, reason.
fn write_rejected(dir: &Path, rejected: &[Rejected]) -> Result<(), CorpusError> {
    write_atomically(&dir.join("rejected.csv"), |file| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(["id", "source", "reason"])?;
        for entry in rejected {
            let id = entry.id.map(|id| id.to_string()).unwrap_or_default();
            writer.write_record([id, entry.source.to_string(), entry.reason.clone()])?;
        }
        writer.flush()
    })
}
