//! [`train_raw`]: rows on what encrypted samples tell.
//!
//! The space is that of [`crate::space::whitening`], on a few hundred features. Encrypted, no vector is brought to unit length. So scores are
//! products and not cosines, and the unknown test holds the best one against a multiple of the vector's length.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array2, Axis};
use sordino_audio::{ImpulseBank, NoiseBank};
use sordino_corpus::{MelTable, SoundOptions, parts};
use sordino_model::raw::{Length, RawInput};
use sordino_model::stage::Stage;
use sordino_model::{Lead, Reach};

use crate::examples::places::Places;
use crate::examples::rounds::{draw, draw_some};
use crate::examples::{Classes, Examples as _, Songs};
use crate::raw::clips::{RawClips, is_clean};
use crate::raw::space::{RawSpace, Seen, best_of, finite};
use crate::raw::{RawModel, RawSettings};
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::{Progress, Report};
use crate::run::training_run::TrainingRun;
use crate::space::scatter::{Drawn, Moments, Scatter, Standard};
use crate::space::whitening::{Whitening, WhiteningSettings};
use crate::unknown::imitation::{FIFTHS, LeftOut, fifth};
use crate::unknown::threshold::{Cut, UnknownSettings, cut};
use crate::{LearnError, TrainConfig};

/// Largest integer weight.
const MOST: f32 = 127.0;
/// Steps of a ratio of a score to a length.
const RATIO: f32 = 65_536.0;
/// Share of clips whose scores must fit the room that the plan gives them.
const FITTING: f64 = 0.999;

/// What a library's ears learn from.
#[derive(Clone, Copy)]
pub struct Hearing<'a> {
    /// The tracks, whose sound is read.
    pub table: &'a MelTable,
    /// How it is read.
    pub sound: &'a SoundOptions,
    /// What disturbs it: the training parts of the banks.
    pub banks: (&'a NoiseBank, &'a ImpulseBank),
    /// Settings of the training: clips, passages, disturbances, the unknown test.
    pub config: &'a TrainConfig,
    /// Which tracks are copies of each other.
    pub songs: &'a Songs,
}

/// Learns to name the tracks of a library by the features of encrypted samples.
///
/// All sound of the library is held in memory: 500 KB for a track of 30 s.
///
/// # Errors
/// [`LearnError::Setting`] for settings outside their range, [`LearnError::Unread`] for a track whose sound cannot be read, [`LearnError::TooFew`] for one that
/// is too short, [`LearnError::Interrupted`] where `progress` asks to stop.
pub fn train_raw(of: Hearing<'_>, settings: &RawSettings, progress: &dyn Progress) -> Result<RawModel, LearnError> {
    settings.validate()?;
    let Hearing { table, sound, banks, config, songs } = of;
    let checkpoints = Checkpoints::none();
    let run = TrainingRun { device: config.device.open()?, seed: config.seed, checkpoints, progress };
    let (read, steps) = (AtomicUsize::new(0), table.len());
    let tick = || {
        let step = read.fetch_add(1, Ordering::Relaxed) + 1;
        // A request to stop is heard at the next phase.
        let _ = run.report(&Report { phase: "sound", step, steps, loss: None, metric: None });
    };
    let clips = RawClips::new(table, sound, banks, config, settings, songs, tick)?;
    let classes = clips.classes().clone();
    let rounds = classes.rounds(config.clips(classes.labels()), 4).max(2);
    let features = draw(&clips, &(0..classes.len()), 0..rounds, rounds, &run)?;
    let every: Vec<usize> = (0..classes.len()).collect();
    let places = Places::spread(classes.rounds(config.unknown.clips, 2), &every, 16_384);
    let held_out = draw_some(&clips, &places, &run)?;

    // Parts of one recording are no strangers to each other.
    let works = songs.joined(parts(table.tracks()));
    let learner = Learner::new(&features, &classes, &works, config, settings)?;
    let (space, kept) = learner.space(None)?;
    debug_assert_eq!(kept.len(), classes.len());
    run.end_of("rows")?;
    let of_place: Vec<usize> = places.iter().map(|(_, class)| class).collect();
    let song = |place: usize| works.of(classes.label(of_place[place]));
    let known = space.see(held_out.view());
    // No threshold names the others rightly.
    let right = known.iter().enumerate().filter_map(|(i, seen)| {
        let (own, other) = best_of(seen, &classes, &works, song(i));
        (own > other).then_some((own, seen.length))
    });
    let right: Vec<(f32, f32)> = right.collect();
    // Undisturbed strangers pass most easily, so it is them that the threshold is for.
    let clean: Vec<usize> = places.iter().enumerate().filter(|(_, p)| is_clean(p.0)).map(|(i, _)| i).collect();
    let of_clean: Vec<usize> = clean.iter().map(|&place| of_place[place]).collect();
    let strangers = learner.strangers(&held_out.select(Axis(0), &clean), &of_clean)?;
    run.end_of("strangers")?;
    let ratios = |clips: &[(f32, f32)]| -> Result<Vec<i64>, LearnError> {
        clips
            .iter()
            .map(|(best, length)| finite(RATIO * best / length.max(f32::MIN_POSITIVE)).map(|r| r as i64))
            .collect()
    };
    let asked = UnknownSettings { accepted: settings.accepted, lost: settings.lost, ..config.unknown };
    let test = cut(ratios(&right)?, ratios(&strangers)?, &asked);
    let above = test.above as f32 / RATIO;

    let evidence = Evidence { known, right, strangers, above };
    rounded(&clips, &space, evidence, test, songs)
}

