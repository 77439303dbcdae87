//! [`Kit`]: a drum kit, each piece synthesised once and mixed in at every stroke.

use std::f32::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::score::{Drum, Hit};

/// One recorded stroke per drum at some sampling rate.
#[derive(Clone, Debug)]
pub(super) struct Kit {
    strokes: Vec<Vec<f32>>,
}

/// What distinguishes kits; all times in seconds.
#[derive(Clone, Debug)]
pub(super) struct KitDesign {
    kick: (f32, f32, f32, f32),
    snare: (f32, f32, f32, f32),
    hat: (f32, f32),
    open: f32,
    clap: f32,
    toms: (f32, f32, f32),
    shaker: (f32, f32),
    levels: [f32; 8],
}

impl KitDesign {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let mut design = Self {
            // Base Hz, sweep in octaves, sweep time, decay.
            kick: (
                rng.random_range(38.0..75.0),
                rng.random_range(0.8..3.0),
                rng.random_range(0.01..0.06),
                rng.random_range(0.08..0.4),
            ),
            // Tone Hz, share of noise, colour (0 dark to 1 bright), decay.
            snare: (
                rng.random_range(130.0..280.0),
                rng.random_range(0.35..0.9),
                rng.random_range(0.2..1.0),
                rng.random_range(0.05..0.25),
            ),
            // Colour, decay.
            hat: (rng.random_range(0.4..1.0), rng.random_range(0.012..0.07)),
            open: rng.random_range(0.12..0.5),
            clap: rng.random_range(0.05..0.2),
            // Low Hz, ratio of the high one, decay.
            toms: (rng.random_range(70.0..130.0), rng.random_range(1.3..2.2), rng.random_range(0.1..0.4)),
            shaker: (rng.random_range(0.3..1.0), rng.random_range(0.02..0.09)),
            levels: [0.0; 8],
        };
        let usual = [1.0, 0.7, 0.3, 0.3, 0.55, 0.7, 0.6, 0.25];
        design.levels = usual.map(|level: f32| level * rng.random_range(0.5_f32..1.4));
        design
    }

    /// Synthesises every stroke at a sampling rate.
    pub(super) fn record(&self, rate: f32, noise: &mut ChaCha8Rng) -> Kit {
        let strokes = Drum::ALL.into_iter().zip(self.levels).map(|(drum, level)| {
            let mut stroke = self.stroke(drum, rate, noise);
            stroke.iter_mut().for_each(|x| *x *= level);
            stroke
        });
        Kit { strokes: strokes.collect() }
    }

    fn stroke(&self, drum: Drum, rate: f32, noise: &mut ChaCha8Rng) -> Vec<f32> {
        match drum {
            Drum::Kick => {
                let (hertz, octaves, sweep, decay) = self.kick;
                tone(hertz, octaves, sweep, decay, rate)
            }
            Drum::LowTom => tone(self.toms.0, 0.4, 0.05, self.toms.2, rate),
            Drum::HighTom => tone(self.toms.0 * self.toms.1, 0.4, 0.05, 0.8 * self.toms.2, rate),
            Drum::Snare => {
                let (hertz, share, colour, decay) = self.snare;
                let mut stroke = hiss(colour, decay, rate, noise);
                let body = tone(hertz, 0.3, 0.02, 0.6 * decay, rate);
                stroke.iter_mut().for_each(|x| *x *= share);
                stroke.iter_mut().zip(body).for_each(|(x, body)| *x += (1.0 - share) * body);
                stroke
            }
            Drum::Hat => hiss(self.hat.0, self.hat.1, rate, noise),
            Drum::OpenHat => hiss(self.hat.0, self.open, rate, noise),
            Drum::Shaker => hiss(self.shaker.0, self.shaker.1, rate, noise),
            Drum::Clap => {
                // Three hands within 25 ms.
                let mut stroke = hiss(0.5, self.clap, rate, noise);
                for late in [0.011_f32, 0.024] {
                    let offset = ((late * rate) as usize).min(stroke.len());
                    let hand = hiss(0.5, 0.4 * self.clap, rate, noise);
                    stroke[offset..].iter_mut().zip(hand).for_each(|(x, hand)| *x += hand);
                }
                stroke
            }
        }
    }
}

impl Kit {
    /// Adds a stroke to `out`, which starts at time 0.
    pub(super) fn play(&self, hit: &Hit, rate: f32, out: &mut [f32]) {
        let start = (hit.start.max(0.0) * rate) as usize;
        let Some(out) = out.get_mut(start..) else { return };
        let place = Drum::ALL.iter().position(|&drum| drum == hit.drum);
        let Some(stroke) = place.and_then(|place| self.strokes.get(place)) else { return };
        out.iter_mut().zip(stroke).for_each(|(x, stroke)| *x += hit.velocity * stroke);
    }
}

/// Decay times after which a stroke ends: e^-6 is -52 dB.
const DECAYS: f32 = 6.0;

/// A sine that starts `octaves` higher and falls to `hertz`.
fn tone(hertz: f32, octaves: f32, sweep: f32, decay: f32, rate: f32) -> Vec<f32> {
    let mut phase = 0.0_f32;
    let sample = |i: usize| {
        let seconds = i as f32 / rate;
        let now = hertz * (octaves * (-seconds / sweep).exp()).exp2();
        phase = (phase + now / rate).fract();
        (TAU * phase).sin() * (-seconds / decay).exp()
    };
    (0..(DECAYS * decay * rate) as usize).map(sample).collect()
}

/// Noise between white (`colour` 1 adds a first difference) and dark.
fn hiss(colour: f32, decay: f32, rate: f32, noise: &mut ChaCha8Rng) -> Vec<f32> {
    let (mut last, mut smooth) = (0.0_f32, 0.0_f32);
    let sample = |i: usize| {
        let white = noise.random_range(-1.0..1.0_f32);
        smooth += (0.25 + 0.75 * colour) * (white - smooth);
        let bright = smooth - colour * last;
        last = smooth;
        bright * (-(i as f32) / (rate * decay)).exp()
    };
    (0..(DECAYS * decay * rate) as usize).map(sample).collect()
}
