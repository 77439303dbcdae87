//! Building an index: every track's mel power, measured once and kept in Parquet.
//!
//! An index is a folder: `index.json` (what it is of), `shard-00000.parquet` and so on (one row per track), `rejected.csv`
//! (every entry left out, and why), and of a folder of music `sounds.csv` (which file holds which recording). While it is being
//! built `staging/` holds the tracks whose shard is not full yet. Every file appears by renaming, and every step may be the last
//! before a kill: the next run keeps what is whole. Whole is a shard whose hash is the one it was written with, and whose tracks'
//! files have the size and the time that they had then; what is damaged, and what was replaced, is measured again.
//!
//! A library that has changed is indexed into the same folder: what is new or another sound is measured, what is gone is dropped,
//! and the files are those of an index made anew.

mod adoption;
mod columns;
pub(crate) mod manifest;
pub(crate) mod shard;
mod staging;

use std::fs;
use std::ops::Range;
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
use crate::{CachedMel, Catalogue, CorpusError, Part, Rejected, SoundOptions, Sounds, Source, Track};
use adoption::{Adopted, Adoption};
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
    /// Tracks of an earlier run that the catalogue does not list any more.
    pub gone: usize,
    /// Shards of an earlier run that are not what was written, or of which that is not known: their tracks were read again.
    pub damaged: usize,
    /// Seconds of sound measured by this run.
    pub sound_seconds: f64,
    /// Wall-clock time of this run.
    pub elapsed: Duration,
}

/// Measures every track of the catalogue on all threads of the current rayon pool and writes the index to `dir`, finishes what an
/// earlier run began there, or brings an index of an earlier state of the library up to date. The files depend on the arguments
/// alone, not on threads, interruptions or what was there before.
///
/// `progress` gets the number of tracks as its length and advances by one a track; pass [`ProgressBar::hidden`] for none.
/// Memory: per thread one decoded track and one row group (32 MB, or one track if that is more).
///
/// # Errors
/// A track never is: it is rejected. [`CorpusError::Format`] where `dir` holds an index of other settings or of a library that has
/// nothing in common with this one, or other files;
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
    check(catalogue, options)?;
    let front = MelFrontEnd::new(spec)?;
    progress.set_length(catalogue.tracks.len() as u64);
    let stamps: Vec<Option<Stamp>> = catalogue.tracks.par_iter().map(|track| catalogue.stamp(track)).collect();
    let wanted = Indexed { catalogue, stamps: &stamps };
    let heard = Sounds::read(dir);
    let Opened { manifest, earlier, staging, adopted } = open(wanted, spec, dir, options, &heard)?;
    let adoption = Adoption::new(wanted, &heard, &staging);
    let builder = Builder {
        catalogue,
        stamps: &stamps,
        options,
        dir,
        manifest: &manifest,
        earlier: &earlier,
        staging: &staging,
        adoption: &adoption,
        front: &front,
    };
    let Done { entries, resumed, replaced, damaged, sound_seconds } =
        builder.run(0..manifest.shard_count(), progress)?;

    let mut rejected = catalogue.rejected.clone();
    for (shard, entry) in entries.iter().enumerate() {
        rejected.extend(shard::check(&dir.join(shard::file_name(shard)), &manifest, shard, entry)?.rejected);
    }
    write_rejected(dir, &rejected)?;
    let indexed = entries.iter().map(|entry| entry.rows).sum();
    Manifest { shards: entries, complete: true, ..manifest }.write(dir)?;
    staging.close()?;
    let (replaced, gone) = (replaced + adopted.replaced, adopted.gone);
    Ok(IndexReport { indexed, rejected, resumed, replaced, gone, damaged, sound_seconds, elapsed: start.elapsed() })
}

