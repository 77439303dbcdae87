//! Procedural background noise, so that everything runs on a machine without recordings.

use std::f32::consts::TAU;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::augment::{Span, power};

/// A kind of procedural noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseKind {
    /// Equal power per hertz.
    White,
    /// Equal power per octave.
    Pink,
    /// Falling by 6 dB per octave, swelling slowly: wind and traffic.
    Rumble,
    /// Mains harmonics over a fan's hiss.
    Hum,
    /// Several voices without words.
    Babble,
    /// Cutlery and steps: short resonant strokes at random times.
    Clatter,
}

impl NoiseKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::White, Self::Pink, Self::Rumble, Self::Hum, Self::Babble, Self::Clatter];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Pink => "pink",
            Self::Rumble => "rumble",
            Self::Hum => "hum",
            Self::Babble => "babble",
            Self::Clatter => "clatter",
        }
    }

    /// Synthesises samples at an RMS of 0.1 (-20 dBFS).
    pub fn synthesise(self, seconds: f32, rate: u32, rng: &mut impl Rng) -> Vec<f32> {
        let length = (seconds * rate as f32).max(1.0) as usize;
        let mut out = match self {
            Self::White => white(length, rng),
            Self::Pink => pink(length, rng),
            Self::Rumble => rumble(length, rate as f32, rng),
            Self::Hum => hum(length, rate as f32, rng),
            Self::Babble => babble(length, rate as f32, rng),
            Self::Clatter => clatter(length, rate as f32, rng),
        };
        let scale = (0.1 / power(&out).sqrt().max(1e-12)) as f32;
        out.iter_mut().for_each(|x| *x *= scale);
        out
    }
}

fn white(length: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..length).map(|_| rng.sample(StandardNormal)).collect()
}

/// Five one-pole filters a decade's fraction apart add up to -3 dB per octave within half a decibel or so.
fn pink(length: usize, rng: &mut impl Rng) -> Vec<f32> {
    let poles = [0.999_f32, 0.992, 0.94, 0.7, 0.2];
    let mut states = [0.0_f32; 5];
    let step = |x: f32| {
        let mut sum = 0.0;
        for (state, pole) in states.iter_mut().zip(poles) {
            // The square root gives every filter the same share of a flat log-frequency axis.
            *state = pole * *state + (1.0 - pole).sqrt() * x;
            sum += *state;
        }
        sum
    };
    white(length, rng).into_iter().map(step).collect()
}

fn rumble(length: usize, rate: f32, rng: &mut impl Rng) -> Vec<f32> {
    let corner = Span(40.0, 200.0).draw(rng);
    let pole = (-TAU * corner / rate).exp();
    let (swell, phase, depth) = (Span(0.1, 0.8).draw(rng), Span(0.0, TAU).draw(rng), Span(0.2, 0.9).draw(rng));
    let mut state = 0.0;
    white(length, rng)
        .into_iter()
        .enumerate()
        .map(|(i, x)| {
            state = pole * state + (1.0 - pole) * x;
            state * (1.0 + depth * (TAU * swell * i as f32 / rate + phase).sin())
        })
        .collect()
}

fn hum(length: usize, rate: f32, rng: &mut impl Rng) -> Vec<f32> {
    let mains = if rng.random::<bool>() { 50.0 } else { 60.0 } * Span(0.995, 1.005).draw(rng);
    let partials: Vec<(f32, f32, f32)> = (1..=24)
        .map(|k| k as f32 * mains)
        .filter(|f| *f < 0.45 * rate)
        .map(|f| (f, Span(0.1, 1.0).draw(rng) * (mains / f).powf(0.7), Span(0.0, TAU).draw(rng)))
        .collect();
    let hiss = Span(0.05, 0.3).draw(rng);
    pink(length, rng)
        .into_iter()
        .enumerate()
        .map(|(i, x)| {
            let t = i as f32 / rate;
            hiss * x + partials.iter().map(|&(f, a, p)| a * (TAU * (f * t).fract() + p).sin()).sum::<f32>()
        })
        .collect()
}

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
        let radius = (-std::f32::consts::PI * width / rate).exp();
        (self.a, self.b) = (2.0 * radius * (TAU * hz / rate).cos(), radius * radius);
        self.gain = (1.0 - radius) * (1.0 - 2.0 * radius * (2.0 * TAU * hz / rate).cos() + self.b).sqrt();
    }

    fn step(&mut self, x: f32) -> f32 {
        let y = self.gain * x + self.a * self.y[0] - self.b * self.y[1];
        self.y = [y, self.y[0]];
        y
    }
}

