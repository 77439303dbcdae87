//! [`Library`]: the tracks a baseline is built from, and how much of each it may hear.

use sordino_corpus::{Catalogue, CorpusError, CropSplit, SoundOptions};

use crate::LabError;

/// The tracks that a system is to name. Every track must be readable; [`sordino_corpus::MelTable::catalogue`] lists those that were.
#[derive(Clone, Copy, Debug)]
pub struct Library<'a> {
    /// The tracks. Answers name them by their place in this list.
    pub catalogue: &'a Catalogue,
    /// How their sound is read.
    pub sound: &'a SoundOptions,
    /// Which part of every track the system may hear.
    pub split: CropSplit,
}

impl Library<'_> {
    /// Number of tracks.
    pub fn len(&self) -> usize {
        self.catalogue.tracks.len()
    }

    /// Whether there is no track.
    pub fn is_empty(&self) -> bool {
        self.catalogue.tracks.is_empty()
    }

    /// Positions of the recorded tracks, or of all where none is: an embedding is learned from the kind of music that is asked about.
    pub(crate) fn recorded(&self) -> Vec<usize> {
        let tracks = &self.catalogue.tracks;
        let recorded: Vec<usize> = (0..tracks.len()).filter(|&i| !tracks[i].source.is_composed()).collect();
        if recorded.is_empty() { (0..tracks.len()).collect() } else { recorded }
    }

    /// How much of every track may be heard, in seconds; all without a number.
    pub(crate) fn heard_seconds(&self) -> Option<f32> {
        match self.split {
            CropSplit::UnseenSound { train_seconds } => Some(train_seconds),
            CropSplit::UnseenOffset | CropSplit::Start => None,
        }
    }

    /// What may be heard of the track at `position`: mono samples at `rate` Hz from its start.
    ///
    /// # Errors
    /// [`CorpusError::Track`] where the sound cannot be read.
    pub(crate) fn heard(&self, position: usize, rate: u32) -> Result<Vec<f32>, LabError> {
        let track = &self.catalogue.tracks[position];
        let fail = |reason| CorpusError::Track { id: track.id, reason };
        let mut samples = track.samples(rate, self.sound).map_err(fail)?.data;
        if let Some(seconds) = self.heard_seconds() {
            samples.truncate((seconds * rate as f32) as usize);
        }
        Ok(samples)
    }
}

/// Whom to tell how far a system's construction has come: a phase's name, and the part of it that is done, 0 to 1.
pub type PhaseProgress<'a> = &'a (dyn Fn(&str, f32) + Sync);