/// Measures the tracks of a part of the catalogue into an index that several processes build at once, each on its part, on any machine that has
/// the folder. When all have, [`build`] finishes it: the files are those of one run. A part that was interrupted goes on where it was.
///
/// # Errors
/// As [`build`]; [`CorpusError::Format`] for an index that is complete or of another library: that one is brought up to date in one run.
pub fn build_part(
    catalogue: &Catalogue,
    spec: &FeatureSpec,
    dir: &Path,
    options: &IndexOptions,
    part: Part,
    progress: &ProgressBar,
) -> Result<IndexReport, CorpusError> {
    let start = Instant::now();
    check(catalogue, options)?;
    let front = MelFrontEnd::new(spec)?;
    let manifest = Manifest::new(catalogue, spec, options);
    let shards = {
        let count = manifest.shard_count();
        part.number() * count / part.of()..(part.number() + 1) * count / part.of()
    };
    let stamps: Vec<Option<Stamp>> = catalogue.tracks.par_iter().map(|track| catalogue.stamp(track)).collect();
    let wanted = Indexed { catalogue, stamps: &stamps };
    fs::create_dir_all(dir).map_err(CorpusError::io(dir, "create the index folder"))?;
    let begun = || dir.join(manifest::FILE_NAME).exists();
    let foreign = if begun() { Ok(()) } else { refuse_foreign_files(dir) };
    // Another part may have begun meanwhile.
    match begun() {
        true => {
            let earlier = Manifest::read(dir)?;
            earlier.check_same_settings(&manifest, dir)?;
            if earlier.complete || earlier.catalogue != manifest.catalogue {
                let expected = "an unfinished index of the same library, or an empty folder".to_owned();
                let found = if earlier.complete { "a complete index" } else { "one of another library" }.to_owned();
                let advice = "bring it up to date in one run, without a part";
                return Err(CorpusError::format(&dir.join(manifest::FILE_NAME), expected, found, advice));
            }
        }
        false => {
            foreign?;
            // Every part would write the same.
            manifest.write(dir)?;
            Sounds::write(catalogue, dir)?;
        }
    }
    let (staging, heard) = (Staging::open_part(dir, part)?, Sounds::default());
    let adoption = Adoption::new(wanted, &heard, &staging);
    let builder = Builder {
        catalogue,
        stamps: &stamps,
        options,
        dir,
        manifest: &manifest,
        earlier: &None,
        staging: &staging,
        adoption: &adoption,
        front: &front,
    };
    progress.set_length(shards.clone().map(|shard| builder.positions(shard).len() as u64).sum());
    let Done { entries, resumed, replaced, damaged, sound_seconds } = builder.run(shards.clone(), progress)?;
    let mut rejected = Vec::new();
    for (shard, entry) in shards.zip(&entries) {
        rejected.extend(shard::check(&dir.join(shard::file_name(shard)), &manifest, shard, entry)?.rejected);
    }
    let indexed = entries.iter().map(|entry| entry.rows).sum();
    Ok(IndexReport { indexed, rejected, resumed, replaced, gone: 0, damaged, sound_seconds, elapsed: start.elapsed() })
}

/// Refuses what no index can be made of.
fn check(catalogue: &Catalogue, options: &IndexOptions) -> Result<(), CorpusError> {
    if !(1..=65_536).contains(&options.shard_tracks) {
        return Err(CorpusError::Setting {
            setting: "tracks per shard",
            found: options.shard_tracks.to_string(),
            expected: "1 to 65,536".into(),
        });
    }
    catalogue.validate()
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

/// The tracks that an index is to hold.
#[derive(Clone, Copy)]
struct Indexed<'a> {
    catalogue: &'a Catalogue,
    /// What the tracks' files are now, before any is measured: one that is replaced meanwhile is read again by the next run.
    stamps: &'a [Option<Stamp>],
}

/// An index that may be worked on.
struct Opened {
    /// What is wanted.
    manifest: Manifest,
    /// The manifest that was there, if it was of the same catalogue.
    earlier: Option<Manifest>,
    staging: Staging,
    /// What became of the tracks of another catalogue.
    adopted: Adopted,
}

/// Finds or writes the manifest, takes the lock, and clears what a killed run left half-written. Of an index of another catalogue
/// the tracks are staged that this one lists too.
fn open(
    wanted: Indexed<'_>,
    spec: &FeatureSpec,
    dir: &Path,
    options: &IndexOptions,
    heard: &Sounds,
) -> Result<Opened, CorpusError> {
    fs::create_dir_all(dir).map_err(CorpusError::io(dir, "create the index folder"))?;
    let manifest = Manifest::new(wanted.catalogue, spec, options);
    let mut earlier = match dir.join(manifest::FILE_NAME).exists() {
        true => Some(Manifest::read(dir)?),
        false => None,
    };
    match &earlier {
        Some(earlier) => earlier.check_same_settings(&manifest, dir)?,
        None => refuse_foreign_files(dir)?,
    }
    let staging = Staging::open(dir)?;
    for entry in fs::read_dir(dir).map_err(CorpusError::io(dir, "list"))? {
        let path = entry.map_err(CorpusError::io(dir, "list"))?.path();
        if is_temporary(&path) {
            fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
        }
    }
    let other = earlier.take_if(|earlier| earlier.catalogue != manifest.catalogue);
    let adoption = Adoption::new(wanted, heard, &staging);
    let adopted = match &other {
        Some(other) => adopt(other, dir, &adoption, &staging)?,
        None => Adopted::default(),
    };
    if earlier.is_none() {
        manifest.write(dir)?;
    }
    if let Some(other) = &other {
        for shard in 0..other.shard_count() {
            remove_shard(dir, shard)?;
            staging.remove_entry(shard)?;
        }
    }
    Sounds::write(wanted.catalogue, dir)?;
    Ok(Opened { manifest, earlier, staging, adopted })
}

