//! [`Segments`]: the training set of a neural fingerprint: two disturbed clips of one second of music.

use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sordino_audio::{AugmentSpec, ImpulseBank, MelAugment, NoiseBank};
use sordino_front::{FeatureSpec, MelFrontEnd, MelPower, SpecError};
use sordino_learn::LearnError;
use sordino_learn::sound::Clips;

use crate::LabError;
use crate::baseline::Library;

/// Seconds of a library as if each were a track: what is drawn twice from one of them should be embedded alike.
pub(crate) struct Segments {
    tracks: Vec<MelPower>,
    augment: MelAugment,
    frames: usize,
    /// Track and first frame of every segment.
    places: Vec<(usize, usize)>,
    /// Frames by which a clip may begin earlier or later than its segment.
    shift: usize,
}

/// How many there are and how far they move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentPlan {
    /// Most tracks that segments are taken from, spread over the recorded ones, or over all where none is.
    pub(crate) tracks: usize,
    /// Seconds between segments.
    pub(crate) hop_seconds: f32,
    /// Seconds by which clips begin earlier or later.
    pub(crate) shift_seconds: f32,
}

impl Segments {
    /// Cuts what may be heard of a library into segments as long as a query of `spec`.
    pub(crate) fn new(
        library: &Library<'_>,
        spec: &FeatureSpec,
        plan: SegmentPlan,
        augment: &AugmentSpec,
        noise: &NoiseBank,
        impulses: &ImpulseBank,
    ) -> Result<Self, LabError> {
        let front = MelFrontEnd::new(spec).map_err(refused)?;
        let augment = MelAugment::new(augment, &front, noise, impulses)?;
        let sources = library.recorded();
        let count = plan.tracks.min(sources.len());
        let mel = |i: usize| Ok(front.mel_power(&library.heard(sources[i * sources.len() / count], spec.sample_rate)?));
        let tracks = (0..count).into_par_iter().map(mel).collect::<Result<Vec<_>, LabError>>()?;
        let frames = spec.query_frames();
        let hop = ((plan.hop_seconds * spec.frame_rate()) as usize).max(1);
        let starts = |track: &MelPower| (0..(track.frames() + 1).saturating_sub(frames)).step_by(hop);
        let places = tracks.iter().enumerate().flat_map(|(t, track)| starts(track).map(move |start| (t, start)));
        let places: Vec<(usize, usize)> = places.collect();
        if places.len() < 4 {
            return Err(LabError::Setting {
                setting: "library".into(),
                found: format!("{} segments of {} s", places.len(), spec.query_seconds),
                expected: "at least 4 to learn from".into(),
            });
        }
        let shift = (plan.shift_seconds * spec.frame_rate()) as usize;
        Ok(Self { tracks, augment, frames, places, shift })
    }
}

impl Clips for Segments {
    fn tracks(&self) -> usize {
        self.places.len()
    }

    fn draw(&self, segment: usize, rng: &mut ChaCha8Rng) -> Result<Array2<f32>, LearnError> {
        let (track, start) = self.places[segment];
        let power = &self.tracks[track];
        let (low, high) = (start.saturating_sub(self.shift), (start + self.shift).min(power.frames() - self.frames));
        let start = rng.random_range(low..=high);
        Ok(self.augment.apply_at(power.0.view(), start, self.frames, rng)?.0)
    }
}

pub(crate) fn refused(error: SpecError) -> LabError {
    LabError::Front(error.into())
}
