//! [`songs`]: which tracks of a library are the same sound, found by their mel power.
//!
//! The same recording comes twice under other names, in another format, louder, or a moment later. Its mel power, relative to
//! its mean, is the same but for what a coder changes. Tracks are first told apart by the mean and the spread of every band, and
//! those that agree are laid over each other, frame by frame. Two recordings of rain agree in all but the drops, and are not the same.

use std::ops::Range;

use rayon::prelude::*;
use sordino_corpus::MelTable;
use sordino_front::FeatureSpec;

use crate::examples::Songs;

/// Logarithms of power relative to the track's mean that still count; 43 dB below it a coder's noise is heard, or nothing.
const FLOOR: f32 = -10.0;
/// Most that copies may differ in mean and spread of their bands, as a root mean square of logarithms of power.
const ALIKE: f32 = 0.5;
/// Most that copies may differ where they are laid over each other, of what two sounds of their spread that have nothing to do with
/// each other differ by. Measured: at most 0.44 for MP3 at 32 kbit/s, Vorbis at its worst, AAC, a cut and compression, 0.55 for
/// heavy limiting; at least 0.65 among 299 recorded tracks, between two of one pulse; 1 for two stretches of white noise.
const SAME: f32 = 0.5;
/// The same as a root mean square of logarithms of power: at most 1.45 and 1.7 in those copies, at least 1.6 among those tracks.
const APART: f64 = 1.5;
/// The same of their loudness alone, which is looked at first.
const AS_LOUD: f32 = 0.8;
/// How much later copies may begin, in seconds.
const LATER: f32 = 2.0;
/// The least part of the longer track that copies share.
const SHARED: f32 = 0.8;

/// The songs of a table: tracks of the same sound share one.
pub fn songs(table: &MelTable) -> Songs {
    let outlines = Outlines::of(table, 0..table.len());
    let candidates = outlines.candidates(table.spec());
    outlines.songs(&candidates, table)
}

/// What every track sounds like as a whole. Those of the parts of a library can be put together.
#[derive(Default)]
pub(crate) struct Outlines(Vec<Outline>);

/// Two tracks that may be the same sound, the second moved by so many frames.
pub(crate) type Candidate = (usize, usize, isize);

impl Outlines {
    /// Of some neighbouring tracks.
    pub(crate) fn of(table: &MelTable, tracks: Range<usize>) -> Self {
        Self(tracks.into_par_iter().map(|track| Outline::of(table, track)).collect())
    }

    /// Tracks that may be the same sound.
    pub(crate) fn candidates(&self, spec: &FeatureSpec) -> Vec<Candidate> {
        let outlines = &self.0;
        let latest = (LATER * spec.sample_rate as f32 / spec.hop as f32) as usize;
        // By their mean level, those that may be alike are neighbours.
        let mut order: Vec<usize> = (0..outlines.len()).collect();
        order.sort_by(|&a, &b| outlines[a].level.total_cmp(&outlines[b].level).then(a.cmp(&b)));
        let alike = |place: usize| {
            let (track, near) = (order[place], &outlines[order[place]]);
            let reach = near.level + ALIKE * std::f32::consts::SQRT_2;
            let later = order[place + 1..].iter().take_while(|&&other| outlines[other].level <= reach);
            let alike = later.filter(|&&other| near.is_like(&outlines[other]));
            alike.map(|&other| (track.min(other), track.max(other))).collect::<Vec<_>>()
        };
        let pairs: Vec<(usize, usize)> = (0..order.len()).into_par_iter().flat_map_iter(alike).collect();
        let lagging = |&(a, b): &(usize, usize)| Some((a, b, outlines[a].lag(&outlines[b], latest)?));
        pairs.par_iter().filter_map(lagging).collect()
    }

    /// The songs, by candidates whose sound `table` holds.
    pub(crate) fn songs(&self, candidates: &[Candidate], table: &MelTable) -> Songs {
        let same = |&&(a, b, lag): &&Candidate| Logs::of(table, a).is_same(&Logs::of(table, b), lag);
        let pairs: Vec<&Candidate> = candidates.par_iter().filter(same).collect();
        Songs::distinct(self.0.len()).joined(pairs.into_iter().map(|&(a, b, _)| (a as u32, b as u32)))
    }

