//! [`NoiseBank`]: background noise to mix into clips.

mod synth;
mod voice;

use std::path::Path;

use rand::{Rng, RngExt};
use rayon::prelude::*;

pub use synth::NoiseKind;

use crate::augment::bank::{self, BankClip, RejectedFile};
use crate::augment::{item_rng, power};
use crate::{AudioError, DecodeLimits, Overlong};

/// Longest piece of one noise file that is kept, in seconds.
const MAX_SECONDS: f32 = 30.0;

/// Background noise clips at one rate.
#[derive(Clone, Debug)]
pub struct NoiseBank {
    rate: u32,
    clips: Vec<BankClip>,
}

impl NoiseBank {
    /// Loads every decodable file under a folder, at most 30 s of each, and lists the files left out.
    ///
    /// # Errors
    /// [`AudioError::Missing`] or [`AudioError::Unreadable`] where the folder cannot be listed.
    pub fn load(folder: &Path, rate: u32) -> Result<(Self, Vec<RejectedFile>), AudioError> {
        let limits = DecodeLimits {
            min_seconds: 0.2,
            max_seconds: MAX_SECONDS,
            overlong: Overlong::Truncate,
            ..DecodeLimits::default()
        };
        let (clips, rejected) = bank::load_folder(folder, rate, &limits)?;
        Ok((Self { rate, clips }, rejected))
    }

    /// Makes `count` procedural clips, going round the kinds of [`NoiseKind`].
    pub fn synthetic(seed: u64, count: usize, seconds: f32, rate: u32) -> Self {
        let clips = (0..count).into_par_iter().map(|i| {
            let kind = NoiseKind::ALL[i % NoiseKind::ALL.len()];
            let samples = kind.synthesise(seconds, rate, &mut item_rng(seed, i as u64));
            BankClip { name: format!("{}-{i:04}", kind.name()), samples }
        });
        Self { rate, clips: clips.collect() }
    }

    /// Splits into training and test parts that share no recording: by a seeded hash of the names, takes of one
    /// recording (`1-100032-A`, `1-100032-B`) staying together.
    pub fn split(self, test_fraction: f32, seed: u64) -> (Self, Self) {
        let rate = self.rate;
        let (train, test) = bank::split(self.clips, test_fraction, seed);
        (Self { rate, clips: train }, Self { rate, clips: test })
    }

    /// Splits by the caller's list: the second part holds the clips whose names `is_test` accepts.
    pub fn split_by(self, is_test: impl Fn(&str) -> bool) -> (Self, Self) {
        let rate = self.rate;
        let (test, train) = self.clips.into_iter().partition(|c| is_test(&c.name));
        (Self { rate, clips: train }, Self { rate, clips: test })
    }

    /// Sampling rate in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The clips, in the order of their names on disk.
    pub fn clips(&self) -> &[BankClip] {
        &self.clips
    }

    /// `length` samples of a random clip from a random place, repeating a clip that is too short. Empty where the bank
    /// is empty.
    pub fn draw(&self, length: usize, rng: &mut impl Rng) -> Vec<f32> {
        if self.clips.is_empty() {
            return Vec::new();
        }
        let clip = &self.clips[rng.random_range(0..self.clips.len())].samples;
        let mut piece = Vec::new();
        // A long clip may pause: look for a place that sounds, at most a few times.
        for _ in 0..8 {
            let start = rng.random_range(0..clip.len().max(1));
            piece = clip.iter().cycle().skip(start).take(length).copied().collect();
            if power(&piece) >= 0.01 * power(clip) {
                break;
            }
        }
        piece
    }
}
