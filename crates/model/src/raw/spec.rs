//! [`RawSpec`]: every constant of a front end that runs encrypted.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};
use sordino_front::VectorBound;
use thiserror::Error;

/// Points of the Fourier transform in which mel bands are drawn.
const POINTS: usize = 4_096;

/// What both sides of the raw protocol must agree on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSpec {
    /// Samples a second.
    pub sample_rate: u32,
    /// What is taken off every sample of the one before: evens out the spectrum of music, so that few bits suffice for all bands.
    pub emphasis: f32,
    /// Samples of a cell: a ciphertext's ring degree, less the taps.
    pub cell: usize,
    /// Cells of a query.
    pub cells: usize,
    /// Samples are rounded to `-sample_max..=sample_max`.
    pub sample_max: i32,
    /// The largest sample in root mean squares of the query.
    pub clip: f32,
    /// Lags of the autocorrelation, from 0 on.
    pub taps: usize,
    /// Mel bands.
    pub bands: usize,
    /// Upper edge of the last band in Hz.
    pub max_hz: f64,
    /// Lower edge of the first band in Hz.
    pub min_hz: f64,
    /// Base-2 logarithm of the modulus that energies are taken by: half of it is as much as a band can hold.
    pub product_log2: u32,
    /// How far a band's usual energy lies below what it can hold, in dB.
    pub headroom_db: f64,
    /// How far the bend of the logarithm lies below the usual energy, in dB: less energy than that hardly counts.
    pub bend_db: f64,
    /// Bits of a level.
    pub level_bits: u32,
    /// Over how many cells levels are compared.
    pub lags: Vec<usize>,
}

/// A constant out of range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("raw front: {field} is {found}, expected {expected}")]
pub struct RawError {
    /// Which.
    pub field: &'static str,
    /// What it held.
    pub found: String,
    /// What it may hold.
    pub expected: String,
}

impl Default for RawSpec {
    /// Ten seconds in cells of half a second, 64 bands: what is affordable and names best (`experiments/raw-audio`).
    fn default() -> Self {
        Self {
            sample_rate: 8_000,
            emphasis: 0.0,
            cell: 3_840,
            cells: 20,
            sample_max: 31,
            clip: 4.0,
            taps: 256,
            bands: 64,
            min_hz: 60.0,
            max_hz: 4_000.0,
            product_log2: 30,
            headroom_db: 18.0,
            bend_db: 12.0,
            level_bits: 5,
            lags: vec![1, 4],
        }
    }
}

impl RawSpec {
    /// Deviation of what a table gets wrong of an energy under encryption, as a share of what a band can hold: about that of the noisiest band. Clips are learned
    /// with it.
    pub const TABLE_NOISE: f32 = 0.003;
    /// Bits of a step of [`super::RawFront::scale`]. Smaller ones would spare little noise, and every step in use takes one product more.
    pub(super) const SCALE_STEP: u32 = 4;

    /// Samples of a query.
    pub fn query_samples(&self) -> usize {
        self.cell * self.cells
    }

    /// Features of a query.
    pub fn width(&self) -> usize {
        self.bands * (1 + self.lags.len())
    }

    /// The largest [`super::RawFront::scale`]: what it leaves of the modulus of energies holds a sample of either sign.
    pub fn most_scale(&self) -> u32 {
        let sample_bits = self.sample_max.unsigned_abs().checked_ilog2().map_or(0, |log2| log2 + 1);
        self.product_log2.saturating_sub(1 + sample_bits) / Self::SCALE_STEP * Self::SCALE_STEP
    }

    /// Most autocorrelations of a cell: one for every scale.
    pub fn most_products(&self) -> u32 {
        self.most_scale() / Self::SCALE_STEP + 1
    }

    /// Tables that a query looks up: levels, then differences.
    pub fn tables(&self) -> usize {
        self.bands * (self.cells + self.lags.iter().map(|lag| self.cells - lag).sum::<usize>())
    }

