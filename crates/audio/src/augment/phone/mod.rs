//! [`Phone`]: the chain from a small loudspeaker to the codec of a call, on samples.
//!
//! Each part is a simple model with numbers drawn from what telephones do. None of them imitates one device.

mod codec;
mod lapped;
mod loudspeaker;
mod microphone;

use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_front::FeatureSpec;

pub(super) use codec::{code, code_power};
use loudspeaker::Loudspeaker;
use microphone::Microphone;

/// Parts of the chain that a sound goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phone {
    /// A small loudspeaker plays it: no bass, a resonance, compression where it is loud.
    pub loudspeaker: bool,
    /// A microphone hears it: high-pass, gain control, clipping, and suppression of steady noise.
    pub microphone: bool,
    /// A codec at the rate of a call: quantised by bands.
    pub codec: bool,
}

/// Quantisation noise of a codec below what masks it, in dB. Opus and AAC at 12 to 24 kbit/s lie within.
const CODEC_DB: std::ops::RangeInclusive<f32> = 4.0..=12.0;

impl Phone {
    /// No part of it.
    pub const NONE: Self = Self { loudspeaker: false, microphone: false, codec: false };
    /// The whole chain.
    pub const WHOLE: Self = Self { loudspeaker: true, microphone: true, codec: true };

    /// The parts by the names that a condition has for them; [`Self::WHOLE`] is `phone`.
    pub fn parts(self) -> impl Iterator<Item = &'static str> {
        let named = [("loudspeaker", self.loudspeaker), ("microphone", self.microphone), ("codec", self.codec)];
        let whole = self == Self::WHOLE;
        let parts = named.into_iter().filter(move |(_, there)| *there && !whole).map(|(name, _)| name);
        whole.then_some("phone").into_iter().chain(parts)
    }

    /// Adds the part of this name; `false` where there is none, or it is there already.
    pub fn add(&mut self, name: &str) -> bool {
        let part = match name {
            "phone" if *self == Self::NONE => {
                *self = Self::WHOLE;
                return true;
            }
            "loudspeaker" => &mut self.loudspeaker,
            "microphone" => &mut self.microphone,
            "codec" => &mut self.codec,
            _ => return false,
        };
        !std::mem::replace(part, true)
    }

    /// The sound as the loudspeaker plays it into the room. The same seed is the same telephone.
    pub fn play(self, spec: &FeatureSpec, seed: u64, samples: &mut [f32]) {
        if self.loudspeaker {
            Loudspeaker::draw(&mut ChaCha8Rng::seed_from_u64(seed)).play(spec, samples);
        }
    }

    /// What arrives at the other end of the line from what reaches the microphone.
    pub fn hear(self, spec: &FeatureSpec, seed: u64, samples: &mut [f32]) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let (microphone, below_db) = (Microphone::draw(&mut rng), rng.random_range(CODEC_DB));
        if self.microphone {
            microphone.hear(spec, samples);
        }
        if self.codec {
            code(samples, spec.sample_rate, below_db, &mut rng);
        }
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().collect::<Vec<_>>().join("+"))
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;
    use crate::augment::{NoiseKind, item_rng, power};

    const RATE: u32 = 8_000;

    fn tone(hz: f32, gain: impl Fn(f32) -> f32) -> Vec<f32> {
        let at = |i: u32| i as f32 / RATE as f32;
        (0..4 * RATE).map(|i| gain(at(i)) * (TAU * hz * at(i)).sin()).collect()
    }

    fn decibels(a: &[f32], b: &[f32]) -> f64 {
        10.0 * (power(a) / power(b)).log10()
    }

    /// What some telephones make of a sound, by their seeds.
    fn each(change: impl Fn(u64, &mut Vec<f32>), sound: &[f32], check: impl Fn(&[f32])) {
        for seed in 0..12 {
            let mut changed = sound.to_vec();
            change(seed, &mut changed);
            check(&changed);
            let mut again = sound.to_vec();
            change(seed, &mut again);
            assert!(again == changed, "the same seed is the same telephone");
        }
    }

    #[test]
    fn a_small_loudspeaker_has_no_bass() {
        let spec = FeatureSpec::default();
        let play = |seed, samples: &mut Vec<f32>| Phone::WHOLE.play(&spec, seed, samples);
        let (bass, treble) = (tone(80.0, |_| 0.5), tone(2_500.0, |_| 0.5));
        each(play, &bass, |heard| assert!(decibels(heard, &bass) < -20.0));
        each(play, &treble, |heard| assert!(decibels(heard, &treble) > -6.0));
    }

    #[test]
    fn gain_control_evens_out_what_is_loud_and_quiet() {
        let spec = FeatureSpec::default();
        let microphone = Phone { microphone: true, ..Phone::NONE };
        let sound = tone(700.0, |t| if t < 2.0 { 0.5 } else { 0.05 });
        let change = |seed, samples: &mut Vec<f32>| microphone.hear(&spec, seed, samples);
        let step = |samples: &[f32]| {
            // Not where the change comes, nor at the ends.
            let (loud, quiet) = (RATE as usize..2 * RATE as usize, 3 * RATE as usize..31 * RATE as usize / 8);
            decibels(&samples[loud], &samples[quiet])
        };
        each(change, &sound, |heard| assert!(step(heard) < step(&sound) - 2.0, "{} dB", step(heard)));
    }

    #[test]
    fn steady_noise_is_turned_down_under_sound_that_comes_and_goes() {
        let spec = FeatureSpec::default();
        let noise = NoiseKind::White.synthesise(4.0, RATE, &mut item_rng(3, 0));
        let bursts = tone(1_500.0, |t| if t.fract() < 0.3 { 0.5 } else { 0.0 });
        let sound: Vec<f32> = bursts.iter().zip(&noise).map(|(s, n)| s + 0.05 * n).collect();
        let microphone = Phone { microphone: true, ..Phone::NONE };
        let contrast = |samples: &[f32]| {
            let (burst, pause) = (25_000..26_000, 28_000..31_000);
            decibels(&samples[burst], &samples[pause])
        };
        // Gain control works against it; the telephones that hardly control show it.
        let mut best = f64::NEG_INFINITY;
        for seed in 0..12 {
            let mut heard = sound.clone();
            microphone.hear(&spec, seed, &mut heard);
            best = best.max(contrast(&heard) - contrast(&sound));
        }
        assert!(best > 3.0, "{best} dB");
    }

    #[test]
    fn silence_stays_silent() {
        let mut silence = vec![0.0; 3_000];
        Phone::WHOLE.play(&FeatureSpec::default(), 1, &mut silence);
        Phone::WHOLE.hear(&FeatureSpec::default(), 1, &mut silence);
        assert!(silence.iter().all(|x| *x == 0.0));
    }
}
