//! [`RawMachine`]: from encrypted samples to encrypted features, and to scores.

use std::time::{Duration, Instant};

use rayon::prelude::*;
use sordino_model::Resolution;
use sordino_model::raw::{RawFront, RawRows};
use tfhe::core_crypto::prelude::CiphertextModulus;

use super::client::{BODY_BITS, check};
use super::correlation::Correlator;
use super::key::RawServerKey;
use crate::bootstrap::blind_rotation::{RotationKey, Table};
use crate::bootstrap::evaluator::Evaluator;
use crate::bootstrap::keyswitch::KeyswitchKey;
use crate::bootstrap::lookup;
use crate::decision::tournament::EncryptedTournament;
use crate::ring::glwe::{Glwe, Lwe, add_assign, add_constant, difference, trivial_lwe};
use crate::wire::{expansion, seeded};
use crate::{FheError, ServerKey};

/// A quarter of the torus.
const QUARTER: u64 = 1 << 62;

/// The encrypted front of one model under one client's keys.
pub struct RawMachine<'a> {
    front: &'a RawFront,
    raw: &'a RawServerKey,
    server: &'a ServerKey,
    correlator: Correlator,
    /// What one unit of a feature is on the torus.
    unit: u64,
}

/// How long the steps took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RawWork {
    /// Autocorrelations and bands.
    pub spectrum: Duration,
    /// Levels.
    pub levels: Duration,
    /// Differences and sums.
    pub differences: Duration,
    /// Scores, the largest of them, and where it is.
    pub decision: Duration,
    /// Blind rotations.
    pub rotations: usize,
}

impl<'a> RawMachine<'a> {
    /// A machine whose features are in units of `2^unit_log2` of the torus `Z / 2^64`.
    ///
    /// # Errors
    /// [`FheError::Cell`] for cells that do not fit the samples' ring.
    pub fn new(
        front: &'a RawFront,
        raw: &'a RawServerKey,
        server: &'a ServerKey,
        unit_log2: u32,
    ) -> Result<Self, FheError> {
        let ring = raw.fourier.size();
        check(front.spec(), ring)?;
        let found = front.spec().cell;
        let correlator = Correlator::new(ring, front.spec().product_log2).ok_or(FheError::Cell { found, ring })?;
        Ok(Self { front, raw, server, correlator, unit: 1 << unit_log2 })
    }

    /// Encrypted features, one LWE ciphertext each, of a query that [`super::RawClient::encrypt`] wrote.
    ///
    /// # Errors
    /// [`FheError::Length`] for a query of another length.
    pub(crate) fn features(&self, query: &[u8]) -> Result<(Vec<Lwe>, RawWork), FheError> {
        let start = Instant::now();
        let energies = self.energies(query)?;
        let spectrum = start.elapsed();
        let start = Instant::now();
        let (levels, sums) = self.levels(&energies);
        let leveled = start.elapsed();
        let start = Instant::now();
        let spec = self.front.spec();
        let (bands, cells) = (spec.bands, spec.cells);
        let mut features: Vec<Lwe> = (0..bands).map(|b| sum(sums.iter().skip(b).step_by(bands))).collect();
        let pairs: Vec<Lwe> = (spec.lags.iter())
            .flat_map(|lag| (lag * bands..cells * bands).map(move |i| (i, i - lag * bands)))
            .map(|(later, earlier)| difference(&levels[later], &levels[earlier]))
            .collect();
        let mut differences = &self.differences(pairs)[..];
        for lag in &spec.lags {
            let (own, rest) = differences.split_at((cells - lag) * bands);
            features.extend((0..bands).map(|b| sum(own.iter().skip(b).step_by(bands))));
            differences = rest;
        }
        // Every level is looked up twice.
        let rotations = cells * bands + spec.tables();
        Ok((
            features,
            RawWork { spectrum, levels: leveled, differences: start.elapsed(), rotations, ..RawWork::default() },
        ))
    }

    /// Encrypted energies of shape `[cells, bands]`, in units of `q / 2^product_log2`, under the samples' key.
    pub(crate) fn energies(&self, query: &[u8]) -> Result<Vec<Lwe>, FheError> {
        let (ring, cells) = (self.raw.fourier.size(), self.front.spec().cells);
        let expected = seeded::seeded_len(cells, ring, BODY_BITS);
        if query.len() != expected {
            return Err(FheError::Length { found: query.len(), expected });
        }
        let samples = expansion::expand(query, cells, ring, BODY_BITS);
        let bands = samples.par_iter().flat_map_iter(|x| self.bands(&self.correlator.autocorrelation(x, self.raw)));
        Ok(bands.collect())
    }

