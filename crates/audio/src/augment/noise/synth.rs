//! Procedural background noise, so that everything runs on a machine without recordings.

use std::f32::consts::TAU;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::voice::Voice;
use crate::augment::impulse::exponential_decay;
use crate::augment::{Span, convolve, power};

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
    /// One voice without words, or two.
    Speech,
    /// Several of them.
    Babble,
    /// Very many, in a room.
    Crowd,
    /// Cutlery and steps: short resonant strokes at random times.
    Clatter,
}

impl NoiseKind {
    /// Every kind.
    pub const ALL: [Self; 8] =
        [Self::White, Self::Pink, Self::Rumble, Self::Hum, Self::Speech, Self::Babble, Self::Crowd, Self::Clatter];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Pink => "pink",
            Self::Rumble => "rumble",
            Self::Hum => "hum",
            Self::Speech => "speech",
            Self::Babble => "babble",
            Self::Crowd => "crowd",
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
            Self::Speech => voices(rng.random_range(1..3), length, rate as f32, rng),
            Self::Babble => voices(rng.random_range(3..9), length, rate as f32, rng),
            Self::Crowd => {
                let voices = voices(rng.random_range(12..24), length, rate as f32, rng);
                convolve(&voices, &exponential_decay(Span(0.4, 1.2).draw(rng), 0.0, rate, rng))
            }
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

/// Voices that talk at once.
fn voices(count: usize, length: usize, rate: f32, rng: &mut impl Rng) -> Vec<f32> {
    let mut out = vec![0.0; length];
    for _ in 0..count {
        let loudness = Span(0.3, 1.0).draw(rng);
        Voice::new(rate, rng).speak(&mut out, loudness, rng);
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
