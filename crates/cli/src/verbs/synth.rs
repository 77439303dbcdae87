//! `sordino synth`: composes music and writes it as WAV files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use clap::Args;
use rayon::prelude::*;
use serde::Serialize;
use sordino_corpus::{Source, synth};

use crate::library::MOST_COMPOSED;
use crate::report::{self, say};

/// Compose and synthesise distinct, music-like tracks (CC0), one WAV file each.
#[derive(Args)]
#[command(after_help = "Example:\n  sordino synth --tracks 300 --seconds 30 --out music/")]
pub(crate) struct Synth {
    /// How many tracks, at most a million.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(..=MOST_COMPOSED))]
    tracks: u32,
    /// Length of each track in seconds.
    #[arg(long, default_value_t = 30.0, value_name = "S")]
    seconds: f32,
    /// Sampling rate in Hz.
    #[arg(long, default_value_t = 22_050, value_name = "HZ")]
    rate: u32,
    /// The same seed gives the same music.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to write to; made if missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Outcome {
    tracks: u32,
    folder: PathBuf,
    bytes: u64,
}

impl Synth {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.seconds > 0.0 && self.seconds <= 600.0,
            "--seconds is {}, expected above 0 and at most 600",
            self.seconds
        );
        anyhow::ensure!((4_000..=96_000).contains(&self.rate), "--rate is {}, expected 4,000 to 96,000 Hz", self.rate);
        std::fs::create_dir_all(&self.out).with_context(|| format!("cannot make {}", self.out.display()))?;
        let catalogue = synth::catalogue(self.tracks, self.seed);
        let bar = report::bar(catalogue.tracks.len() as u64, "composing");
        let bytes = AtomicU64::new(0);
        catalogue.tracks.par_iter().try_for_each(|track| -> anyhow::Result<()> {
            let Source::Synthetic(seed) = track.source else { return Ok(()) };
            let samples = synth::render(seed, self.rate, self.seconds);
            // The id keeps names apart; the rest is what a folder loader reads when a file has no tags.
            let path = self.out.join(format!("{:05} {} - {}.wav", track.id, track.artist, track.title));
            synth::write_wav(&path, &samples, self.rate)?;
            bytes.fetch_add(std::fs::metadata(&path)?.len(), Ordering::Relaxed);
            bar.inc(1);
            Ok(())
        })?;
        bar.finish_and_clear();
        let outcome = Outcome { tracks: self.tracks, folder: self.out, bytes: bytes.into_inner() };
        report::print(json, &outcome, |o| {
            say!("{} tracks, {} in {}", o.tracks, report::bytes(o.bytes), o.folder.display());
        })
    }
}
