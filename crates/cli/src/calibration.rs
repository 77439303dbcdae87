//! What this machine takes for every operation, kept in a file between runs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sordino_lab::Machine;
use sordino_model::cost::{Timings, WeightForm};
use sordino_model::files::{read_text, write_file};
use sordino_remote::places;

use crate::report::note;

/// Largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// Timings, and of which machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Calibration {
    pub(crate) version: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) timings: Timings,
}

impl Calibration {
    /// The machine, with every core.
    pub(crate) fn machine(&self) -> sordino_service::Machine<'_> {
        sordino_service::Machine { timings: &self.timings, threads: cores(), weights: WeightForm::default() }
    }

    /// Timings of this machine.
    pub(crate) fn new(timings: Timings) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            processor: Machine::here().processor,
            cores: cores(),
            timings,
        }
    }

    /// Where timings are kept where nobody says otherwise: the user's cache.
    pub(crate) fn default_path() -> Option<PathBuf> {
        let set = std::env::var_os("SORDINO_CALIBRATION").filter(|value| !value.is_empty()).map(PathBuf::from);
        set.or_else(|| places::cache().map(|cache| cache.join("calibration.json")))
    }

    /// Writes the file, and the folder it is in.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        write_file(path, serde_json::to_string_pretty(self)?.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The timings of this machine, if `calibrate` has been run. A file that cannot be used is no reason to stop.
    pub(crate) fn load() -> Option<Self> {
        let path = Self::default_path()?;
        let text = read_text(&path, LIMIT).ok()?;
        match serde_json::from_str::<Self>(&text) {
            Ok(found) if found.timings.is_sound() && found.cores == cores() => Some(found),
            _ => {
                note!("{}: timings of another machine or version; run `sordino calibrate` again", path.display());
                None
            }
        }
    }
}

/// Cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
