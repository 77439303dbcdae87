//! `sordino calibrate`: what this machine takes for every operation, so that others can say what a query will take.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use sordino_fhe::calibration::calibrate;
use sordino_fhe::params;

use crate::calibration::Calibration;
use crate::report::{self, say};

/// Measure every encrypted operation on this machine, in a few seconds and without any key, and keep the timings: `inspect`, `identify`
/// and `evaluate` then print what they predict beside what they measure.
#[derive(Args)]
#[command(after_help = "Example:\n  sordino calibrate --repetitions 5")]
pub(crate) struct Calibrate {
    /// File to write; without it the user's cache, or what SORDINO_CALIBRATION names.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How often to measure; the shortest times count, because other work only ever adds.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    repetitions: u16,
}

#[derive(Serialize)]
struct Outcome {
    file: PathBuf,
    seconds: f64,
    #[serde(flatten)]
    calibration: Calibration,
}

impl Calibrate {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        const STEPS: f64 = 1_000.0;
        let file = self.out.or_else(Calibration::default_path);
        let file = file.context("no folder to keep timings in; say where with --out")?;
        let start = Instant::now();
        let bar = report::bar(STEPS as u64, "calibration");
        let measured = calibrate(&params::STANDARD, self.repetitions.into(), |fraction| {
            bar.set_position((fraction * STEPS) as u64);
        });
        bar.finish_and_clear();
        let calibration = Calibration::new(measured?);
        calibration.save(&file)?;
        let outcome = Outcome { file, seconds: start.elapsed().as_secs_f64(), calibration };
        report::print(json, &outcome, |o| {
            say!("{}, {} cores; written to {}", o.calibration.processor, o.calibration.cores, o.file.display());
            say!("{}", o.calibration.timings);
        })
    }
}
