//! [`AugmentedClips`]: a library's cached mel power, disturbed.

use std::ops::Range;
use std::time::Duration;

use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use sordino_audio::{AugmentSpec, ImpulseBank, MelAugment, NoiseBank};
use sordino_corpus::{CropSplit, MelTable, parts};
use sordino_front::MelFrontEnd;
use sordino_model::Label;

use crate::LearnError;
use crate::examples::{Classes, Songs};
use crate::sound::clips::Clips;
use crate::sound::{copies, passages};

/// Random excerpts of a table's tracks, of a query's length, disturbed in the mel domain.
pub struct AugmentedClips<'a> {
    table: &'a MelTable,
    augment: MelAugment,
    split: CropSplit,
    frames: usize,
    passages: Classes,
    /// Whether passages have rows of their own.
    apart: bool,
    recorded_weight: f32,
}

impl<'a> AugmentedClips<'a> {
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
        let shortest = (0..table.len()).map(|track| heard(table, split, track).len()).min().unwrap_or(frames);
        if shortest < frames {
            return Err(LearnError::TooFew { what: "frames in every track", found: shortest, expected: frames });
        }
        let front_end = MelFrontEnd::new(table.spec()).map_err(sordino_front::FrontError::from)?;
        let augment = MelAugment::new(augment, &front_end, noise, impulses)?;
        let passages = Classes::one_per_label(table.len());
        Ok(Self { table, augment, split, frames, passages, apart: false, recorded_weight: 1.0 })
    }

    /// The same where a track has passages `hop` query lengths apart that have rows of their own; 0 for one passage a track.
    ///
    /// # Errors
    /// [`LearnError::Setting`] for a distance that is neither 0 nor a number from 0.05.
    pub fn with_passages(mut self, hop: f32) -> Result<Self, LearnError> {
        if hop != 0.0 && !(hop >= 0.05 && hop.is_finite()) {
            let expected = "0, or a number from 0.05".into();
            return Err(LearnError::Setting { setting: "passage_hop", found: hop.to_string(), expected });
        }
        let count = |track| passages::count(self.last(track), hop * self.frames as f32);
        self.passages = Classes::per_label((0..self.table.len()).map(count));
        self.apart = hop > 0.0;
        Ok(self)
    }

    /// The last frame at which an excerpt may begin.
    fn last(&self, track: usize) -> usize {
        heard(self.table, self.split, track).len() - self.frames
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

impl Clips for AugmentedClips<'_> {
    fn tracks(&self) -> usize {
        self.table.len()
    }

    fn passages(&self) -> Classes {
        self.passages.clone()
    }

    fn start(&self, passage: usize) -> Option<Duration> {
        let (track, siblings) = (self.passages.label(passage) as usize, self.passages.siblings(passage));
        let centre = passages::centre(self.last(track), passage - siblings.start, siblings.len());
        let frame = heard(self.table, self.split, track).start + centre;
        self.apart.then(|| Duration::from_secs_f32(frame as f32 / self.table.spec().frame_rate()))
    }

    fn songs(&self) -> Songs {
        copies::songs(self.table)
    }

    fn works(&self, songs: &Songs) -> Songs {
        songs.joined(parts(self.table.tracks()))
    }

    fn weight(&self, track: usize) -> f32 {
        if self.table.track(track).source.is_composed() { 1.0 } else { self.recorded_weight }
    }

    fn draw(&self, passage: usize, rng: &mut ChaCha8Rng) -> Result<Array2<f32>, LearnError> {
        let track = self.passages.label(passage) as usize;
        let siblings = self.passages.siblings(passage);
        let start = rng.random_range(passages::starts(self.last(track), passage - siblings.start, siblings.len()));
        let heard = heard(self.table, self.split, track);
        let first = heard.start + start;
        // Whole tracks would take longer to read than clips to disturb.
        let (before, after) = self.augment.context(self.frames);
        let some = first.saturating_sub(before).max(heard.start)..(first + self.frames + after).min(heard.end);
        let from = first - some.start;
        if !self.table.cached(track).is_present() {
            let what = "the sound of a track of this part of the library";
            return Err(LearnError::TooFew { what, found: 0, expected: 1 });
        }
        let mel = self.table.mel_frames(track, some).map(|mel| mel.0).unwrap_or_default();
        Ok(self.augment.apply_at(mel.view(), from, self.frames, rng)?.0)
    }
}

/// The frames of a track that training may hear.
fn heard(table: &MelTable, split: CropSplit, track: usize) -> Range<usize> {
    split.training_frames(table.spec(), table.frames(track))
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

#[cfg(test)]
mod tests {
    use ndarray::Axis;
    use rand::SeedableRng;
    use sordino_audio::Span;
    use sordino_corpus::{IndexOptions, synth};
    use sordino_front::FeatureSpec;

    use super::*;

    #[test]
    fn passages_are_a_query_apart() {
        let spec = FeatureSpec { query_seconds: 5.0, ..FeatureSpec::default() };
        let (table, _) =
            MelTable::measure(&synth::catalogue(2, 1), &spec, &IndexOptions::for_spec(&spec).sound).unwrap();
        let none =
            (NoiseBank::synthetic(1, 0, 1.0, spec.sample_rate), ImpulseBank::synthetic(1, 0, Span(0.2, 0.2), 8_000));
        let library = |split| AugmentedClips::new(&table, &none.0, &none.1, &AugmentSpec::clean(), split).unwrap();
        let whole = library(CropSplit::UnseenOffset);
        assert_eq!(whole.passages(), Classes::one_per_label(2));
        let passages = whole.with_passages(1.0).unwrap();
        // Thirty seconds leave 25 for the start of a query of 5: one at 0 and one every 5 s after it.
        assert_eq!(passages.passages(), Classes::per_label([6, 6]));
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let starts: Vec<_> = (0..6).map(|passage| passages.start(passage).unwrap().as_secs_f32()).collect();
        let rate = table.spec().frame_rate();
        let last = (passages.last(0) as f32 / rate, starts[5]);
        assert!(starts[0] == 0.0 && starts.is_sorted() && (last.0 - last.1).abs() < 1e-3, "{starts:?}");
        for passage in 0..12 {
            let clip = passages.draw(passage, &mut rng).unwrap();
            let mel = table.mel(passage / 6).0;
            let starts = passages::starts(mel.nrows() - clip.nrows(), passage % 6, 6);
            // Without any disturbance a clip is a part of its track, from where its passage is.
            let found = starts.clone().any(|start| {
                let here = mel.slice_axis(Axis(0), (start..start + clip.nrows()).into());
                here.iter().zip(&clip).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs())
            });
            assert!(found, "passage {passage}: nowhere in {starts:?}");
        }
        let heard = library(CropSplit::UnseenSound { train_seconds: 15.0 }).with_passages(1.0).unwrap();
        assert_eq!(heard.passages(), Classes::per_label([3, 3]));
        for hop in [-1.0, 0.01, f32::NAN] {
            let refused = library(CropSplit::UnseenOffset).with_passages(hop);
            assert!(matches!(refused.err(), Some(LearnError::Setting { setting: "passage_hop", .. })), "{hop}");
        }
    }
}
