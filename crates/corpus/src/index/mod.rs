//! Building an index: every track's mel power, measured once and kept in Parquet.
//!
//! An index is a folder: `index.json` (what it is of), `shard-00000.parquet` and so on (one row per track), `rejected.csv`
//! (every entry left out, and why). While it is being built `staging/` holds the tracks whose shard is not full yet.
//! Every file appears by renaming, and every step may be the last before a kill: the next run keeps what is whole.

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

use crate::{CachedMel, Catalogue, CorpusError, Rejected, SoundOptions, Track};
use manifest::{Manifest, ShardEntry, write_atomically};
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
    let (manifest, staging) = open(catalogue, spec, dir, options)?;
    let builder = Builder { catalogue, options, dir, manifest: &manifest, staging: &staging, front: &front };
    let (entries, resumed, sound_seconds) = builder.run(progress)?;

    let mut rejected = catalogue.rejected.clone();
    for shard in 0..manifest.shard_count() {
        rejected.extend(shard::check(&dir.join(shard::file_name(shard)), &manifest, shard)?.0);
    }
    write_rejected(dir, &rejected)?;
    let indexed = entries.iter().map(|entry| entry.rows).sum();
    Manifest { shards: entries, complete: true, ..manifest }.write(dir)?;
    staging.close()?;
    Ok(IndexReport { indexed, rejected, resumed, sound_seconds, elapsed: start.elapsed() })
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

/// Finds or writes the manifest, takes the lock, and clears what a killed run left half-written.
fn open(
    catalogue: &Catalogue,
    spec: &FeatureSpec,
    dir: &Path,
    options: &IndexOptions,
) -> Result<(Manifest, Staging), CorpusError> {
    fs::create_dir_all(dir).map_err(CorpusError::io(dir, "create the index folder"))?;
    let wanted = Manifest::new(catalogue, spec, options);
    let exists = dir.join(manifest::FILE_NAME).exists();
    if exists {
        Manifest::read(dir)?.check_same_work(&wanted, dir)?;
    } else {
        refuse_foreign_files(dir)?;
    }
    let staging = Staging::open(dir)?;
    for entry in fs::read_dir(dir).map_err(CorpusError::io(dir, "list"))? {
        let path = entry.map_err(CorpusError::io(dir, "list"))?.path();
        if is_temporary(&path) {
            fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
        }
    }
    if !exists {
        wanted.write(dir)?;
    }
    Ok((wanted, staging))
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
    options: &'a IndexOptions,
    dir: &'a Path,
    manifest: &'a Manifest,
    staging: &'a Staging,
    front: &'a MelFrontEnd,
}

impl Builder<'_> {
    /// Finishes every shard; returns their entries, the tracks found finished, and the seconds of sound measured.
    fn run(&self, progress: &ProgressBar) -> Result<(Vec<ShardEntry>, usize, f64), CorpusError> {
        let total = self.catalogue.tracks.len();
        progress.set_length(total as u64);
        let shards = self.manifest.shard_count();
        let found: Vec<(Option<ShardEntry>, Vec<usize>)> =
            (0..shards).into_par_iter().map(|shard| self.survey(shard)).collect::<Result<_, _>>()?;
        let pending: Vec<usize> = found.iter().flat_map(|(_, pending)| pending).copied().collect();
        let remaining: Vec<AtomicUsize> = found.iter().map(|(_, pending)| AtomicUsize::new(pending.len())).collect();
        let resumed = total - pending.len();
        progress.set_position(resumed as u64);
        tracing::info!(total, resumed, "indexing");

        let seconds = Mutex::new(0.0);
        let entries: Vec<Mutex<Option<ShardEntry>>> = found.into_iter().map(|(entry, _)| Mutex::new(entry)).collect();
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
                self.staging.put(position, &outcome)?;
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
        let seconds = seconds.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok((entries.collect(), resumed, seconds))
    }

    fn positions(&self, shard: usize) -> std::ops::Range<usize> {
        let span = self.options.shard_tracks;
        shard * span..((shard + 1) * span).min(self.catalogue.tracks.len())
    }

    /// What an earlier run left of a shard: all of it, or the positions still to be measured.
    fn survey(&self, shard: usize) -> Result<(Option<ShardEntry>, Vec<usize>), CorpusError> {
        let path = self.dir.join(shard::file_name(shard));
        if path.exists() {
            if let Some(entry) = self.finished(&path, shard) {
                // A kill between the rename and here leaves the staged tracks behind.
                self.positions(shard).try_for_each(|position| self.staging.remove(position))?;
                return Ok((Some(entry), Vec::new()));
            }
            // Renamed into place but not whole: the disk lost it. Its tracks are measured again.
            fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
        }
        let mut pending = Vec::new();
        for position in self.positions(shard) {
            if self.staging.get(position)?.is_none() {
                pending.push(position);
            }
        }
        Ok((None, pending))
    }

    /// The entry of a shard that is there and whole.
    fn finished(&self, path: &Path, shard: usize) -> Option<ShardEntry> {
        let (rejected, rows) = shard::check(path, self.manifest, shard).ok()?;
        let bytes = fs::read(path).ok()?;
        (rows + rejected.len() == self.positions(shard).len()).then(|| shard::entry(shard, rows, &bytes))
    }

    /// Turns a shard's staged tracks into its Parquet file, then removes them. Does nothing where the shard exists.
    fn compact(&self, shard: usize, entry: &Mutex<Option<ShardEntry>>) -> Result<(), CorpusError> {
        let mut entry = lock(entry);
        if entry.is_some() {
            return Ok(());
        }
        let get = |position: usize| {
            let lost = || CorpusError::format(self.dir, "every staged track", "one removed or changed", "run it again");
            self.staging.get(position)?.ok_or_else(lost)
        };
        let entries = self.positions(shard).map(|position| {
            let track = &self.catalogue.tracks[position];
            Ok(match get(position)? {
                Outcome::Indexed { samples, mel } => Ok(Row { track: track.clone(), samples, mel }),
                Outcome::Rejected(reason) => Err(Rejected { source: track.source.clone(), id: Some(track.id), reason }),
            })
        });
        *entry = Some(shard::write(self.dir, self.manifest, shard, entries)?);
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