/// What is known of held-out clips.
struct Evidence {
    known: Vec<Seen>,
    /// The score and the length of those that are named rightly.
    right: Vec<(f32, f32)>,
    /// The same of strangers.
    strangers: Vec<(f32, f32)>,
    /// Where known and unknown part, in lengths.
    above: f32,
}

/// The model in integers.
fn rounded(
    clips: &RawClips<'_>,
    space: &RawSpace,
    evidence: Evidence,
    mut test: Cut,
    songs: &Songs,
) -> Result<RawModel, LearnError> {
    let Evidence { known, right, strangers, above } = evidence;
    let classes = clips.classes();
    let rows = space.rows_on_features();
    let unit = MOST / largest(&rows);
    let along = unit.min(MOST / largest(&space.map.weight));
    let units = |clips: &[(f32, f32)]| -> Vec<i64> {
        clips.iter().map(|(best, length)| (unit * (best - above * length)) as i64).collect()
    };
    test.reach = Reach::of(units(&right), units(&strangers));

    let (weights, offsets) = integers(&rows, unit, &space.mean);
    let biases = offsets.iter().zip(&space.biases).map(|(offset, bias)| offset + (unit * bias * space.usual) as i32);
    let (directions, moved) = integers(&space.map.weight, along, &space.mean);
    let factor = RATIO * above * unit / (along * moved.len() as f32);
    let spec = clips.raw_front().spec();
    let count = moved.len();
    let directions = Stage::new(count, spec.bound(), directions, moved, vec![count])?;
    let length = Length::new(directions, factor.max(0.0) as u32)?;
    let spread = spread(&known, unit, along);
    let input = RawInput::new(clips.raw_front().clone(), length, spread)?;
    let count = classes.len();
    let stage = Stage::new(count, spec.bound(), weights, biases.collect(), vec![count])?;
    let starts = (0..count).map(|class| Some(clips.start(class)?.as_millis() as u32)).collect();
    let lead = Lead { copies: songs.copies().collect(), scores: Some(test.reach), ..Lead::default() };
    Ok(RawModel { input, stage, slots: classes.all().to_vec(), starts, lead, test })
}

/// Makes spaces of some of the classes.
struct Learner<'a> {
    features: &'a Array2<f32>,
    classes: &'a Classes,
    works: &'a Songs,
    config: &'a TrainConfig,
    settings: &'a RawSettings,
    standard: Standard,
    /// Of every fifth of the songs.
    scatters: Vec<Scatter>,
}

impl<'a> Learner<'a> {
    fn new(
        features: &'a Array2<f32>,
        classes: &'a Classes,
        works: &'a Songs,
        config: &'a TrainConfig,
        settings: &'a RawSettings,
    ) -> Result<Self, LearnError> {
        let (all, weights) = (0..classes.len(), vec![1.0; classes.len()]);
        let drawn = Drawn { features: features.view(), classes: &all };
        let standard = Moments::of(drawn, classes, &weights).standard()?;
        let set = |class| fifth(classes, works, class);
        let scatters = Scatter::of(drawn, classes, &weights, &standard, FIFTHS, set);
        Ok(Self { features, classes, works, config, settings, standard, scatters })
    }