/// Stages what is still wanted of an index of another catalogue, and changes nothing of it.
fn adopt(other: &Manifest, dir: &Path, adoption: &Adoption<'_>, staging: &Staging) -> Result<Adopted, CorpusError> {
    let stage = |shard: usize| {
        let path = dir.join(shard::file_name(shard));
        let Some(entry) = other.shards.get(shard).cloned().or_else(|| staging.entry(shard)) else {
            return Adopted::default();
        };
        adoption.stage(&path, other, shard, &entry).unwrap_or_else(|error| {
            tracing::warn!(%error, "a shard of the earlier index cannot be used; its tracks are measured again");
            Adopted::default()
        })
    };
    let adopted: Adopted = (0..other.shard_count()).into_par_iter().map(stage).sum();
    if adopted.kept == 0 && adopted.replaced + adopted.gone > 0 {
        let expected = "an index that has a track in common with this library".to_owned();
        let found = format!("one of {} other tracks", other.listed);
        let advice = "index into another folder, or delete this one";
        return Err(CorpusError::format(&dir.join(manifest::FILE_NAME), expected, found, advice));
    }
    tracing::info!(?adopted, "the library has changed");
    Ok(adopted)
}

fn remove_shard(dir: &Path, shard: usize) -> Result<(), CorpusError> {
    let path = dir.join(shard::file_name(shard));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CorpusError::io(&path, "remove")(error)),
        _ => Ok(()),
    }
}

/// Without a manifest a folder may hold what a run killed in its first moments leaves, and nothing else.
fn refuse_foreign_files(dir: &Path) -> Result<(), CorpusError> {
    for entry in fs::read_dir(dir).map_err(CorpusError::io(dir, "list"))? {
        let path = entry.map_err(CorpusError::io(dir, "list"))?.path();
        let ours =
            path.file_name().is_some_and(|name| name == "staging") || is_temporary(&path) || Staging::is_of_part(&path);
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
    stamps: &'a [Option<Stamp>],
    options: &'a IndexOptions,
    dir: &'a Path,
    manifest: &'a Manifest,
    /// The manifest of an earlier run.
    earlier: &'a Option<Manifest>,
    staging: &'a Staging,
    adoption: &'a Adoption<'a>,
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
    /// As it was written, but files of its tracks have been touched since.
    Stale(ShardEntry),
    /// As it should be.
    Whole(ShardEntry),
}

impl Builder<'_> {
    /// Finishes some neighbouring shards.
    fn run(&self, shards: Range<usize>, progress: &ProgressBar) -> Result<Done, CorpusError> {
        let total: usize = shards.clone().map(|shard| self.positions(shard).len()).sum();
        let first = shards.start;
        let standing: Vec<Standing> = shards.clone().into_par_iter().map(|shard| self.standing(shard)).collect();
        self.reopen(&standing)?;
        let damaged = standing.iter().filter(|standing| matches!(standing, Standing::Damaged)).count();
        let surveyed = |(shard, standing)| self.survey(first + shard, standing);
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
        shards.into_par_iter().try_for_each(|shard| {
            let done = remaining[shard - first].load(Ordering::Acquire) == 0;
            if done { self.compact(shard, &entries[shard - first]) } else { Ok(()) }
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
                self.staging.put(&track.source, self.stamps[position], &outcome)?;
                if let Outcome::Indexed { samples, .. } = &outcome {
                    *lock(&seconds) += *samples as f64 / f64::from(self.front.spec().sample_rate);
                }
                progress.inc(1);
                let shard = position / self.options.shard_tracks;
                match remaining[shard - first].fetch_sub(1, Ordering::AcqRel) {
                    1 => self.compact(shard, &entries[shard - first]),
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

    fn source(&self, position: usize) -> &Source {
        &self.catalogue.tracks[position].source
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
                if then == now { Standing::Whole(entry) } else { Standing::Stale(entry) }
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
                self.positions(shard).try_for_each(|position| self.staging.remove(self.source(position)))?;
                return Ok((Some(entry), Vec::new(), 0));
            }
            Standing::Damaged => {
                tracing::warn!(shard = %path.display(), "the shard is damaged; its tracks are measured again");
                fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
            }
            Standing::Stale(entry) => {
                replaced = self.adoption.stage(&path, self.manifest, shard, &entry)?.replaced;
                fs::remove_file(&path).map_err(CorpusError::io(&path, "remove"))?;
            }
        }
        let mut pending = Vec::new();
        for position in self.positions(shard) {
            if self.staging.get(self.source(position), self.stamps[position])?.is_none() {
                pending.push(position);
            }
        }
        Ok((None, pending, replaced))
    }

    /// Turns a shard's staged tracks into its Parquet file, then removes them. Does nothing where the shard exists.
    fn compact(&self, shard: usize, entry: &Mutex<Option<ShardEntry>>) -> Result<(), CorpusError> {
        let mut entry = lock(entry);
        if entry.is_some() {
            return Ok(());
        }
        let get = |position: usize| {
            let lost = || CorpusError::format(self.dir, "every staged track", "one removed or changed", "run it again");
            self.staging.get(self.source(position), self.stamps[position])?.ok_or_else(lost)
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
        self.positions(shard).try_for_each(|position| self.staging.remove(self.source(position)))
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
