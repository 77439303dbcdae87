//! [`Voice`]: someone who talks without words, made of the sounds that speech is made of.
//!
//! Source and filter (Fant, Acoustic Theory of Speech Production, 1960): pulses of the glottis, whose spectrum falls by 12 dB an octave,
//! through the resonances of a vowel that glide into those of the next; noise high up for fricatives; silence and a burst for stops.

use std::f32::consts::{PI, TAU};

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::augment::Span;

/// Formants of five vowels in Hz (means of Peterson and Barney, 1952, for men, rounded).
const VOWELS: [[f32; 3]; 5] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [270.0, 2290.0, 3010.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
];
/// Their levels beside the first, about as in connected speech.
const LEVELS: [f32; 3] = [1.0, 0.5, 0.25];

/// A two-pole resonance of unit peak gain, roughly.
#[derive(Clone, Copy, Default)]
struct Resonator {
    a: f32,
    b: f32,
    gain: f32,
    y: [f32; 2],
}

impl Resonator {
    fn tune(&mut self, hz: f32, width: f32, rate: f32) {
        let radius = (-PI * width / rate).exp();
        (self.a, self.b) = (2.0 * radius * (TAU * hz / rate).cos(), radius * radius);
        self.gain = (1.0 - radius) * (1.0 - 2.0 * radius * (2.0 * TAU * hz / rate).cos() + self.b).sqrt();
    }

    fn step(&mut self, x: f32) -> f32 {
        let y = self.gain * x + self.a * self.y[0] - self.b * self.y[1];
        self.y = [y, self.y[0]];
        y
    }
}

/// One who talks.
pub(super) struct Voice {
    rate: f32,
    /// Mean of the fundamental frequency in Hz.
    pitch: f32,
    /// How much higher the formants lie than a man's.
    size: f32,
    /// Share of syllables that begin with a fricative.
    hissing: f32,
    /// How much of what the glottis takes off high frequencies is left so: more of a soft voice and of a far one.
    softness: f32,
    /// Seconds of a syllable's vowel.
    pace: Span,
    formants: [Resonator; 3],
    fricative: Resonator,
    phase: f32,
    /// The glottis: two one-pole low-passes.
    glottis: [f32; 2],
}

impl Voice {
    pub(super) fn new(rate: f32, rng: &mut impl Rng) -> Self {
        let pitch = Span(85.0, 240.0).draw(rng);
        let quick = Span(0.07, 0.13).draw(rng);
        Self {
            rate,
            pitch,
            // Who speaks high is smaller, more or less.
            size: Span(0.92, 1.08).draw(rng) * (1.0 + 0.15 * (pitch - 85.0) / 155.0),
            hissing: Span(0.2, 0.5).draw(rng),
            softness: Span(0.02, 0.16).draw(rng),
            pace: Span(quick, 2.5 * quick),
            formants: Default::default(),
            fricative: Resonator::default(),
            phase: 0.0,
            glottis: [0.0; 2],
        }
    }

    /// Adds phrases and pauses, so loud, to `out`.
    pub(super) fn speak(&mut self, out: &mut [f32], loudness: f32, rng: &mut impl Rng) {
        let mut start = (Span(0.0, 1.0).draw(rng) * self.rate) as usize;
        while start < out.len() {
            start += self.phrase(&mut out[start..], loudness, rng);
            let pause = if rng.random::<f32>() < 0.7 { Span(0.1, 0.5) } else { Span(0.5, 1.5) };
            start += (pause.draw(rng) * self.rate) as usize + 1;
        }
    }

    /// Adds one phrase, whose pitch falls; returns its length.
    fn phrase(&mut self, out: &mut [f32], loudness: f32, rng: &mut impl Rng) -> usize {
        let syllables = rng.random_range(3..16);
        let mut vowel = VOWELS[rng.random_range(0..VOWELS.len())];
        let mut at = 0;
        for syllable in 0..syllables {
            let along = syllable as f32 / syllables as f32;
            let level = loudness * Span(0.5, 1.0).draw(rng) * (1.0 - 0.4 * along);
            let sound = rng.random::<f32>();
            if sound < self.hissing {
                at += self.hiss(out.get_mut(at..).unwrap_or_default(), level, rng);
            } else if sound < self.hissing + 0.3 {
                // A stop: silence, then its burst.
                at += (Span(0.03, 0.08).draw(rng) * self.rate) as usize;
                for o in out.iter_mut().skip(at).take((0.008 * self.rate) as usize) {
                    *o += 0.2 * level * rng.sample::<f32, _>(StandardNormal);
                }
            }
            let next = VOWELS[rng.random_range(0..VOWELS.len())];
            let pitch = self.pitch * (1.15 - 0.3 * along) * Span(0.92, 1.12).draw(rng);
            at += self.voiced(out.get_mut(at..).unwrap_or_default(), level, pitch, [vowel, next], rng);
            vowel = next;
        }
        at
    }

    fn hiss(&mut self, out: &mut [f32], level: f32, rng: &mut impl Rng) -> usize {
        let length = (Span(0.05, 0.14).draw(rng) * self.rate) as usize;
        let hz = Span(2_000.0, 7_000.0).draw(rng).min(0.45 * self.rate);
        self.fricative.tune(hz, 0.35 * hz, self.rate);
        for (i, o) in out.iter_mut().take(length).enumerate() {
            let window = (PI * i as f32 / length as f32).sin();
            *o += 0.35 * level * window * self.fricative.step(rng.sample(StandardNormal));
        }
        length
    }

    fn voiced(
        &mut self,
        out: &mut [f32],
        level: f32,
        pitch: f32,
        [from, to]: [[f32; 3]; 2],
        rng: &mut impl Rng,
    ) -> usize {
        /// Samples between two settings of the resonances.
        const BLOCK: usize = 64;
        let length = (self.pace.draw(rng) * self.rate) as usize + 1;
        let breath = Span(0.01, 0.06).draw(rng);
        let pole = (-TAU * 120.0 / self.rate).exp();
        for (i, o) in out.iter_mut().take(length).enumerate() {
            let along = i as f32 / length as f32;
            if i % BLOCK == 0 {
                for (formant, (a, b)) in self.formants.iter_mut().zip(from.iter().zip(to)) {
                    let hz = (a + (b - a) * along) * self.size;
                    formant.tune(hz.min(0.45 * self.rate), 0.06 * hz + 40.0, self.rate);
                }
            }
            self.phase += pitch * (1.0 + 0.02 * (TAU * 5.0 * i as f32 / self.rate).sin()) / self.rate;
            let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
            self.phase = self.phase.fract();
            let mut source = pulse * (self.rate / pitch).sqrt() + breath * rng.sample::<f32, _>(StandardNormal);
            for state in &mut self.glottis {
                *state = pole * *state + source;
                // Not all of it: lips let the high frequencies out again.
                source = self.softness * *state + 0.3 * source;
            }
            let window = (PI * along).sin().sqrt();
            let formants = self.formants.iter_mut().zip(LEVELS).map(|(formant, gain)| gain * formant.step(source));
            *o += 4.0 * level * window * formants.sum::<f32>();
        }
        length
    }
}
