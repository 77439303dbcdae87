//! The noise and the rooms that clips are disturbed with, as arguments: one part for training, another for queries.

use std::path::PathBuf;

use clap::Args;
use sordino_lab::{DisturbanceSource, Disturbances};

use crate::report::note;

/// Where noise and impulse responses come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DisturbanceArgs {
    /// A folder of noise recordings; noise is synthesised without one.
    #[arg(long, value_name = "DIR")]
    noise: Option<PathBuf>,
    /// A folder of impulse responses; rooms are synthesised without one.
    #[arg(long, value_name = "DIR")]
    ir: Option<PathBuf>,
    /// Seed of the split between training and queries, and of what is synthesised.
    #[arg(long, default_value_t = 7, value_name = "SEED")]
    split_seed: u64,
}

impl DisturbanceArgs {
    /// Where they come from.
    pub(crate) fn source(&self) -> DisturbanceSource {
        DisturbanceSource { noise: self.noise.clone(), impulses: self.ir.clone(), seed: self.split_seed }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let folder = |folder: &Option<PathBuf>| {
            folder.as_ref().map_or("synthesised".into(), |folder| folder.display().to_string())
        };
        format!("noise {}, rooms {}, split seed {}", folder(&self.noise), folder(&self.ir), self.split_seed)
    }

    /// What training hears and what queries hear, at `rate` Hz: they share no recording and no room.
    pub(crate) fn load(&self, rate: u32) -> anyhow::Result<(Disturbances, Disturbances)> {
        let loaded = self.source().load(rate)?;
        for file in &loaded.rejected {
            note!("{}: left out: {}", file.path.display(), file.error);
        }
        let made: Vec<&str> = [("noise", &self.noise), ("rooms", &self.ir)]
            .into_iter()
            .filter_map(|(what, given)| given.is_none().then_some(what))
            .collect();
        if !made.is_empty() {
            note!("{} are synthesised: recordings of your own, with --noise and --ir, are better", made.join(" and "));
        }
        Ok((loaded.training, loaded.queries))
    }
}