    /// Tables whose results are summed in a row's score, each counted by the square of its weight.
    pub fn tables_of(&self, row: &[i8]) -> u64 {
        let cells = |block: usize| self.cells - if block == 0 { 0 } else { self.lags[block - 1] };
        let blocks = row.chunks(self.bands).enumerate();
        let squares = |weights: &[i8]| weights.iter().map(|w| u64::from(w.unsigned_abs()).pow(2)).sum::<u64>();
        blocks.map(|(block, weights)| cells(block) as u64 * squares(weights)).sum()
    }

    /// What feature vectors keep to: sums over cells of levels, whose largest is `2^level_bits - 1`, and of half of the differences of two.
    pub fn bound(&self) -> VectorBound {
        let most = (1u64 << self.level_bits) - 1;
        let squared = |cells: usize| self.bands as u64 * (most * cells as u64).pow(2);
        let norm_squared = squared(self.cells) + self.lags.iter().map(|lag| squared(self.cells - lag)).sum::<u64>();
        VectorBound { width: self.width(), max_abs: (most * self.cells as u64) as i32, norm_squared }
    }

    /// What `r[0]` of a cell is on average: the root mean square of rounded samples is [`RawSpec::sample_max`] over [`RawSpec::clip`].
    pub fn power(&self) -> f64 {
        self.cell as f64 * (f64::from(self.sample_max) / f64::from(self.clip)).powi(2)
    }

    /// Checks every constant.
    ///
    /// # Errors
    /// [`RawError`] names the first one that is out of range.
    pub fn validate(&self) -> Result<(), RawError> {
        let bad = |field, found: String, expected: &str| Err(RawError { field, found, expected: expected.into() });
        let nyquist = f64::from(self.sample_rate) / 2.0;
        if !(0.0..1.0).contains(&self.emphasis) {
            return bad("emphasis", self.emphasis.to_string(), "0 to below 1");
        }
        if !(1..=127).contains(&self.sample_max) {
            return bad("sample_max", self.sample_max.to_string(), "1 to 127");
        }
        if !(self.clip >= 1.0 && self.clip.is_finite()) {
            return bad("clip", self.clip.to_string(), "at least 1");
        }
        if self.taps == 0 || self.taps > self.cell || self.cell > 1 << 16 {
            return bad("taps", self.taps.to_string(), "1 to the samples of a cell, which are at most 65,536");
        }
        if !(1..=1_024).contains(&self.cells) {
            return bad("cells", self.cells.to_string(), "1 to 1,024");
        }
        if self.bands == 0 || self.bands > self.taps {
            return bad("bands", self.bands.to_string(), "1 to as many as there are taps");
        }
        if !(self.min_hz >= 0.0 && self.min_hz < self.max_hz && self.max_hz <= nyquist) {
            let found = format!("{}..{}", self.min_hz, self.max_hz);
            return bad("min_hz..max_hz", found, "an increasing range within half the sampling rate");
        }
        if !(8..=40).contains(&self.product_log2) {
            return bad("product_log2", self.product_log2.to_string(), "8 to 40");
        }
        if !(self.headroom_db.is_finite() && self.bend_db.is_finite()) {
            return bad("headroom_db and bend_db", format!("{}, {}", self.headroom_db, self.bend_db), "numbers");
        }
        if !(2..=7).contains(&self.level_bits) {
            return bad("level_bits", self.level_bits.to_string(), "2 to 7");
        }
        if self.lags.iter().any(|lag| *lag == 0 || *lag >= self.cells) {
            return bad("lags", format!("{:?}", self.lags), "1 to below the number of cells");
        }
        Ok(())
    }