    /// The space of all classes but those left out, and which they are.
    fn space(&self, left_out: Option<&LeftOut>) -> Result<(RawSpace, Vec<usize>), LearnError> {
        let kept = left_out.map_or_else(|| (0..self.classes.len()).collect(), |left_out| left_out.kept.clone());
        let mut scatter = Scatter::none(self.features.ncols());
        let stays = |f: usize| left_out.is_none_or(|left_out| left_out.fifth() != f);
        self.scatters.iter().enumerate().filter(|(f, _)| stays(*f)).for_each(|(_, own)| scatter += own);
        let settings = WhiteningSettings { width: self.settings.directions, ridge: RIDGE };
        let whitening = Whitening::of(&scatter.spread()?, &self.standard, kept.len(), None, settings)?;
        let rounds = self.features.nrows() / self.classes.len();
        let places = (0..rounds).flat_map(|round| kept.iter().map(move |class| round * self.classes.len() + class));
        let features = self.features.select(Axis(0), &places.collect::<Vec<_>>());
        let numbers: Vec<u32> = (0..rounds).flat_map(|_| 0..kept.len() as u32).collect();
        let song = |row: usize| self.works.of(self.classes.label(kept[row]));
        let hubness = self.config.tracks.hubness;
        let space = RawSpace::new(&whitening, features.view(), &numbers, kept.len(), hubness, song, self.config.seed);
        Ok((space, kept))
    }

    /// The best score and the length of held-out clips of songs that are left out, in turn, as if they were strangers.
    fn strangers(&self, held_out: &Array2<f32>, of_place: &[usize]) -> Result<Vec<(f32, f32)>, LearnError> {
        let mut found = Vec::new();
        for left_out in LeftOut::in_turn(self.classes, self.works) {
            let (space, _) = self.space(Some(&left_out))?;
            let away = |place: &usize| fifth(self.classes, self.works, of_place[*place]) == left_out.fifth();
            let places: Vec<usize> = (0..of_place.len()).filter(away).collect();
            let seen = space.see(held_out.select(Axis(0), &places).view());
            let best = |seen: &Seen| seen.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            found.extend(seen.iter().map(|seen| (best(seen), seen.length)));
        }
        Ok(found)
    }
}

/// Added to the within-class variance of standardised features: of sums of coarse levels, more of it is chance than elsewhere.
const RIDGE: f32 = 1e-3;

fn largest(rows: &Array2<f32>) -> f32 {
    rows.iter().fold(f32::MIN_POSITIVE, |most, w| most.max(w.abs()))
}

/// Rows as integers, and for each what is added so that the mean of all features comes to nothing.
fn integers(rows: &Array2<f32>, unit: f32, mean: &[f32]) -> (Vec<i8>, Vec<i32>) {
    let weights: Vec<i8> = rows.iter().map(|w| (w * unit).round_ties_even() as i8).collect();
    let offset = |row: &[i8]| {
        let sum: f64 = row.iter().zip(mean).map(|(w, m)| f64::from(*w) * f64::from(*m)).sum();
        -sum.round() as i32
    };
    let offsets = weights.chunks_exact(mean.len()).map(offset).collect();
    (weights, offsets)
}

/// How far apart numbers are that a query compares: scores in steps of `1 / unit`, and what lies along a direction in steps of `1 / along`, of all but a few clips.
fn spread(seen: &[Seen], unit: f32, along: f32) -> u64 {
    let spread = |seen: &Seen| {
        let ends = (f32::INFINITY, f32::NEG_INFINITY);
        let (least, most) = seen.scores.iter().fold(ends, |(least, most), s| (least.min(*s), most.max(*s)));
        (unit * (most - least)).max(along * seen.peak)
    };
    let mut spreads: Vec<f32> = seen.iter().map(spread).collect();
    spreads.sort_by(f32::total_cmp);
    let at = ((spreads.len() as f64 * FITTING) as usize).min(spreads.len().saturating_sub(1));
    spreads.get(at).map_or(1, |spread| (*spread as u64).max(1))
}
