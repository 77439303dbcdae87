//! The noise and the rooms that clips are disturbed with, as arguments: one part for training, another for queries.

use std::path::{Path, PathBuf};

use clap::Args;
use sordino_audio::{ImpulseBank, NoiseBank, RejectedFile, Span};

use crate::report::note;

/// Share of the recordings that only queries use.
const QUERY_SHARE: f32 = 0.3;

/// How much of each is made where no folder is given.
const SYNTHETIC_NOISES: usize = 96;
const SYNTHETIC_ROOMS: usize = 48;
const SYNTHETIC_NOISE_SECONDS: f32 = 5.0;
const SYNTHETIC_T60: Span = Span(0.2, 1.2);

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

/// One side of the split.
pub(crate) struct Disturbances {
    pub(crate) noise: NoiseBank,
    pub(crate) impulses: ImpulseBank,
}

impl DisturbanceArgs {
    /// What training hears and what queries hear, at `rate` Hz: they share no recording and no room.
    pub(crate) fn load(&self, rate: u32) -> anyhow::Result<(Disturbances, Disturbances)> {
        let noise = match &self.noise {
            Some(folder) => tell(folder, NoiseBank::load(folder, rate)?),
            None => NoiseBank::synthetic(self.split_seed, SYNTHETIC_NOISES, SYNTHETIC_NOISE_SECONDS, rate),
        };
        let impulses = match &self.ir {
            Some(folder) => tell(folder, ImpulseBank::load(folder, rate)?),
            None => ImpulseBank::synthetic(self.split_seed, SYNTHETIC_ROOMS, SYNTHETIC_T60, rate),
        };
        let (noise, noise_queries) = noise.split(QUERY_SHARE, self.split_seed);
        let (impulses, impulse_queries) = impulses.split(QUERY_SHARE, self.split_seed);
        let queries = Disturbances { noise: noise_queries, impulses: impulse_queries };
        Ok((Disturbances { noise, impulses }, queries))
    }
}

fn tell<B>(folder: &Path, (bank, rejected): (B, Vec<RejectedFile>)) -> B {
    for file in rejected {
        note!("{}: left out of {}: {}", file.path.display(), folder.display(), file.error);
    }
    bank
}
