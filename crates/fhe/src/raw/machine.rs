//! [`RawMachine`]: the machine that walks the circuit of `raw` on ciphertexts, from samples to an answer.

use std::time::Instant;

use rayon::prelude::*;
use sordino_model::circuit::{CircuitError, Machine, StageId};
use sordino_model::layout::TournamentLayout;
use sordino_model::raw::RawInput;
use sordino_model::stage::Stage;
use tfhe::core_crypto::prelude::CiphertextModulus;

use super::correlation::Correlator;
use super::difference_unit;
use super::key::RawServerKey;
use super::work::Work;
use crate::FheError;
use crate::bootstrap::blind_rotation::Table;
use crate::bootstrap::evaluator::Evaluator;
use crate::decision::tournament::EncryptedTournament;
use crate::ring::glwe::{Glwe, Lwe, add_assign, add_constant, difference, trivial_lwe};

/// A quarter of the torus.
const QUARTER: u64 = 1 << 62;

/// What a machine is for: a model, and what follows from it and its plan.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) input: &'a RawInput,
    pub(crate) stage: &'a Stage,
    pub(crate) layout: &'a TournamentLayout,
    pub(crate) correlator: &'a Correlator,
    /// What one unit of a feature, and of a score, is on the torus.
    pub(crate) delta: u64,
}

/// A register of the machine.
pub(crate) enum RawValue {
    /// A ciphertext for every cell.
    Samples(Vec<Glwe>),
    /// Energies of shape `[cells, bands]`, in units of `q / 2^product_log2`, under the samples' key.
    Energies(Vec<Lwe>),
    /// Levels of shape `[cells, bands]`, in units of a difference and in units of a feature.
    Levels { large: Vec<Lwe>, small: Vec<Lwe> },
    /// Differences of levels, in units of a feature.
    Differences(Vec<Lwe>),
    /// A feature vector.
    Vector(Vec<Lwe>),
    /// The score of every row.
    Scores(Vec<Lwe>),
    /// The winner of a tournament.
    Choice(EncryptedTournament),
    /// What the best score is held against.
    Length(Lwe),
    /// An answer's bits in the leading coefficients, and noise in the others.
    Answer(Glwe),
}

impl RawValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Samples(_) => "samples",
            Self::Energies(_) => "energies",
            Self::Levels { .. } => "levels",
            Self::Differences(_) => "differences",
            Self::Vector(_) => "a vector",
            Self::Scores(_) => "scores",
            Self::Choice(_) => "a choice",
            Self::Length(_) => "a length",
            Self::Answer(_) => "an answer",
        }
    }

    fn refused(&self, op: &'static str, expected: &'static str) -> FheError {
        FheError::Kind { op, found: self.kind(), expected }
    }
}

/// Ciphertexts, for one query. Counts what it does.
pub(crate) struct RawMachine<'a> {
    heard: Heard<'a>,
    raw: &'a RawServerKey,
    evaluator: Evaluator<'a>,
    /// The score beyond which a track is known.
    above: Lwe,
    work: Work,
}

impl<'a> RawMachine<'a> {
    /// A machine for one query.
    pub(crate) fn new(heard: Heard<'a>, raw: &'a RawServerKey, evaluator: Evaluator<'a>, above: Lwe) -> Self {
        Self { heard, raw, evaluator, above, work: Work::default() }
    }

    /// What was done.
    pub(crate) fn into_work(self) -> Work {
        Work { decisions: self.evaluator.counts(), ..self.work }
    }

    /// Energies of all bands of a scale from the autocorrelation of a cell at that scale, exactly; each with the number of its band.
    fn bands(&self, correlation: &Glwe, scale: u32) -> Vec<(usize, Lwe)> {
        let front = self.heard.input.front();
        let bands = (0..front.spec().bands).filter(|&band| front.scale(band) == scale);
        let mut energies: Vec<_> = bands.map(|band| (band, vec![0u64; correlation.size() + 1])).collect();
        for lag in 0..front.spec().taps {
            let at_lag = correlation.extract(lag);
            for (band, energy) in &mut energies {
                add_times(energy, &at_lag, (front.band(*band)[lag] >> scale).into());
            }
        }
        energies.into_iter().map(|(band, energy)| (band, lwe(energy))).collect()
    }

    /// A table of a function of the distance of a phase from a quarter of the torus.
    fn distances(&self, value: impl Fn(u64) -> u64) -> Table {
        let size = self.evaluator.size();
        let middle = |p: usize| (2 * p as u64 + 1) << (63 - (2 * size).ilog2());
        Table::new(size, 0, 0, |p| value(middle(p).abs_diff(QUARTER)))
    }

