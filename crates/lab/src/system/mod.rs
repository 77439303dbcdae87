//! The systems that are asked, and how each is built for a library.

mod cost;
pub(crate) mod external;
mod networks;
pub(crate) mod registry;
mod sordino;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sordino_corpus::{Catalogue, CropSplit, MelTable, SoundOptions};

pub(crate) use networks::Networks;
pub use sordino::Sordino;

use crate::baseline::{Library, PhaseProgress};
use crate::{Disturbances, Monitor};

/// What a system is built from: a library, what it may be disturbed with, and where to keep things.
pub struct Construction<'a> {
    /// The library's tracks as mel spectrograms.
    pub table: &'a MelTable,
    /// The same tracks as sound.
    pub catalogue: &'a Catalogue,
    /// How that sound is read.
    pub sound: &'a SoundOptions,
    /// Which part of every track may be heard.
    pub split: CropSplit,
    /// Length of a query in seconds.
    pub seconds: f32,
    /// Noise and impulse responses for training, at the library's rate.
    pub training: &'a Disturbances,
    /// A name for where music, noise and impulse responses come from.
    pub origin: &'a str,
    /// The same for people.
    pub source: String,
    /// A folder for models and checkpoints.
    pub cache: &'a Path,
    /// Folders of what was needed to go on after a kill: they are removed when the unit's result is kept, and not before.
    pub leftovers: &'a Mutex<Vec<PathBuf>>,
    /// Networks that other systems of the run have trained.
    pub(crate) networks: &'a Networks,
    /// Who is told how it goes on.
    pub monitor: &'a dyn Monitor,
    /// Who is told how far a baseline is.
    pub progress: PhaseProgress<'a>,
}

impl Construction<'_> {
    /// The library as baselines hear it.
    pub fn library(&self) -> Library<'_> {
        Library { catalogue: self.catalogue, sound: self.sound, split: self.split }
    }
}