/// Formants of five vowels in Hz (means of Peterson and Barney, 1952, for men, rounded).
const VOWELS: [[f32; 3]; 5] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [270.0, 2290.0, 3010.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
];

fn babble(length: usize, rate: f32, rng: &mut impl Rng) -> Vec<f32> {
    let mut out = vec![0.0; length];
    for _ in 0..rng.random_range(3..9) {
        let (pitch, size) = (Span(85.0, 230.0).draw(rng), Span(0.9, 1.2).draw(rng));
        let loudness = Span(0.3, 1.0).draw(rng);
        let mut formants = [Resonator::default(); 3];
        let (mut phase, mut start) = (0.0_f32, 0);
        while start < length {
            let syllable = (Span(0.12, 0.35).draw(rng) * rate) as usize + 1;
            let speaks = rng.random::<f32>() < 0.8;
            let vowel = VOWELS[rng.random_range(0..VOWELS.len())];
            let (from, to) = (pitch * Span(0.85, 1.2).draw(rng), pitch * Span(0.8, 1.1).draw(rng));
            let breath = Span(0.05, 0.4).draw(rng);
            for (formant, hz) in formants.iter_mut().zip(vowel) {
                formant.tune((hz * size).min(0.45 * rate), 0.08 * hz + 40.0, rate);
            }
            for (i, o) in out[start..].iter_mut().take(syllable).enumerate() {
                let along = i as f32 / syllable as f32;
                phase += (from + (to - from) * along) / rate;
                let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
                phase = phase.fract();
                let source = pulse * 8.0 + breath * rng.sample::<f32, _>(StandardNormal);
                let source = if speaks { source * (std::f32::consts::PI * along).sin() } else { 0.0 };
                *o += loudness * formants.iter_mut().map(|f| f.step(source)).sum::<f32>();
            }
            start += syllable;
        }
    }
    out
}

fn clatter(length: usize, rate: f32, rng: &mut impl Rng) -> Vec<f32> {
    // A quiet bed, or the gaps between strokes would be digital silence.
    let mut out: Vec<f32> = pink(length, rng).into_iter().map(|x| 0.01 * x).collect();
    let rhythm = Span(2.0, 12.0).draw(rng);
    let mut start = 0.0;
    loop {
        start += -(1.0 - rng.random::<f32>()).max(1e-6).ln() / rhythm * rate;
        if start as usize >= length {
            return out;
        }
        let (loudness, snap) = (Span(0.1, 1.0).draw(rng).powi(2), Span(0.002, 0.02).draw(rng) * rate);
        let modes: [(f32, f32, f32); 3] = std::array::from_fn(|_| {
            (Span(300.0, 0.45 * rate).draw(rng), Span(0.01, 0.15).draw(rng) * rate, Span(0.1, 1.0).draw(rng))
        });
        for (i, o) in out[start as usize..].iter_mut().take(rate as usize).enumerate() {
            let t = i as f32;
            let ring: f32 = modes.iter().map(|&(f, d, a)| a * (-t / d).exp() * (TAU * f * t / rate).sin()).sum();
            *o += loudness * (ring + (-t / snap).exp() * rng.sample::<f32, _>(StandardNormal));
        }
    }
}
