//! [`Envelope`]: a note's loudness over time.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Attack, decay, sustain, release; straight attack, exponential fall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    /// Seconds from silence to full level.
    attack: f32,
    /// Seconds in which the level falls to 1/e of its way to the sustain level.
    decay: f32,
    /// Level held, 0 to 1.
    sustain: f32,
    /// Seconds in which the level falls to 1/e after release.
    release: f32,
}

/// Release times after which nothing is heard: e^-5 is -43 dB.
const RELEASES: f32 = 5.0;

impl Envelope {
    /// For voices that decay by themselves: only the damper.
    pub(super) fn struck(release: f32) -> Self {
        Self { attack: 0.001, decay: 1.0, sustain: 1.0, release }
    }

    pub(super) fn percussive(rng: &mut ChaCha8Rng) -> Self {
        Self {
            attack: rng.random_range(0.001..0.01),
            decay: rng.random_range(0.08..0.8),
            sustain: rng.random_range(0.0..0.3),
            release: rng.random_range(0.02..0.2),
        }
    }

    pub(super) fn sustained(rng: &mut ChaCha8Rng) -> Self {
        Self {
            attack: rng.random_range(0.005..0.08),
            decay: rng.random_range(0.1..0.6),
            sustain: rng.random_range(0.5..0.95),
            release: rng.random_range(0.03..0.25),
        }
    }

    pub(super) fn slow(rng: &mut ChaCha8Rng) -> Self {
        Self {
            attack: rng.random_range(0.1..0.8),
            decay: rng.random_range(0.5..2.0),
            sustain: rng.random_range(0.7..1.0),
            release: rng.random_range(0.1..0.6),
        }
    }

    /// Seconds until a note held for `held` seconds has died away.
    pub(super) fn seconds(&self, held: f32) -> f32 {
        held + RELEASES * self.release
    }

    /// The level sample by sample.
    pub(super) fn samples(&self, held: f32, rate: f32) -> Levels {
        let per_sample = |seconds: f32| (-1.0 / (seconds * rate).max(1.0)).exp();
        Levels {
            rise: (self.attack * rate).max(1.0).recip(),
            decay: per_sample(self.decay),
            sustain: self.sustain,
            release: per_sample(self.release),
            rising: true,
            held: (held * rate) as usize,
            level: 0.0,
        }
    }
}

/// The levels of one note; never ends.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    rise: f32,
    decay: f32,
    sustain: f32,
    release: f32,
    rising: bool,
    held: usize,
    level: f32,
}

impl Iterator for Levels {
    type Item = f32;

    #[inline]
    fn next(&mut self) -> Option<f32> {
        if self.held == 0 {
            self.level *= self.release;
        } else {
            self.held -= 1;
            if self.rising {
                self.level += self.rise;
                self.rising = self.level < 1.0;
                self.level = self.level.min(1.0);
            } else {
                self.level = self.sustain + self.decay * (self.level - self.sustain);
            }
        }
        Some(self.level)
    }
}
