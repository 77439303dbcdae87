//! A small library that needs no files: every track is a pattern of its own in time and frequency.

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use sordino_front::{FeatureSpec, Statistics};
use sordino_learn::examples::Classes;
use sordino_learn::run::Descent;
use sordino_learn::sound::Clips;
use sordino_learn::{LearnError, TrainConfig};
use sordino_model::Label;

/// Tracks with a spectral envelope and a beat, heard in noise.
pub(crate) struct Patterns {
    pub(crate) tracks: usize,
    pub(crate) seed: u64,
    pub(crate) noise: f32,
}

const BANDS: usize = 16;
const FRAMES: usize = 29;

pub(crate) fn spec() -> FeatureSpec {
    let spec = FeatureSpec {
        mel_bands: BANDS,
        query_seconds: 1.024,
        statistics: Statistics::Moments,
        ..FeatureSpec::default()
    };
    assert_eq!(spec.query_frames(), FRAMES);
    spec
}

impl Clips for Patterns {
    fn tracks(&self) -> usize {
        self.tracks
    }

    fn draw(&self, track: usize, rng: &mut ChaCha8Rng) -> Result<Array2<f32>, LearnError> {
        let mut own = ChaCha8Rng::seed_from_u64(self.seed);
        own.set_stream(track as u64);
        let shape: Vec<(f32, f32, f32)> = (0..BANDS)
            .map(|_| (StandardNormal.sample(&mut own), own.random::<f32>() * 2.0, own.random_range(0.05..1.0)))
            .collect();
        let start = rng.random_range(0..1_000) as f32;
        let level = self.noise * rng.random::<f32>();
        let colour: Vec<f32> = (0..BANDS).map(|_| rng.random::<f32>() + 0.1).collect();
        Ok(Array2::from_shape_fn((FRAMES, BANDS), |(t, b)| {
            let (mean, depth, speed) = shape[b];
            let clean = (mean + depth * (speed * (start + t as f32)).sin()).exp();
            clean + level * colour[b] * rng.random::<f32>() + 1e-3
        }))
    }
}

/// The same patterns as so many passages of fewer tracks: what is heard of a track at one place says nothing about the others.
pub(crate) struct InPassages {
    pub(crate) patterns: Patterns,
    pub(crate) per_track: usize,
    /// A passage in which nothing sounds.
    pub(crate) silent: Option<usize>,
}

impl Clips for InPassages {
    fn tracks(&self) -> usize {
        self.patterns.tracks / self.per_track
    }

    fn passages(&self) -> Classes {
        Classes::per_label(vec![self.per_track; self.tracks()])
    }

    fn draw(&self, passage: usize, rng: &mut ChaCha8Rng) -> Result<Array2<f32>, LearnError> {
        let power = self.patterns.draw(passage, rng)?;
        Ok(if self.silent == Some(passage) { power * 0.0 } else { power })
    }
}

/// Settings small enough for a test.
pub(crate) fn config() -> TrainConfig {
    let mut config = TrainConfig { clips_per_track: 24, least_clips: 0, width: 24, ..TrainConfig::default() };
    config.checkpoint_every = 4;
    config.router.directions = 24;
    config.router.hidden = vec![64];
    config.router.bottleneck = 16;
    config.router.noise = 1.0;
    config.router.descent = Descent { epochs: 12, batch: 64, ..config.router.descent };
    config.tracks.descent = Descent { epochs: 2, batch: 64, ..config.tracks.descent };
    config
}

pub(crate) fn labels(count: usize) -> Vec<Label> {
    let label = |i: usize| Label {
        track_id: i as u32,
        artist: String::new(),
        title: format!("pattern {i}"),
        album: String::new(),
        licence: String::new(),
    };
    (0..count).map(label).collect()
}

/// Base features of `rounds` fresh clips of every track, and the track of each.
pub(crate) fn queries(model: &sordino_learn::FloatModel, library: &Patterns, rounds: usize) -> (Array2<f32>, Vec<u32>) {
    let mut features = Array2::zeros((rounds * library.tracks, model.front.width()));
    let mut truths = Vec::new();
    for (i, mut row) in features.rows_mut().into_iter().enumerate() {
        let (round, track) = (i / library.tracks, i % library.tracks);
        let mut rng = ChaCha8Rng::seed_from_u64(0xfeed + round as u64);
        rng.set_stream(track as u64);
        let power = library.draw(track, &mut rng).unwrap();
        row.iter_mut().zip(model.front.features_of_mel(power.view()).unwrap()).for_each(|(o, v)| *o = v);
        truths.push(track as u32);
    }
    (features, truths)
}
