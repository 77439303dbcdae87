//! What a section repeats: a motif, a bass line, an accompaniment and a drum pattern, all on the bar's grid.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::score::Drum;
use super::style::{Groove, Style};
use super::theory::weighted;

/// A note of a pattern: where in the bar, how long (both in grid steps), and how far from its reference in scale steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) at: usize,
    pub(super) length: usize,
    pub(super) offset: i32,
    pub(super) velocity: f32,
}

/// A rhythm over one bar, as starts on the grid: beats are kept or split, the more so the denser.
fn rhythm(rng: &mut ChaCha8Rng, style: &Style, density: f32) -> Vec<usize> {
    let mut starts = Vec::new();
    for beat in 0..style.beats {
        let at = beat * style.grid;
        if rng.random::<f32>() < 0.45 + 0.55 * density || beat == 0 && rng.random_bool(0.8) {
            starts.push(at);
        }
        if style.grid == 3 {
            if rng.random::<f32>() < 0.15 + 0.5 * density {
                starts.extend([at + 1, at + 2]);
            } else if rng.random_bool(0.3) {
                starts.push(at + 2);
            }
        } else {
            if rng.random::<f32>() < 0.15 + 0.65 * density {
                starts.push(at + 2);
            }
            for sixteenth in [1, 3] {
                if rng.random::<f32>() < 0.35 * density * density {
                    starts.push(at + sixteenth);
                }
            }
        }
    }
    starts.sort_unstable();
    starts.dedup();
    if starts.is_empty() {
        starts.push(0);
    }
    starts
}

/// Starts to steps: each lasts until the next one, or less.
fn steps(rng: &mut ChaCha8Rng, starts: &[usize], end: usize, legato: f32) -> Vec<Step> {
    let next = starts.iter().skip(1).copied().chain([end]);
    let mut out = Vec::with_capacity(starts.len());
    for (&at, next) in starts.iter().zip(next) {
        let gap = next - at;
        let length = if rng.random::<f32>() < legato { gap } else { gap.div_ceil(2) };
        out.push(Step { at, length, offset: 0, velocity: rng.random_range(0.55..1.0) });
    }
    out
}

/// A melodic idea of two bars: a rhythm and a walk in scale steps, with its own range and liking for leaps.
#[derive(Clone, Debug)]
pub(super) struct Motif {
    pub(super) bars: [Vec<Step>; 2],
}

impl Motif {
    pub(super) fn draw(rng: &mut ChaCha8Rng, style: &Style) -> Self {
        let density = (style.density + rng.random_range(-0.3..0.3)).clamp(0.05, 0.95);
        let legato = rng.random();
        let leap: f32 = rng.random_range(0.05..0.4);
        let mut offset = rng.random_range(-2..5);
        let first = rhythm(rng, style, density);
        // An answering bar often keeps the rhythm of the first.
        let second = if rng.random_bool(0.55) { first.clone() } else { rhythm(rng, style, density) };
        let bars = [first, second].map(|starts| {
            let mut bar = steps(rng, &starts, style.steps(), legato);
            for step in &mut bar {
                let stride = if rng.random::<f32>() < leap { rng.random_range(3..6) } else { rng.random_range(0..3) };
                // Melodies turn back: the further out, the likelier.
                let up = rng.random_range(-5..8) > offset;
                offset += if up { stride } else { -stride };
                step.offset = offset;
            }
            bar
        });
        Self { bars }
    }

    /// The motif once more with some notes moved or dropped.
    pub(super) fn varied(&self, rng: &mut ChaCha8Rng) -> Self {
        let mut varied = self.clone();
        for bar in &mut varied.bars {
            for step in bar.iter_mut() {
                if rng.random_bool(0.2) {
                    step.offset += rng.random_range(-2..=2);
                }
            }
            if bar.len() > 2 && rng.random_bool(0.4) {
                bar.remove(rng.random_range(1..bar.len()));
            }
        }
        varied
    }
}

