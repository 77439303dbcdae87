//! [`Leads`]: how far apart the clear scores of one raw query are, beside what noise can make of them.
//!
//! Behind the tables noise is the same for every query, [`Margins`]. Before them it depends on the sound: an energy near a step of the logarithm is read
//! one level higher or lower. So the mean and the variance of every level that may be read are worked out from the clear energy, and carried through
//! differences, sums and rows.

use sordino_model::raw::RawFront;
use sordino_model::stage::Hierarchy;

use super::noise::RawNoise;
use super::plan::{Margins, Plan, heard};
use crate::FheError;

/// Points at which the noise of an energy is looked at, on either side, and how far apart they are in deviations.
const POINTS: i32 = 16;
const STEP: f64 = 0.25;

/// How far apart the scores of one query are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leads {
    /// By how many score units the winner leads that other track which noise brings nearest to it.
    pub lead: f64,
    /// By how many it must.
    pub margin: f64,
    /// How far the best score is from what it is held against.
    pub threshold: f64,
    /// How far it must be.
    pub threshold_margin: f64,
    /// How far apart all scores lie, as a share of the room that they have.
    pub spread: f64,
}

impl Leads {
    /// Whether the encrypted answer is the clear one, but with the plan's failure probability.
    pub fn are_certain(&self) -> bool {
        self.lead >= self.margin && self.threshold.abs() >= self.threshold_margin && self.spread <= 1.0
    }
}

impl Plan {
    /// The leads of a query of these samples, where `margins` are the plan's of this hierarchy's shape and `label` says whose a row is. Rows of one track are no rivals.
    ///
    /// # Errors
    /// [`FheError::Plan`] for a hierarchy that hears no samples or of which the plan is not, [`FheError::Raw`] for samples that are none of the front's.
    pub fn leads(
        &self,
        hierarchy: &Hierarchy,
        margins: &Margins,
        samples: &[i32],
        label: impl Fn(usize) -> Option<usize>,
    ) -> Result<Leads, FheError> {
        let (input, stage) = heard(hierarchy)?;
        let front = input.front();
        front.spec().admits(samples)?;
        let reading = Reading::new(front, samples, &RawNoise::new(self.parameters()));
        let features = front.features(samples);
        let scores: Vec<i64> = (0..stage.count(0)).map(|row| stage.score(0, row, &features)).collect();
        // Of equal scores the first, as the clear machine has it.
        let best = (0..scores.len()).rev().max_by_key(|&row| scores[row]).unwrap_or(0);
        let own: Vec<f64> = stage.row(0, best).iter().map(|w| f64::from(*w)).collect();
        let rival = |row: usize| {
            let weights: Vec<f64> = own.iter().zip(stage.row(0, row)).map(|(own, w)| own - f64::from(*w)).collect();
            let margin = self.combined(margins.lead, reading.of(&weights));
            ((scores[best] - scores[row]) as f64, margin)
        };
        let others =
            (0..scores.len()).filter(|&row| row != best && (label(row) != label(best) || label(row).is_none()));
        let nearest = others.map(rival).min_by(|a, b| (a.0 - a.1).total_cmp(&(b.0 - b.1)));
        let (lead, margin) = nearest.unwrap_or((f64::INFINITY, 0.0));

        let length = input.length();
        let along = length.along(&features);
        let mut held = own;
        for (j, along) in along.iter().enumerate() {
            let pull = length.ratio() * along.signum() as f64;
            held.iter_mut().zip(length.direction(j)).for_each(|(held, w)| *held -= pull * f64::from(*w));
        }
        let furthest = along.iter().map(|along| along.unsigned_abs()).max().unwrap_or(0);
        let (least, most) = (scores.iter().min().unwrap_or(&0), scores.iter().max().unwrap_or(&0));
        Ok(Leads {
            lead,
            margin,
            threshold: (scores[best] - length.of(&features)) as f64 - 0.5,
            threshold_margin: self.combined(margins.threshold, reading.of(&held)),
            spread: most.abs_diff(*least).max(furthest) as f64 / self.spread() as f64,
        })
    }

    /// A margin for noise behind the tables, with what is read before them: a shift, and a variance.
    fn combined(&self, margin: f64, (shift, variance): (f64, f64)) -> f64 {
        // So many deviations as the failure probability of one of all ways to fail takes.
        let deviations = self.deviations();
        shift.abs() + (margin * margin + deviations * deviations * variance).sqrt()
    }
}

/// What may be read of a query's energies: of every level and every difference the mean, less the clear one, and the variance.
pub(crate) struct Reading<'a> {
    front: &'a RawFront,
    levels: Vec<Read>,
    /// For every lag, those of differences, with how they follow the later level: from -1 to 1.
    differences: Vec<Vec<(Read, f64)>>,
    /// How two bands of a cell are misread together, shape `[bands, bands]`.
    together: Vec<f64>,
}