    /// Energies of all bands from an autocorrelation, exactly.
    fn bands(&self, correlation: &Glwe) -> Vec<Lwe> {
        let (ring, bands) = (correlation.size(), self.front.spec().bands);
        let mut energies = vec![vec![0u64; ring + 1]; bands];
        for lag in 0..self.front.spec().taps {
            let at_lag = correlation.extract(lag);
            for (b, energy) in energies.iter_mut().enumerate() {
                let weight = i64::from(self.front.band(b)[lag]) as u64;
                for (sum, x) in energy.iter_mut().zip(at_lag.as_ref()) {
                    *sum = sum.wrapping_add(x.wrapping_mul(weight));
                }
            }
        }
        energies.into_iter().map(|e| Lwe::from_container(e, CiphertextModulus::new_native())).collect()
    }

    /// How long it takes to find the best row for a query. What is found stays here, encrypted.
    ///
    /// # Errors
    /// [`FheError::Length`] for a query of another length.
    pub fn measure(&self, query: &[u8], rows: &RawRows) -> Result<RawWork, FheError> {
        let (features, mut work) = self.features(query)?;
        let start = Instant::now();
        let evaluator = Evaluator::new(self.server, Resolution::Standard);
        let candidates = self.scores(&features, rows).into_iter().map(Some).collect();
        if let Some(played) = EncryptedTournament::play(&evaluator, candidates, 0) {
            played.index(&evaluator, None);
        }
        work.decision = start.elapsed();
        work.rotations += evaluator.counts().rotations();
        Ok(work)
    }

    /// Levels twice: in units as large as differences need them, and in units of features.
    pub(crate) fn levels(&self, energies: &[Lwe]) -> (Vec<Lwe>, Vec<Lwe>) {
        let levels = self.front.levels();
        let table = |unit: u64| {
            let size = self.server.fourier.size();
            Table::new(size, 0, 0, |p| (i64::from(levels.at_index(p, size)) as u64).wrapping_mul(unit))
        };
        let keyswitch = &self.raw.keyswitch;
        let large = self.rotate(keyswitch, &self.server.compare.rotation, &table(self.difference_unit()), energies);
        (large, self.rotate(keyswitch, &self.raw.rotation, &table(self.unit), energies))
    }

    /// Absolute differences of levels, halved, in units of features.
    pub(crate) fn differences(&self, mut differences: Vec<Lwe>) -> Vec<Lwe> {
        differences.iter_mut().for_each(|d| add_constant(d, QUARTER));
        let (size, two) = (self.server.fourier.size(), 2 * self.difference_unit());
        let table = Table::new(size, 0, 0, |p| {
            let phase = (2 * p as u64 + 1) << (63 - (2 * size).ilog2());
            let distance = phase.abs_diff(QUARTER);
            ((distance + two / 2) / two).wrapping_mul(self.unit)
        });
        self.rotate(&self.server.compare.keyswitch, &self.raw.rotation, &table, &differences)
    }

    /// One unit of a level before differences are taken: the largest difference is just within a quarter of the torus.
    pub(crate) fn difference_unit(&self) -> u64 {
        QUARTER >> (self.front.spec().level_bits + 1)
    }

    /// The table at every input, by way of the small key.
    fn rotate(&self, keyswitch: &KeyswitchKey, rotation: &RotationKey, table: &Table, inputs: &[Lwe]) -> Vec<Lwe> {
        let (tables, threads) = (vec![table; inputs.len()], rayon::current_num_threads());
        let rotated = lookup::rotate(keyswitch, rotation, &tables, inputs, &self.server.fourier, threads, || true);
        rotated.iter().map(|r| r.extract(0)).collect()
    }

    /// Encrypted scores of all rows, exactly, from encrypted features.
    pub(crate) fn scores(&self, features: &[Lwe], rows: &RawRows) -> Vec<Lwe> {
        let score = |row: usize| {
            let (weights, bias) = rows.row(row);
            let mut sum = vec![0u64; self.server.fourier.size() + 1];
            for (feature, &weight) in features.iter().zip(weights) {
                let weight = i64::from(weight) as u64;
                sum.iter_mut().zip(feature.as_ref()).for_each(|(s, x)| *s = s.wrapping_add(x.wrapping_mul(weight)));
            }
            let mut score = Lwe::from_container(sum, CiphertextModulus::new_native());
            add_constant(&mut score, (bias as u64).wrapping_mul(self.unit));
            score
        };
        (0..rows.len()).into_par_iter().map(score).collect()
    }
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