/// One bar of bass: offsets from the chord's root in scale steps.
pub(super) fn bass(rng: &mut ChaCha8Rng, style: &Style) -> Vec<Step> {
    let end = style.steps();
    let beats: Vec<usize> = (0..style.beats).map(|b| b * style.grid).collect();
    let (starts, offsets, legato): (Vec<usize>, &[i32], f32) = match rng.random_range(0..6) {
        0 => (vec![0], &[0], 1.0),
        1 => (vec![0, end.div_ceil(2)], &[0, 0, 4], 0.9),
        2 => (beats, &[0, 2, 4, 5, 4, 2], 0.8),
        3 => (beats, &[0], 0.4),
        4 => {
            let half = if style.grid == 4 { 2 } else { 1 };
            ((0..end).step_by(half).collect(), &[0, 0, 7, 0], 0.3)
        }
        _ => (rhythm(rng, style, 0.3 + 0.6 * style.density), &[0, 0, 4, 7, 2, -1], 0.6),
    };
    let mut bar = steps(rng, &starts, end, legato);
    for step in bar.iter_mut().skip(1) {
        step.offset = *offsets.choose(rng).unwrap_or(&0);
    }
    bar
}

/// How chords are played under the melody.
#[derive(Clone, Debug)]
pub(super) enum Comp {
    /// All notes at once, on these steps.
    Block(Vec<Step>),
    /// One after the other, this many seconds apart, on these steps.
    Strum(Vec<Step>, f32),
    /// Lowest note on the beat, the others off it.
    Stride,
}

impl Comp {
    pub(super) fn draw(rng: &mut ChaCha8Rng, style: &Style) -> Self {
        let density = style.density * rng.random::<f32>();
        let starts = rhythm(rng, style, density);
        let legato = rng.random();
        let bar = steps(rng, &starts, style.steps(), legato);
        match rng.random_range(0..5) {
            0 | 1 => Self::Block(bar),
            2 => Self::Block(vec![Step { at: 0, length: style.steps(), offset: 0, velocity: 0.8 }]),
            3 => Self::Strum(bar, rng.random_range(0.008..0.04)),
            _ => Self::Stride,
        }
    }
}

/// The order in which an arpeggio visits a chord, and its pace.
#[derive(Clone, Debug)]
pub(super) struct Arpeggio {
    /// Positions in the chord, beyond its size meaning higher octaves.
    pub(super) order: Vec<usize>,
    /// Grid steps from note to note.
    pub(super) pace: usize,
    /// Length of a note as a fraction of the pace.
    pub(super) gate: f32,
}

impl Arpeggio {
    pub(super) fn draw(rng: &mut ChaCha8Rng, style: &Style) -> Self {
        let span = rng.random_range(3..8);
        let order = match rng.random_range(0..4) {
            0 => (0..span).collect(),
            1 => (0..span).rev().collect(),
            2 => (0..span).chain((1..span - 1).rev()).collect(),
            _ => (0..rng.random_range(3..9)).map(|_| rng.random_range(0..span)).collect(),
        };
        let paces: &[usize] = if style.grid == 4 { &[1, 2, 2, 4] } else { &[1, 1, 3] };
        let mut pace = *paces.choose(rng).unwrap_or(&2);
        // Faster than 14 notes a second blurs.
        while style.beat() * (pace as f32) < style.grid as f32 / 14.0 {
            pace *= 2;
        }
        Self { order, pace, gate: rng.random_range(0.3..1.6) }
    }
}

/// One bar of drums.
#[derive(Clone, Debug, Default)]
pub(super) struct Drums {
    /// Grid step, drum, loudness.
    pub(super) strokes: Vec<(usize, Drum, f32)>,
}

