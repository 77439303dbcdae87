//! A process that builds an index is killed at many moments; what it leaves is finished without redoing whole tracks.
//!
//! This test has no harness: with [`FOLDER`] in its environment it is the process that gets killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use indicatif::ProgressBar;
use sordino_audio::DecodeLimits;
use sordino_corpus::{Catalogue, IndexOptions, IndexReport, MelTable, SoundOptions, Source, Track, index, synth};
use sordino_front::FeatureSpec;

const TRACKS: u32 = 60;
/// Environment variable that names the folder to build in.
const FOLDER: &str = "SORDINO_KILL_TEST_FOLDER";

fn catalogue() -> Catalogue {
    synth::catalogue(TRACKS, 9)
}

fn build(dir: &Path) -> IndexReport {
    let limits = DecodeLimits { min_seconds: 1.0, ..DecodeLimits::default() };
    let sound = SoundOptions::default().with_limits(limits).with_synthetic_seconds(15.0);
    let spec = FeatureSpec::default();
    let options = IndexOptions::for_spec(&spec).with_sound(sound).with_shard_tracks(7);
    index::build(&catalogue(), &spec, dir, &options, &ProgressBar::hidden()).unwrap()
}

fn main() {
    if let Some(dir) = std::env::var_os(FOLDER) {
        build(Path::new(&dir));
        return;
    }
    let reference = tempfile::tempdir().unwrap();
    build(reference.path());

    let folder = tempfile::tempdir().unwrap();
    let mut finished: BTreeMap<PathBuf, SystemTime> = BTreeMap::new();
    let (mut kills, mut kept_staged) = (0, 0);
    // Ever later after up to three new tracks: the odd delays land in the middle of everything.
    while kill_after(folder.path(), kills % 4, Duration::from_micros(700 * kills as u64)) {
        kills += 1;
        let now = whole_files(folder.path());
        let lost: Vec<_> = finished.keys().filter(|file| !still_there(file, &now, folder.path())).collect();
        assert!(lost.is_empty(), "kill {kills} lost {lost:?}");
        let redone: Vec<_> =
            finished.iter().filter(|(file, time)| now.get(*file).is_some_and(|t| t != *time)).collect();
        assert!(redone.is_empty(), "kill {kills} redid {redone:?}");
        kept_staged += usize::from(now.keys().any(|file| file.extension().is_some_and(|e| e == "track")));
        finished = now;
    }
    println!("killed {kills} times, {kept_staged} times between a track and its shard");
    assert!(kills >= 4 && kept_staged >= 2, "the kills came too early or too late to mean anything");

    let report = build(folder.path());
    assert_eq!((report.indexed, report.resumed), (TRACKS as usize, TRACKS as usize));
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files.len(), 2 + (TRACKS as usize).div_ceil(7), "{files:?}");
    for file in files {
        let [ours, theirs] = [folder.path(), reference.path()].map(|dir| fs::read(dir.join(&file)).unwrap());
        assert!(ours == theirs, "{file:?} differs from an index built in one go");
    }
    assert_eq!(MelTable::open(folder.path()).unwrap().len(), TRACKS as usize);
    println!("test kill ... ok");
}

/// Builds in another process and kills that some time after a number of new tracks; `false` where it finished first.
fn kill_after(dir: &Path, tracks: usize, delay: Duration) -> bool {
    let tracks_of = |file: &PathBuf| if file.extension().is_some_and(|e| e == "track") { 1 } else { 7 };
    let count = || -> usize { whole_files(dir).keys().map(tracks_of).sum() };
    let enough = tracks + count();
    let mut builder = Builder(Command::new(std::env::current_exe().unwrap()).env(FOLDER, dir).spawn().unwrap());
    let mut reached = None;
    loop {
        if let Some(status) = builder.0.try_wait().unwrap() {
            assert!(status.success());
            return false;
        }
        if reached.is_none() && count() >= enough {
            reached = Some(Instant::now());
        }
        if reached.is_some_and(|time| time.elapsed() >= delay) {
            return true;
        }
        sleep(Duration::from_micros(200));
    }
}

/// The process that builds, ended without warning when dropped.
struct Builder(Child);

impl Drop for Builder {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// Shards and staged tracks under their final names, with the times of their writing.
fn whole_files(dir: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let list = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let whole = |path: &PathBuf| path.extension().is_some_and(|e| e == "track" || e == "parquet");
    // A running process may remove a file between its listing and this look at it.
    let timed = |path: PathBuf| Some((path.clone(), path.metadata().ok()?.modified().unwrap()));
    list(dir.to_owned()).chain(list(dir.join("staging"))).filter(whole).filter_map(timed).collect()
}

/// Whether a finished file was kept: as it is, or (a staged track) within its shard.
fn still_there(file: &Path, now: &BTreeMap<PathBuf, SystemTime>, dir: &Path) -> bool {
    // A composed track is staged under its seed.
    let seed = || u64::from_str_radix(file.file_stem()?.to_str()?, 16).ok();
    let is = |track: &Track| matches!(track.source, Source::Synthetic(own) if Some(own) == seed());
    let position = || catalogue().tracks.iter().position(is);
    let shard = |position: usize| dir.join(format!("shard-{:05}.parquet", position / 7));
    now.contains_key(file) || position().is_some_and(|position| now.contains_key(&shard(position)))
}
