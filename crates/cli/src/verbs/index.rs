//! `sordino index`: decodes a library and caches its mel power.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sordino_corpus::{IndexOptions, IndexReport, index};
use sordino_front::FeatureSpec;

use crate::library::LibraryArgs;
use crate::report::{self, say};

/// Decode a library and cache its mel power as Parquet. A run that was killed goes on where it was.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino index --music ~/Music --out runs/index\n  \
    sordino index --fma fma_medium --metadata fma_metadata/tracks.csv --subset medium --out runs/fma\n  \
    sordino index --synth 5000 --out runs/composed\n  \
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
}

#[derive(Serialize)]
struct Outcome {
    index: PathBuf,
    tracks: usize,
    resumed: usize,
    replaced: usize,
    damaged: usize,
    rejected: Vec<String>,
    sound_hours: f64,
    seconds: f64,
    times_real_time: f64,
}

impl Index {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let spec = FeatureSpec { query_seconds: self.query_seconds, ..FeatureSpec::default() };
        let catalogue = self.library.catalogue()?;
        anyhow::ensure!(!catalogue.tracks.is_empty(), "there is no track to index: expected sound files there");
        let bar = report::bar(catalogue.tracks.len() as u64, "indexing");
        let done = index::build(&catalogue, &spec, &self.out, &IndexOptions::for_spec(&spec), &bar)?;
        bar.finish_and_clear();
        report::print(json, &outcome(self.out, &done), |o| {
            say!(
                "{} tracks ({} from an earlier run), {:.1} h of sound in {:.1} s ({:.0} x real time), in {}",
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
            if o.damaged > 0 {
                say!(
                    "shards of an earlier run that are damaged, or cannot be verified, and were read again: {}",
                    o.damaged
                );
            }
            if !o.rejected.is_empty() {
                say!("{} rejected (all in rejected.csv there):", o.rejected.len());
                o.rejected.iter().take(20).for_each(|line| say!("  {line}"));
            }
        })
    }
}

fn outcome(index: PathBuf, done: &IndexReport) -> Outcome {
    let seconds = done.elapsed.as_secs_f64();
    Outcome {
        index,
        tracks: done.indexed,
        resumed: done.resumed,
        replaced: done.replaced,
        damaged: done.damaged,
        rejected: done.rejected.iter().map(|r| format!("{}: {}", r.source, r.reason)).collect(),
        sound_hours: done.sound_seconds / 3_600.0,
        seconds,
        times_real_time: done.sound_seconds / seconds,
    }
}
