//! `sordino index`: decodes a library and caches its mel power.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use sordino_corpus::{IndexOptions, IndexReport, MelTable, Part, Sounds, index};
use sordino_front::FeatureSpec;
use sordino_learn::sound::songs;
use sordino_model::files::write_file;

use crate::library::LibraryArgs;
use crate::report::{self, say};

/// Decode a library and cache its mel power as Parquet. A run that was killed goes on where it was; a library that has changed is
/// brought up to date by the same command, and only what is new is decoded.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino index --music ~/Music --out runs/index\n  \
    sordino index --fma fma_medium --metadata fma_metadata/tracks.csv --subset medium --out runs/fma\n  \
    sordino index --synth 5000 --out runs/composed\n  \
    sordino index --synth 5000 --out runs/composed --part 1/4\n  \
    sordino index --fma fma_small --metadata fma_metadata/tracks.csv --subset small --synth 17000 --out runs/mixed")]
pub(crate) struct Index {
    #[command(flatten)]
    library: LibraryArgs,
    /// Folder to write the index to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Length of a query in seconds: clips that are shorter are rejected.
    #[arg(long, default_value_t = 10.0, value_name = "S")]
    query_seconds: f32,
    /// Index this part alone, one of so many, beside other processes that index theirs into the same folder. When all are done, the same
    /// command without it finishes the index.
    #[arg(long, value_name = "I/N")]
    part: Option<Part>,
}

/// What a part came to.
#[derive(Serialize)]
struct PartOutcome {
    part: String,
    tracks: usize,
    resumed: usize,
    rejected: usize,
    seconds: f64,
}

#[derive(Serialize)]
struct Outcome {
    index: PathBuf,
    tracks: usize,
    resumed: usize,
    replaced: usize,
    gone: usize,
    damaged: usize,
    /// Tracks of one recording, by the ids of the first and of every other one.
    copies: Vec<Vec<u32>>,
    rejected: Vec<String>,
    sound_hours: f64,
    seconds: f64,
    times_real_time: f64,
}

impl Index {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let spec = FeatureSpec { query_seconds: self.query_seconds, ..FeatureSpec::default() };
        let catalogue = self.library.catalogue(&Sounds::read(&self.out))?;
        anyhow::ensure!(!catalogue.tracks.is_empty(), "there is no track to index: expected sound files there");
        let bar = report::bar(catalogue.tracks.len() as u64, "indexing");
        if let Some(part) = self.part {
            let done = index::build_part(&catalogue, &spec, &self.out, &IndexOptions::for_spec(&spec), part, &bar)?;
            bar.finish_and_clear();
            let outcome = PartOutcome {
                part: part.to_string(),
                tracks: done.indexed,
                resumed: done.resumed,
                rejected: done.rejected.len(),
                seconds: done.elapsed.as_secs_f64(),
            };
            return report::print(json, &outcome, |o| {
                say!(
                    "part {}: {} tracks, {} rejected, in {:.1} s; when all parts are done: the same without --part",
                    o.part,
                    o.tracks,
                    o.rejected,
                    o.seconds
                );
            });
        }
        let done = index::build(&catalogue, &spec, &self.out, &IndexOptions::for_spec(&spec), &bar)?;
        bar.finish_and_clear();
        let table = MelTable::open(&self.out)?;
        let copies = copies(&table);
        write_copies(&self.out, &table, &copies)?;
        report::print(json, &outcome(self.out, &done, &table, &copies), |o| {
            say!(
                "{} tracks ({} files read by an earlier run), {:.1} h of sound in {:.1} s ({:.0} x real time), in {}",
                o.tracks,
                o.resumed,
                o.sound_hours,
                o.seconds,
                o.times_real_time,
                o.index.display()
            );
            if o.replaced > 0 {
                say!("files replaced since an earlier run, and read again: {}", o.replaced);
            }
            if o.gone > 0 {
                say!("tracks of an earlier run that are not in the library any more: {}", o.gone);
            }
            if o.damaged > 0 {
                say!(
                    "shards of an earlier run that are damaged, or cannot be verified, and were read again: {}",
                    o.damaged
                );
            }
            if let Some(songs) = Some(o.copies.len()).filter(|&songs| songs > 0) {
                let files: usize = o.copies.iter().map(Vec::len).sum();
                say!("recordings that are there more than once: {songs}, in {files} tracks (all in copies.csv there)");
                for song in copies.iter().take(5) {
                    let names: Vec<String> = song.iter().map(|&i| table.track(i).source.to_string()).collect();
                    say!("  {}", names.join(" = "));
                }
            }
            if !o.rejected.is_empty() {
                say!("{} rejected (all in rejected.csv there):", o.rejected.len());
                o.rejected.iter().take(20).for_each(|line| say!("  {line}"));
            }
        })
    }
}

/// Tracks that are one recording by their sound, by their places in the table: every song that has more than one.
fn copies(table: &MelTable) -> Vec<Vec<usize>> {
    let songs = songs(table);
    let mut copies: Vec<Vec<usize>> = Vec::new();
    for (copy, first) in songs.copies() {
        let (copy, first) = (copy as usize, first as usize);
        match copies.iter_mut().find(|song| song[0] == first) {
            Some(song) => song.push(copy),
            None => copies.push(vec![first, copy]),
        }
    }
    copies
}

/// Lists copies in `copies.csv`: the id of the first track of the recording, then each track of it.
fn write_copies(index: &Path, table: &MelTable, copies: &[Vec<usize>]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["recording", "id", "artist", "title", "source"])?;
    for song in copies {
        for &place in song {
            let track = table.track(place);
            let (recording, id) = (table.track(song[0]).id.to_string(), track.id.to_string());
            writer.write_record([&recording, &id, &track.artist, &track.title, &track.source.to_string()])?;
        }
    }
    let path = index.join("copies.csv");
    write_file(&path, &writer.into_inner()?).with_context(|| format!("{} could not be written", path.display()))
}

fn outcome(index: PathBuf, done: &IndexReport, table: &MelTable, copies: &[Vec<usize>]) -> Outcome {
    let seconds = done.elapsed.as_secs_f64();
    Outcome {
        index,
        tracks: done.indexed,
        resumed: done.resumed,
        replaced: done.replaced,
        gone: done.gone,
        copies: copies.iter().map(|song| song.iter().map(|&place| table.track(place).id).collect()).collect(),
        damaged: done.damaged,
        rejected: done.rejected.iter().map(|r| format!("{}: {}", r.source, r.reason)).collect(),
        sound_hours: done.sound_seconds / 3_600.0,
        seconds,
        times_real_time: done.sound_seconds / seconds,
    }
}