    /// Sound of [`RawSpec::query_samples`] samples, of any loudness, as small integers: emphasised, then of one root mean square.
    ///
    /// # Errors
    /// [`RawError`] for another length, for silence, and for what is not finite.
    pub fn samples(&self, sound: &[f32]) -> Result<Vec<i32>, RawError> {
        let length = self.query_samples();
        if sound.len() != length {
            let (found, expected) = (format!("{} samples", sound.len()), format!("{length} samples"));
            return Err(RawError { field: "sound", found, expected });
        }
        let mut before = sound[0];
        let emphasised = sound.iter().map(|&x| x - self.emphasis * std::mem::replace(&mut before, x));
        let emphasised: Vec<f32> = emphasised.collect();
        let mean = emphasised.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / length as f64;
        if !(mean > 1e-14 && mean.is_finite()) {
            let expected = "sound that is not silent".into();
            return Err(RawError { field: "sound", found: "silence".into(), expected });
        }
        let scale = f64::from(self.sample_max) / f64::from(self.clip) / mean.sqrt();
        let most = f64::from(self.sample_max);
        Ok(emphasised.iter().map(|&x| (f64::from(x) * scale).round_ties_even().clamp(-most, most) as i32).collect())
    }

    /// Refuses anything but the samples of a query.
    ///
    /// # Errors
    /// [`RawError`] for another number of them, or larger ones.
    pub fn admits(&self, samples: &[i32]) -> Result<(), RawError> {
        let (length, most) = (self.query_samples(), self.sample_max);
        if samples.len() == length && samples.iter().all(|x| x.unsigned_abs() <= most.unsigned_abs()) {
            return Ok(());
        }
        let found = format!("{} numbers", samples.len());
        Err(RawError { field: "samples", found, expected: format!("{length} numbers from -{most} to {most}") })
    }

    /// `r[k] = sum_i x[i] x[i + k]` of the samples of a cell, shape `[taps]`. Samples and cells are small enough for 32 bits.
    pub fn autocorrelation(&self, cell: &[i32]) -> Vec<i32> {
        (0..self.taps).map(|k| cell.iter().zip(&cell[k..]).map(|(a, b)| a * b).sum()).collect()
    }

    /// What every band holds of every cell, shape `[cells, bands]`, in units of what white noise of the sound's power has there; for
    /// [`RawSpec::responses`].
    pub fn powers(&self, responses: &[Vec<f64>], samples: &[i32]) -> Vec<f64> {
        let correlations = samples.chunks_exact(self.cell).map(|cell| self.autocorrelation(cell));
        let powers = correlations.flat_map(|r| {
            let band = |row: &Vec<f64>| row.iter().zip(&r).map(|(w, r)| w * f64::from(*r)).sum::<f64>() / self.power();
            responses.iter().map(band).collect::<Vec<f64>>()
        });
        powers.collect()
    }

    /// How every band answers to every lag, shape `[bands][taps]`: the inverse Fourier transform of a triangle on the mel scale, which averages 1, under a Hann lag
    /// window (Blackman and Tukey, 1958). Lags but 0 count twice, for their negatives.
    pub fn responses(&self) -> Vec<Vec<f64>> {
        let mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
        let hz = |mel: f64| 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
        let (low, high) = (mel(self.min_hz), mel(self.max_hz));
        let edge = |i: usize| hz(low + (high - low) * i as f64 / (self.bands + 1) as f64);
        let row = |b: usize| -> Vec<f64> {
            let (left, middle, right) = (edge(b), edge(b + 1), edge(b + 2));
            let height = |k: usize| {
                let f = k as f64 * f64::from(self.sample_rate) / POINTS as f64;
                ((f - left) / (middle - left)).min((right - f) / (right - middle)).max(0.0)
            };
            let heights: Vec<f64> = (0..=POINTS / 2).map(height).collect();
            let sum: f64 = heights.iter().sum();
            let lag = |k: usize| {
                let cosine = |i: usize| (2.0 * PI * (i * k % POINTS) as f64 / POINTS as f64).cos();
                let value: f64 = heights.iter().enumerate().map(|(i, h)| h * cosine(i)).sum::<f64>() / sum;
                let window = 0.5 + 0.5 * (PI * k as f64 / self.taps as f64).cos();
                value * window * if k == 0 { 1.0 } else { 2.0 }
            };
            (0..self.taps).map(lag).collect()
        };
        (0..self.bands).map(row).collect()
    }
}