    /// The score of one row of a stage of one group, exactly.
    fn product(&self, vector: &[Lwe], stage: &Stage, row: usize) -> Lwe {
        let mut sum = vec![0u64; self.evaluator.size() + 1];
        let weighted = vector.iter().zip(stage.row(0, row));
        weighted.for_each(|(feature, &weight)| add_times(&mut sum, feature, weight.into()));
        let mut product = lwe(sum);
        add_constant(&mut product, (i64::from(stage.bias(0, row)) as u64).wrapping_mul(self.heard.delta));
        product
    }
}

impl Machine for RawMachine<'_> {
    type Value = RawValue;
    type Error = FheError;

    fn energies(&mut self, samples: &RawValue) -> Result<RawValue, FheError> {
        let start = Instant::now();
        let RawValue::Samples(samples) = samples else { return Err(samples.refused("energies", "samples")) };
        let front = self.heard.input.front();
        let scales = front.scales();
        let cells: Vec<_> =
            (0..samples.len()).flat_map(|cell| scales.iter().map(move |&scale| (cell, scale))).collect();
        let energies = |&(cell, scale): &(usize, u32)| {
            let correlation = self.heard.correlator.autocorrelation(&samples[cell], scale, self.raw);
            let bands = self.bands(&correlation, scale).into_iter();
            bands.map(|(band, energy)| (cell * front.spec().bands + band, energy)).collect()
        };
        let mut energies: Vec<(usize, Lwe)> = self.evaluator.correlate(&cells, energies);
        energies.sort_unstable_by_key(|(place, _)| *place);
        self.work.spectrum += start.elapsed();
        self.evaluator.still_wanted()?;
        Ok(RawValue::Energies(energies.into_iter().map(|(_, energy)| energy).collect()))
    }

    fn levels(&mut self, energies: &RawValue) -> Result<RawValue, FheError> {
        let start = Instant::now();
        let RawValue::Energies(energies) = energies else { return Err(energies.refused("levels", "energies")) };
        let (levels, size) = (self.heard.input.front().levels(), self.evaluator.size());
        let table =
            |unit: u64| Table::new(size, 0, 0, |p| (i64::from(levels.at_index(p, size)) as u64).wrapping_mul(unit));
        let (large, small) = (table(difference_unit(self.heard.input.front().spec())), table(self.heard.delta));
        let by = [(&self.evaluator.comparison().rotation, &large), (&self.raw.rotation, &small)];
        let found = self.evaluator.look_up(&self.raw.keyswitch, &by, energies);
        self.work.levels += start.elapsed();
        self.evaluator.still_wanted()?;
        let [large, small] = <[Vec<Lwe>; 2]>::try_from(found).unwrap_or_default();
        Ok(RawValue::Levels { large, small })
    }

    fn differences(&mut self, levels: &RawValue, lag: usize) -> Result<RawValue, FheError> {
        let start = Instant::now();
        let RawValue::Levels { large, .. } = levels else { return Err(levels.refused("differences", "levels")) };
        let earlier = large.iter().zip(&large[lag * self.heard.input.front().spec().bands..]);
        let differences = earlier.map(|(earlier, later)| {
            let mut difference = difference(later, earlier);
            add_constant(&mut difference, QUARTER);
            difference
        });
        let (two, delta) = (2 * difference_unit(self.heard.input.front().spec()), self.heard.delta);
        let table = self.distances(|distance| ((distance + two / 2) / two).wrapping_mul(delta));
        let by = [(&self.raw.rotation, &table)];
        let keyswitch = &self.evaluator.comparison().keyswitch;
        let found = self.evaluator.look_up(keyswitch, &by, &differences.collect::<Vec<_>>()).pop();
        self.work.differences += start.elapsed();
        self.evaluator.still_wanted()?;
        Ok(RawValue::Differences(found.unwrap_or_default()))
    }

    fn sums(&mut self, of: &[&RawValue]) -> Result<RawValue, FheError> {
        let bands = self.heard.input.front().spec().bands;
        let mut vector = Vec::new();
        for value in of {
            let (RawValue::Levels { small: values, .. } | RawValue::Differences(values)) = value else {
                return Err(value.refused("sums", "levels or differences"));
            };
            vector.extend((0..bands).map(|b| sum(values.iter().skip(b).step_by(bands))));
        }
        Ok(RawValue::Vector(vector))
    }

    fn length(&mut self, vector: &RawValue) -> Result<RawValue, FheError> {
        let start = Instant::now();
        let RawValue::Vector(vector) = vector else { return Err(vector.refused("length", "a vector")) };
        let length = self.heard.input.length();
        let along = (0..length.count()).map(|j| {
            let mut along = self.product(vector, length.directions(), j);
            add_constant(&mut along, QUARTER);
            along
        });
        let ratio = length.ratio();
        let table = self.distances(|distance| (distance as f64 * ratio) as u64);
        let keyswitch = &self.evaluator.comparison().keyswitch;
        let by = [(&self.raw.rotation, &table)];
        let found = self.evaluator.look_up(keyswitch, &by, &along.collect::<Vec<_>>()).pop().unwrap_or_default();
        self.work.length += start.elapsed();
        self.evaluator.still_wanted()?;
        Ok(RawValue::Length(sum(found.iter())))
    }

    fn linear(&mut self, _stage: StageId, vector: &RawValue) -> Result<RawValue, FheError> {
        let start = Instant::now();
        let RawValue::Vector(vector) = vector else { return Err(vector.refused("linear", "a vector")) };
        let stage = self.heard.stage;
        let score = |row: usize| self.product(vector, stage, row);
        let scores = (0..stage.count(0)).into_par_iter().map(score).collect();
        self.work.scores += start.elapsed();
        Ok(RawValue::Scores(scores))
    }

    fn select(&mut self, _scores: &RawValue, _index: &RawValue) -> Result<RawValue, FheError> {
        Err(CircuitError::NoOp { op: "select" }.into())
    }

    fn argmax(&mut self, _: StageId, entries: &[(&RawValue, Option<&RawValue>)]) -> Result<RawValue, FheError> {
        let start = Instant::now();
        let [(RawValue::Scores(scores), None)] = entries else {
            let found = entries.first().map_or("nothing", |(value, _)| value.kind());
            return Err(FheError::Kind { op: "argmax", found, expected: "the scores of all rows" });
        };
        let mut candidates: Vec<Option<Lwe>> = vec![None; 1 << self.heard.layout.candidate_bits(0, 1)];
        for (row, score) in scores.iter().enumerate() {
            candidates[self.heard.layout.candidate(0, 0, row)] = Some(score.clone());
        }
        let played = EncryptedTournament::play(&self.evaluator, candidates, 0);
        self.work.play += start.elapsed();
        self.evaluator.still_wanted()?;
        let nobody = FheError::Kind { op: "argmax", found: "no rows", expected: "at least one" };
        played.map(RawValue::Choice).ok_or(nobody)
    }

    fn beyond(&mut self, choice: &RawValue, length: &RawValue) -> Result<RawValue, FheError> {
        let start = Instant::now();
        let (RawValue::Choice(played), RawValue::Length(length)) = (choice, length) else {
            return Err(choice.refused("beyond", "a choice and a length"));
        };
        let mut beyond = difference(&difference(played.winner(), length), &self.above);
        // Scores are integers: above the threshold means above it by one half.
        add_constant(&mut beyond, (self.heard.delta / 2).wrapping_neg());
        let (index, known) = played.index(&self.evaluator, Some(&beyond));
        self.evaluator.still_wanted()?;
        let refused = FheError::Kind { op: "beyond", found: "nothing", expected: "a sign" };
        let answer = known.and_then(|known| self.evaluator.answer(&known, self.evaluator.written(&index, 1)));
        let answer = answer.ok_or(refused)?;
        self.work.index += start.elapsed();
        self.evaluator.still_wanted()?;
        Ok(RawValue::Answer(answer))
    }
}

/// `sum += x * weight`.
fn add_times(sum: &mut [u64], x: &Lwe, weight: i64) {
    sum.iter_mut().zip(x.as_ref()).for_each(|(sum, x)| *sum = sum.wrapping_add(x.wrapping_mul(weight as u64)));
}

fn lwe(container: Vec<u64>) -> Lwe {
    Lwe::from_container(container, CiphertextModulus::new_native())
}

fn sum<'a>(values: impl Iterator<Item = &'a Lwe>) -> Lwe {
    let mut all: Option<Lwe> = None;
    for value in values {
        match &mut all {
            Some(sum) => add_assign(sum, value),
            None => all = Some(value.clone()),
        }
    }
    all.unwrap_or_else(|| trivial_lwe(0, 0))
}