    /// Frames of every track, numbers of a band's outline, and all numbers: level, bands and loudness of one track after another.
    pub(crate) fn numbers(&self) -> (Vec<u32>, usize, Vec<f32>) {
        let frames = self.0.iter().map(|outline| outline.loudness.len() as u32).collect();
        let bands = self.0.first().map_or(0, |outline| outline.bands.len());
        let one = |outline: &Outline| [&[outline.level], &outline.bands[..], &outline.loudness[..]].concat();
        (frames, bands, self.0.iter().flat_map(one).collect())
    }

    /// Adds the next tracks, as [`Outlines::numbers`] gave them; nothing where the numbers do not fit together.
    pub(crate) fn extend(&mut self, frames: &[u32], bands: usize, numbers: &[f32]) -> Option<()> {
        let mut rest = numbers;
        for &frames in frames {
            let (level, behind) = rest.split_first()?;
            let (bands, behind) = behind.split_at_checked(bands)?;
            let (loudness, behind) = behind.split_at_checked(frames as usize)?;
            self.0.push(Outline { loudness: loudness.to_vec(), level: *level, bands: bands.to_vec() });
            rest = behind;
        }
        rest.is_empty().then_some(())
    }
}

/// What a whole track sounds like, whatever its length.
struct Outline {
    /// Mean of every frame.
    loudness: Vec<f32>,
    /// Mean over all frames and bands.
    level: f32,
    /// Mean of every band, and its standard deviation.
    bands: Vec<f32>,
}

impl Outline {
    fn of(table: &MelTable, track: usize) -> Self {
        let logs = Logs::of(table, track);
        let loudness = logs.loudness();
        let (mut sum, mut squares) = (vec![0.0_f64; logs.bands], vec![0.0_f64; logs.bands]);
        for frame in logs.values.chunks_exact(logs.bands) {
            for ((sum, squares), &log) in sum.iter_mut().zip(&mut squares).zip(frame) {
                *sum += f64::from(log);
                *squares += f64::from(log * log);
            }
        }
        let count = loudness.len().max(1) as f64;
        let means: Vec<f64> = sum.iter().map(|sum| sum / count).collect();
        let spread = means.iter().zip(&squares).map(|(mean, squares)| (squares / count - mean * mean).max(0.0).sqrt());
        let level = means.iter().sum::<f64>() / means.len().max(1) as f64;
        let bands = means.iter().copied().chain(spread).map(|value| value as f32).collect();
        Self { loudness, level: level as f32, bands }
    }

    fn is_like(&self, other: &Self) -> bool {
        const AT_ONCE: usize = 16;
        let (a, b) = (self.loudness.len(), other.loudness.len());
        if a.min(b) == 0 || (a.min(b) as f32) < SHARED * a.max(b) as f32 {
            return false;
        }
        // Most pairs differ after a few bands.
        let most = ALIKE * ALIKE * self.bands.len() as f32;
        let mut sum = 0.0;
        for (a, b) in self.bands.chunks(AT_ONCE).zip(other.bands.chunks(AT_ONCE)) {
            sum += squares(a, b);
            if sum > most {
                return false;
            }
        }
        true
    }

    /// By how many frames the other has to be moved to be as loud as this at all times, if there is a place where it is.
    fn lag(&self, other: &Self, latest: usize) -> Option<isize> {
        let (a, b) = (&self.loudness, &other.loudness);
        let differ = |lag: isize| {
            let (x, y) = overlap(a.len(), b.len(), lag);
            let enough = x.len() as f32 >= SHARED * a.len().max(b.len()) as f32;
            enough.then(|| (difference(&a[x], &b[y], 1), lag))
        };
        let latest = latest as isize;
        let best = (-latest..=latest).filter_map(differ).min_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|(difference, _)| *difference <= AS_LOUD).map(|(_, lag)| lag)
    }
}

/// Logarithms of a track's mel power relative to its mean, `[frames, bands]` row by row, down to the floor.
struct Logs {
    bands: usize,
    values: Vec<f32>,
}

impl Logs {
    fn of(table: &MelTable, track: usize) -> Self {
        let mel = table.cached(track);
        Self { bands: mel.bands().max(1), values: mel.logs().iter().map(|log| log.to_f32().max(FLOOR)).collect() }
    }