impl Drums {
    pub(super) fn draw(rng: &mut ChaCha8Rng, style: &Style) -> Self {
        let (beats, grid, end) = (style.beats, style.grid, style.steps());
        let mut drums = Self::default();
        let snare = if rng.random_bool(0.25) { Drum::Clap } else { Drum::Snare };
        let backbeats: Vec<usize> = (1..beats).step_by(2).map(|b| b * grid).collect();
        match style.groove {
            Groove::FourOnTheFloor => {
                drums.strike((0..beats).map(|b| b * grid), Drum::Kick, 1.0);
                drums.strike(backbeats, snare, 0.8);
            }
            Groove::Backbeat => {
                drums.strike([0], Drum::Kick, 1.0);
                drums.scatter(rng, end, 0.16 + 0.1 * style.density, Drum::Kick, 0.8);
                drums.strike(backbeats, snare, 0.9);
            }
            Groove::Halftime => {
                drums.strike([0], Drum::Kick, 1.0);
                drums.scatter(rng, end, 0.1, Drum::Kick, 0.7);
                drums.strike([(beats / 2) * grid], snare, 1.0);
            }
            Groove::Breakbeat => {
                drums.strike([0], Drum::Kick, 1.0);
                drums.scatter(rng, end, 0.22, Drum::Kick, 0.8);
                drums.strike(backbeats, snare, 0.9);
                drums.scatter(rng, end, 0.18, snare, 0.35);
            }
            Groove::Clave => {
                drums.strike((0..end).step_by(3), Drum::HighTom, 0.6);
                drums.strike([0, end / 2], Drum::Kick, 0.9);
                drums.scatter(rng, end, 0.15, Drum::LowTom, 0.6);
            }
            Groove::March => {
                drums.strike((0..beats).step_by(2).map(|b| b * grid), Drum::Kick, 0.9);
                drums.scatter(rng, end, 0.45, Drum::Snare, 0.45);
            }
            Groove::Brushes => {
                drums.strike((0..beats).map(|b| b * grid), Drum::Shaker, 0.6);
                drums.scatter(rng, end, 0.12, Drum::Snare, 0.3);
                drums.scatter(rng, end, 0.06, Drum::Kick, 0.5);
            }
        }
        let pace = *[1, 2, 2, grid].choose(rng).unwrap_or(&2);
        match weighted(rng, &[4.0, 1.5, 1.5, 1.5]) {
            0 => drums.strike((0..end).step_by(pace), Drum::Hat, 0.5),
            1 => drums.strike((0..end).step_by(pace), Drum::Shaker, 0.5),
            2 => {
                drums.strike((0..end).step_by(grid), Drum::Hat, 0.5);
                drums.strike((grid / 2..end).step_by(grid), Drum::OpenHat, 0.5);
            }
            _ => {}
        }
        for stroke in &mut drums.strokes {
            stroke.2 *= rng.random_range(0.75..1.0);
        }
        drums
    }

    fn strike(&mut self, steps: impl IntoIterator<Item = usize>, drum: Drum, velocity: f32) {
        self.strokes.extend(steps.into_iter().map(|step| (step, drum, velocity)));
    }

    fn scatter(&mut self, rng: &mut ChaCha8Rng, end: usize, p: f32, drum: Drum, velocity: f32) {
        let steps: Vec<usize> = (1..end).filter(|_| rng.random::<f32>() < p).collect();
        self.strike(steps, drum, velocity);
    }

    /// The second half of a bar as a fill.
    pub(super) fn filled(&self, rng: &mut ChaCha8Rng, style: &Style) -> Self {
        let (from, end) = (style.steps() / 2, style.steps());
        let mut filled = Self { strokes: self.strokes.iter().copied().filter(|stroke| stroke.0 < from).collect() };
        for step in from..end {
            if rng.random_bool(0.7) {
                let drum = *[Drum::Snare, Drum::HighTom, Drum::LowTom].choose(rng).unwrap_or(&Drum::Snare);
                filled.strokes.push((step, drum, rng.random_range(0.4..1.0)));
            }
        }
        filled
    }
}