#[derive(Clone, Copy, Default)]
struct Read {
    shift: f64,
    variance: f64,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(front: &'a RawFront, samples: &[i32], noise: &RawNoise) -> Self {
        let spec = front.spec();
        // The torus has 2^64 elements, and energies are taken by 2^product_log2.
        let energy = 2f64.powi(spec.product_log2 as i32 - 64);
        let weights: Vec<f64> = (-POINTS..=POINTS).map(|i| (-(STEP * f64::from(i)).powi(2) / 2.0).exp()).collect();
        let total: f64 = weights.iter().sum();
        let weights: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let deviations: Vec<f64> = (0..spec.bands).map(|b| noise.level(front, b).sqrt() * energy).collect();
        let energies = front.energies(samples);
        let may_be = |i: usize| -> Vec<f64> {
            let off = |point: i32| (STEP * f64::from(point) * deviations[i % spec.bands]) as i64;
            let level = |point| f64::from(front.levels().of_energy(energies[i] + off(point)));
            (-POINTS..=POINTS).map(level).collect()
        };
        let read: Vec<Vec<f64>> = (0..energies.len()).map(may_be).collect();
        let clear = front.levels_of(&energies);
        let moments = |values: &mut dyn Iterator<Item = (f64, f64)>, clear: f64| {
            let (mut mean, mut square) = (0.0, 0.0);
            values
                .for_each(|(value, weight)| (mean, square) = (mean + weight * value, square + weight * value * value));
            Read { shift: mean - clear, variance: (square - mean * mean).max(0.0) }
        };
        let level = |i: usize| moments(&mut read[i].iter().copied().zip(weights.iter().copied()), clear[i].into());
        let levels: Vec<Read> = (0..read.len()).map(level).collect();
        let step = noise.difference().sqrt() / (2.0 * super::difference_unit(spec) as f64);
        let difference = |i: usize, lag: usize| {
            let earlier = i - lag * spec.bands;
            let mut follows = 0.0;
            let pairs =
                || read[i].iter().zip(&weights).flat_map(|a| read[earlier].iter().zip(&weights).map(move |b| (a, b)));
            let mut values = pairs().map(|((a, p), (b, q))| {
                follows += p * q * (a - b).signum() * f64::from(u8::from(a != b));
                ((a - b).abs() / 2.0, p * q)
            });
            let clear = f64::from((clear[i] - clear[earlier]).abs() / 2);
            let mut read = moments(&mut values, clear);
            // What the table of differences itself gets wrong; where the levels agree it can only read too much.
            read.variance += step * step;
            read.shift += if clear == 0.0 { step * step } else { 0.0 };
            (read, follows)
        };
        let lags = spec.lags.iter();
        let differences =
            lags.map(|&lag| (lag * spec.bands..read.len()).map(|i| difference(i, lag)).collect()).collect();
        Self { front, levels, differences, together: noise.correlations(front) }
    }

    /// The shift and the variance of what these weights make of the features.
    pub(crate) fn of(&self, weights: &[f64]) -> (f64, f64) {
        let spec = self.front.spec();
        let (bands, cells) = (spec.bands, spec.cells);
        // How the result follows every level.
        let mut follows: Vec<f64> = (0..cells * bands).map(|i| weights[i % bands]).collect();
        let (mut shift, mut variance) = (0.0, 0.0);
        for (read, i) in self.levels.iter().zip(0..) {
            shift += weights[i % bands] * read.shift;
        }
        for (k, (differences, lag)) in self.differences.iter().zip(&spec.lags).enumerate() {
            for (d, (read, sign)) in differences.iter().enumerate() {
                let (later, earlier) = (d + lag * bands, d);
                let weight = weights[(k + 1) * bands + d % bands];
                shift += weight * read.shift;
                follows[later] += weight * sign / 2.0;
                follows[earlier] -= weight * sign / 2.0;
                let through = sign * sign / 4.0 * (self.levels[later].variance + self.levels[earlier].variance);
                variance += weight * weight * (read.variance - through).max(0.0);
            }
        }
        let levels = follows.iter().zip(&self.levels).map(|(g, read)| g * read.variance.sqrt());
        (shift, variance + levels.collect::<Vec<_>>().chunks(bands).map(|cell| self.of_cell(cell)).sum::<f64>())
    }

    /// A bound on the variance of a sum over the bands of a cell, from the deviations of its terms. Levels rise with their energies, so two of them have something
    /// between nothing and all of what their energies have in common (Gebelein, 1941). What differences add by themselves is taken to be each band's own.
    fn of_cell(&self, cell: &[f64]) -> f64 {
        let with_others = |(i, row): (usize, &[f64])| -> f64 {
            let term =
                |(j, r): (usize, &f64)| if i == j { cell[i] * cell[i] } else { (r * cell[i] * cell[j]).max(0.0) };
            row.iter().enumerate().map(term).sum()
        };
        self.together.chunks(cell.len()).enumerate().map(with_others).sum()
    }
}
