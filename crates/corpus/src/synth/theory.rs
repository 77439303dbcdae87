//! Scales, chords and progressions.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Seven-note scales in semitones above the tonic: the seven church modes that are in use, and two minor variants.
const MODES: [[u8; 7]; 8] = [
    [0, 2, 4, 5, 7, 9, 11],
    [0, 2, 3, 5, 7, 8, 10],
    [0, 2, 3, 5, 7, 9, 10],
    [0, 2, 4, 5, 7, 9, 10],
    [0, 2, 3, 5, 7, 8, 11],
    [0, 2, 4, 6, 7, 9, 11],
    [0, 1, 3, 5, 7, 8, 10],
    [0, 2, 3, 5, 7, 9, 11],
];
/// How often each of [`MODES`] is drawn: major and minor lead, as they do in songs.
const MODE_WEIGHTS: [f32; 8] = [6.0, 5.0, 3.0, 2.5, 1.5, 1.0, 1.0, 0.7];

/// Likelihood that the chord on one degree (row, from the tonic) is followed by the chord on another (column): the
/// usual functional moves (dominant to tonic, subdominant to dominant, falling fifths), none of them forbidden.
const MOVES: [[f32; 7]; 7] = [
    [0.3, 1.0, 0.7, 3.0, 3.0, 2.5, 0.9],
    [0.8, 0.1, 0.5, 0.9, 4.0, 0.5, 0.5],
    [0.5, 0.8, 0.1, 2.2, 0.5, 3.0, 0.3],
    [2.5, 1.5, 0.5, 0.2, 3.0, 0.8, 0.9],
    [4.0, 0.4, 0.5, 1.5, 0.2, 2.2, 0.3],
    [0.8, 2.2, 0.9, 3.0, 2.0, 0.1, 0.8],
    [3.0, 0.3, 1.0, 1.2, 0.6, 1.8, 0.1],
];

/// Draws a position with these relative weights.
pub(super) fn weighted(rng: &mut ChaCha8Rng, weights: &[f32]) -> usize {
    let mut left = rng.random::<f32>() * weights.iter().sum::<f32>();
    for (position, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return position;
        }
    }
    weights.len().saturating_sub(1)
}

/// A tonic and a scale on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Key {
    /// Tonic as a MIDI note in the octave of middle C (60 to 71).
    pub(super) tonic: i32,
    scale: [u8; 7],
}

impl Key {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        Self { tonic: rng.random_range(60..72), scale: MODES[weighted(rng, &MODE_WEIGHTS)] }
    }

    /// MIDI note of scale degree `degree`, counted from the tonic in the octave of middle C; negative degrees go down.
    pub(super) fn note(&self, degree: i32) -> i32 {
        self.tonic + 12 * degree.div_euclid(7) + i32::from(self.scale[degree.rem_euclid(7) as usize])
    }
}

/// Which notes are stacked on a chord's root, in scale steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stack {
    Triad,
    Seventh,
    Suspended,
    AddedNinth,
    Power,
}

impl Stack {
    fn steps(self) -> &'static [i32] {
        match self {
            Self::Triad => &[0, 2, 4],
            Self::Seventh => &[0, 2, 4, 6],
            Self::Suspended => &[0, 3, 4],
            Self::AddedNinth => &[0, 2, 4, 8],
            Self::Power => &[0, 4, 7],
        }
    }
}

/// A chord on a degree of the scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chord {
    /// 0 (tonic) to 6.
    pub(super) degree: i32,
    pub(super) stack: Stack,
}

impl Chord {
    /// The chord's scale degrees, lowest first, from the root upwards.
    pub(super) fn degrees(&self) -> impl Iterator<Item = i32> + '_ {
        self.stack.steps().iter().map(|step| self.degree + step)
    }

    /// The chord tone nearest to scale degree `degree`, in any octave.
    pub(super) fn nearest(&self, degree: i32) -> i32 {
        let distance = |candidate: &i32| (candidate - degree).abs();
        let octaves = |tone: i32| {
            let below = tone + 7 * (degree - tone).div_euclid(7);
            [below, below + 7]
        };
        self.degrees().flat_map(octaves).min_by_key(distance).unwrap_or(degree)
    }
}

/// A cycle of chords, each with its length in half bars.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progression(Vec<Chord>);

impl Progression {
    /// `halves` half bars of harmony; how chords are coloured follows `richness` (0: triads, 1: mostly extended).
    pub(super) fn draw(rng: &mut ChaCha8Rng, halves: usize, richness: f32) -> Self {
        let mut cycle = Vec::with_capacity(halves);
        let pace = *[1, 2, 2, 2, 2, 4].choose(rng).unwrap_or(&2);
        let mut degree = if rng.random_bool(0.75) { 0 } else { rng.random_range(1..6) };
        let colour = Self::colour(rng, richness);
        while cycle.len() < halves {
            let stack = if rng.random_bool(0.7) { colour } else { Self::colour(rng, richness) };
            let length = if rng.random_bool(0.85) { pace } else { *[1, 2, 4].choose(rng).unwrap_or(&2) };
            cycle.extend(std::iter::repeat_n(Chord { degree: degree as i32, stack }, length));
            degree = weighted(rng, &MOVES[degree]);
        }
        cycle.truncate(halves);
        Self(cycle)
    }

    fn colour(rng: &mut ChaCha8Rng, richness: f32) -> Stack {
        let plain = 1.0 - richness;
        match weighted(rng, &[0.3 + 2.0 * plain, 1.5 * richness, 0.3, 1.2 * richness, 0.6 * plain]) {
            0 => Stack::Triad,
            1 => Stack::Seventh,
            2 => Stack::Suspended,
            3 => Stack::AddedNinth,
            _ => Stack::Power,
        }
    }

    /// The chord of a half bar, cyclically.
    pub(super) fn at(&self, half: usize) -> Chord {
        self.0.get(half % self.0.len().max(1)).copied().unwrap_or(Chord { degree: 0, stack: Stack::Triad })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    #[test]
    fn degrees_climb_the_scale_through_octaves() {
        let key = Key { tonic: 60, scale: MODES[0] };
        assert_eq!((0..8).map(|d| key.note(d)).collect::<Vec<_>>(), [60, 62, 64, 65, 67, 69, 71, 72]);
        assert_eq!(key.note(-1), 59);
        assert_eq!(key.note(-7), 48);
    }

    #[test]
    fn nearest_is_a_chord_tone_at_most_two_steps_away() {
        for degree in -20..20 {
            for root in 0..7 {
                let chord = Chord { degree: root, stack: Stack::Triad };
                let tone = chord.nearest(degree);
                assert!((tone - degree).abs() <= 2);
                assert!(chord.degrees().any(|d| (d - tone).rem_euclid(7) == 0));
            }
        }
    }

    #[test]
    fn progressions_have_the_length_asked_for() {
        for item in 0..50 {
            let progression = Progression::draw(&mut seed::rng(item, 0), 8, 0.5);
            assert_eq!(progression.0.len(), 8);
            assert_eq!(progression.at(3), progression.at(11));
        }
    }
}
