//! [`Style`]: what stays the same throughout a piece, and who plays in it.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::theory::{Key, weighted};

/// Beats in a bar, how often each is drawn.
const METRES: [(usize, f32); 5] = [(4, 12.0), (3, 3.0), (2, 1.5), (5, 0.7), (7, 0.5)];

/// Tempo, metre, key and habits of a piece.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// Beats per minute.
    pub(super) tempo: f32,
    /// Beats in a bar.
    pub(super) beats: usize,
    /// Grid steps in a beat: 4 (straight) or 3 (triplets).
    pub(super) grid: usize,
    /// Where the off-beat eighth falls within a beat: 0.5 straight, 0.67 swung.
    pub(super) swing: f32,
    pub(super) key: Key,
    /// Deviation of the whole band from A4 = 440 Hz, in semitones.
    pub(super) tuning: f32,
    /// Standard deviation of note starts, in seconds.
    pub(super) looseness: f32,
    /// How extended chords are, 0 to 1.
    pub(super) richness: f32,
    /// How many notes are played, 0 to 1.
    pub(super) density: f32,
    /// Groove that the drum patterns start from.
    pub(super) groove: Groove,
}

/// Families of drum pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Groove {
    FourOnTheFloor,
    Backbeat,
    Halftime,
    Breakbeat,
    Clave,
    March,
    Brushes,
}

impl Style {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let metre = weighted(rng, &METRES.map(|(_, weight)| weight));
        let grooves = [
            Groove::FourOnTheFloor,
            Groove::Backbeat,
            Groove::Halftime,
            Groove::Breakbeat,
            Groove::Clave,
            Groove::March,
            Groove::Brushes,
        ];
        Self {
            // Log-uniform: tempi are heard as ratios.
            tempo: 58.0 * (190.0_f32 / 58.0).powf(rng.random()),
            beats: METRES[metre].0,
            grid: if rng.random_bool(0.22) { 3 } else { 4 },
            swing: if rng.random_bool(0.3) { rng.random_range(0.52..0.67) } else { 0.5 },
            key: Key::draw(rng),
            tuning: rng.random_range(-0.5..0.5),
            looseness: rng.random_range(0.0_f32..0.012),
            richness: rng.random(),
            density: rng.random(),
            groove: *grooves.choose(rng).unwrap_or(&Groove::Backbeat),
        }
    }

    /// Seconds in a beat.
    pub(super) fn beat(&self) -> f32 {
        60.0 / self.tempo
    }

    /// Grid steps in a bar.
    pub(super) fn steps(&self) -> usize {
        self.beats * self.grid
    }

    /// Seconds from the start of bar `bar` to its grid step `step` (fractions and steps beyond the bar allowed), swung.
    pub(super) fn time(&self, bar: usize, step: f32) -> f32 {
        let beats = step / self.grid as f32;
        let (whole, fraction) = (beats.floor(), beats.fract());
        let swung = match self.grid {
            3 => fraction,
            _ if fraction < 0.5 => 2.0 * self.swing * fraction,
            _ => self.swing + 2.0 * (1.0 - self.swing) * (fraction - 0.5),
        };
        self.beat() * ((bar * self.beats) as f32 + whole + swung)
    }
}

/// Which players a piece has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) lead: bool,
    pub(super) second: bool,
    pub(super) comp: bool,
    pub(super) arpeggio: bool,
    pub(super) pad: bool,
    pub(super) bass: bool,
    pub(super) drums: bool,
}

impl Roles {
    /// A band: from a solo player to everybody.
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let mut roles = Self {
            lead: rng.random_bool(0.75),
            second: rng.random_bool(0.2),
            comp: rng.random_bool(0.6),
            arpeggio: rng.random_bool(0.4),
            pad: rng.random_bool(0.45),
            bass: rng.random_bool(0.75),
            drums: rng.random_bool(0.72),
        };
        if !(roles.comp || roles.arpeggio || roles.pad) {
            roles.comp = true;
        }
        roles
    }

    /// Who of the band plays in one section: somebody always does.
    pub(super) fn section(self, rng: &mut ChaCha8Rng) -> Self {
        let mut keep = |present: bool, p: f64| present && rng.random_bool(p);
        let section = Self {
            lead: keep(self.lead, 0.8),
            second: keep(self.second, 0.6),
            comp: keep(self.comp, 0.85),
            arpeggio: keep(self.arpeggio, 0.8),
            pad: keep(self.pad, 0.8),
            bass: keep(self.bass, 0.9),
            drums: keep(self.drums, 0.9),
        };
        if section.comp || section.arpeggio || section.pad || section.lead { section } else { self }
    }
}