    fn some(&self, frames: Range<usize>) -> &[f32] {
        &self.values[frames.start * self.bands..frames.end * self.bands]
    }

    /// Mean of every frame.
    fn loudness(&self) -> Vec<f32> {
        self.values.chunks_exact(self.bands).map(|frame| frame.iter().sum::<f32>() / self.bands as f32).collect()
    }

    /// Whether both are one sound, the other moved by `lag` frames.
    fn is_same(&self, other: &Self, lag: isize) -> bool {
        let (x, y) = overlap(self.values.len() / self.bands, other.values.len() / other.bands, lag);
        let (a, b) = (self.some(x), other.some(y));
        let apart = (f64::from(squares(a, b)) / a.len().max(1) as f64).sqrt();
        apart <= APART && difference(a, b, self.bands) <= SAME
    }
}

/// How much two sounds of one length differ, frame by frame of so many bands, of what they would if they had nothing to do with each
/// other: the root of the mean square of their difference, over that of the sum of their variances. Sounds that never change
/// have nothing to be told by, and differ without bound.
fn difference(a: &[f32], b: &[f32], bands: usize) -> f32 {
    let variance = |values: &[f32]| -> f64 {
        let (mut sum, mut squares) = (vec![0.0_f64; bands], 0.0_f64);
        for frame in values.chunks_exact(bands) {
            for (sum, &value) in sum.iter_mut().zip(frame) {
                *sum += f64::from(value);
                squares += f64::from(value * value);
            }
        }
        let frames = (values.len() / bands).max(1) as f64;
        (squares - sum.iter().map(|sum| sum * sum / frames).sum::<f64>()).max(0.0)
    };
    let spread = variance(a) + variance(b);
    if spread > 0.0 { (f64::from(squares(a, b)) / spread).sqrt() as f32 } else { f32::INFINITY }
}

/// The parts of two tracks that lie over each other where the second begins `lag` frames after the first.
fn overlap(a: usize, b: usize, lag: isize) -> (Range<usize>, Range<usize>) {
    let (skip_a, skip_b) = (lag.max(0) as usize, (-lag).max(0) as usize);
    let length = a.saturating_sub(skip_a).min(b.saturating_sub(skip_b));
    (skip_a.min(a)..skip_a.min(a) + length, skip_b.min(b)..skip_b.min(b) + length)
}

fn squares(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use sordino_corpus::{IndexOptions, synth};
    use sordino_front::FeatureSpec;

    use super::*;

    #[test]
    fn the_same_sound_under_other_names_is_one_song() {
        let spec = FeatureSpec { query_seconds: 5.0, ..FeatureSpec::default() };
        let songs = |catalogue| {
            let (table, _) = MelTable::measure(&catalogue, &spec, &IndexOptions::for_spec(&spec).sound).unwrap();
            super::songs(&table)
        };
        let mut catalogue = synth::catalogue(12, 1);
        assert_eq!(songs(catalogue.clone()), Songs::distinct(12));
        for (copy, original) in [(7, 2), (9, 7), (10, 0)] {
            catalogue.tracks[copy].source = catalogue.tracks[original].source.clone();
        }
        assert_eq!(songs(catalogue).copies().collect::<Vec<_>>(), [(7, 2), (9, 2), (10, 0)]);
    }

    #[test]
    fn what_lies_over_each_other_is_of_one_length() {
        assert_eq!(overlap(10, 8, 0), (0..8, 0..8));
        assert_eq!(overlap(10, 8, 3), (3..10, 0..7));
        assert_eq!(overlap(10, 8, -3), (0..5, 3..8));
        assert_eq!(overlap(2, 8, 5), (2..2, 0..0));
    }

    #[test]
    fn what_has_nothing_to_do_with_each_other_differs_by_one() {
        let (a, b) = ([1.0, 5.0, -1.0, 5.0, 1.0, 5.0, -1.0, 5.0], [1.0, 5.0, 1.0, 5.0, -1.0, 5.0, -1.0, 5.0]);
        assert_eq!((difference(&a, &b, 2), difference(&a, &a, 2)), (1.0, 0.0));
        assert_eq!(difference(&[2.0; 8], &[2.0; 8], 2), f32::INFINITY);
    }
}
