//! `sordino lab merge`: the results of an experiment whose parts ran apart.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use sordino_lab::Lab;
use sordino_model::files::{read_file, write_file};

use super::run::Asked;
use crate::report::{Terminal, note};

/// Largest result of a unit that is taken over, in bytes.
const MOST: u64 = 4 << 30;

/// Gather the results of an experiment whose parts were run apart, on the same music, noise and rooms. Nothing is run.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino lab merge experiments/scaling --size full --cache /shared/lab\n  \
    sordino lab merge experiments/scaling --size full --from a/runs/lab --from b/runs/lab\n\n\
    Machines that share a bucket copy the folder `units` of their caches there, such as with `aws s3 sync runs/lab/units \
    s3://bucket/units`, and back before they merge.")]
pub(super) struct Merge {
    #[command(flatten)]
    asked: Asked,
    /// Another cache, whose results are taken over first; may be given several times.
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// Folder for the results [default: `results/<date>-<cores>core[-<size>]` in the experiment's folder].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Merge {
    pub(super) fn run(self, json: bool) -> anyhow::Result<()> {
        let (question, music) = self.asked.open()?;
        for other in &self.from {
            let taken = take(&other.join("units"), &self.asked.cache.join("units"))?;
            note!("{}: {taken} results taken over", other.display());
        }
        let findings = Lab::new(&music, &self.asked.cache, &Terminal).merge(&question)?;
        self.asked.write(self.out, &question, &music, findings, json)
    }
}

/// Copies the results that are not there yet; returns how many.
fn take(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let listed = fs::read_dir(from)
        .with_context(|| format!("cannot read {}: expected the cache of a part that was run", from.display()))?;
    let mut taken = 0;
    for entry in listed {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.path().extension().is_some_and(|extension| extension == "unit") && !place.exists() {
            let bytes =
                read_file(&entry.path(), MOST).with_context(|| format!("cannot read {}", entry.path().display()))?;
            write_file(&place, &bytes).with_context(|| format!("cannot write {}", place.display()))?;
            taken += 1;
        }
    }
    Ok(taken)
}
