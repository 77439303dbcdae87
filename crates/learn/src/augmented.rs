//! [`Augmented`]: a library's cached mel power, disturbed.

use ndarray::{Array2, Axis};
use rand_chacha::ChaCha8Rng;
use sordino_audio::{AugmentSpec, ImpulseBank, MelAugment, MelFrontEnd, NoiseBank};
use sordino_corpus::{CropSplit, MelTable};
use sordino_model::Label;

use crate::LearnError;
use crate::clips::Clips;

/// Random excerpts of a table's tracks, of a query's length, disturbed in the mel domain.
pub struct Augmented<'a> {
    table: &'a MelTable,
    augment: MelAugment,
    split: CropSplit,
    frames: usize,
    recorded_weight: f32,
}

impl<'a> Augmented<'a> {
    /// Puts the training parts of the banks through the table's front end. Excerpts lie within the frames that `split` leaves
    /// to training.
    ///
    /// # Errors
    /// [`LearnError::Audio`] where the spec is out of range or a bank that it needs is empty, [`LearnError::TooFew`] where a
    /// track has too little sound for a query.
    pub fn new(
        table: &'a MelTable,
        noise: &NoiseBank,
        impulses: &ImpulseBank,
        augment: &AugmentSpec,
        split: CropSplit,
    ) -> Result<Self, LearnError> {
        let frames = table.spec().query_frames();
        let heard = |i| split.training_frames(table.spec(), table.frames(i)).len();
        let shortest = (0..table.len()).map(heard).min().unwrap_or(frames);
        if shortest < frames {
            return Err(LearnError::TooFew { what: "frames in every track", found: shortest, expected: frames });
        }
        let front_end = MelFrontEnd::new(table.spec()).map_err(sordino_model::FrontError::from)?;
        let augment = MelAugment::new(augment, &front_end, noise, impulses)?;
        Ok(Self { table, augment, split, frames, recorded_weight: 1.0 })
    }

    /// The same where recorded tracks together have at least this share of the weight, 0 to below 1, in a library that holds
    /// composed tracks as well. Composed tracks resemble each other more than recorded ones do: a space that few recorded
    /// ones had a say in does not suit them.
    ///
    /// # Errors
    /// [`LearnError::Setting`] for a share outside its range.
    pub fn with_recorded_share(mut self, share: f32) -> Result<Self, LearnError> {
        if !(0.0..1.0).contains(&share) {
            let expected = "0 to below 1".into();
            return Err(LearnError::Setting { setting: "recorded_share", found: share.to_string(), expected });
        }
        let composed = self.table.tracks().iter().filter(|track| track.source.is_composed()).count();
        let recorded = self.table.len() - composed;
        if recorded > 0 {
            self.recorded_weight = (share / (1.0 - share) * composed as f32 / recorded as f32).max(1.0);
        }
        Ok(self)
    }
}

impl Clips for Augmented<'_> {
    fn tracks(&self) -> usize {
        self.table.len()
    }

    fn weight(&self, track: usize) -> f32 {
        if self.table.track(track).source.is_composed() { 1.0 } else { self.recorded_weight }
    }

    fn draw(&self, track: usize, rng: &mut ChaCha8Rng) -> Result<Array2<f32>, LearnError> {
        let mel = self.table.mel(track).0;
        let heard = self.split.training_frames(self.table.spec(), mel.nrows());
        Ok(self.augment.apply(mel.slice_axis(Axis(0), heard.into()), self.frames, rng)?.0)
    }
}

/// What the client is told about every track of a table, in its order.
pub fn labels(table: &MelTable) -> Vec<Label> {
    let label = |track: &sordino_corpus::Track| Label {
        track_id: track.id,
        artist: track.artist.clone(),
        title: track.title.clone(),
        album: track.album.clone(),
        licence: track.licence.clone(),
    };
    table.tracks().iter().map(label).collect()
}
