//! [`RawNoise`]: the variance of every step of the encrypted front by formula, in units of the torus `Z / 2^64`, squared. `docs/raw-audio.md` derives them; a test
//! measures each on several keys.

use sordino_model::Resolution;
use sordino_model::raw::{RawFront, RawInput};

use super::key::{RELINEARISE, ROTATION};
use crate::noise::{DecisionNoise, Noise};
use crate::params::ParameterSet;

/// Noise of the encrypted front, for samples and comparisons under these parameters.
#[derive(Clone, Copy, Debug)]
pub struct RawNoise {
    ring: f64,
    samples: Noise,
    keyswitch: DecisionNoise,
    decisions: DecisionNoise,
}

impl RawNoise {
    /// The formulas for tables under `parameters`, and samples under the set that goes with it.
    pub fn new(parameters: &ParameterSet) -> Self {
        let samples = parameters.of_samples();
        Self {
            ring: samples.ring() as f64,
            samples: Noise::new(samples),
            keyswitch: DecisionNoise::new(samples, Resolution::Standard),
            decisions: DecisionNoise::new(parameters, Resolution::Standard),
        }
    }

    /// One coefficient of an autocorrelation but the first: `t (e k' + e' k)`, where `e` is the noise of a fresh ciphertext and `k` counts how often its phase goes
    /// round the torus. A phase is a sum of as many uniform masks as the key has ones, so `k` has a twelfth of that as its variance; and of the message that `e` meets.
    /// Samples made `2^scale` times as large have as much more noise, and `t` is as much smaller: only what the message meets grows.
    /// An upper estimate for bands: a binary key has half of its energy in its mean, so half of `k` is at the lowest frequency, which no band lets through.
    pub fn product(&self, front: &RawFront, scale: u32) -> f64 {
        let spec = front.spec();
        let rounds = (1.0 + self.samples.weight()) / 12.0;
        let modulus = f64::from(spec.product_log2).exp2();
        let sample = f64::from(scale).exp2() * f64::from(spec.sample_max) / f64::from(spec.clip);
        2.0 * self.samples.fresh() * (self.ring * modulus.powi(2) * rounds + spec.cell as f64 * sample.powi(2))
    }

    /// What relinearisation adds to a coefficient: digits through the noise of the key and the transform, and what the digits do not hold, times a key
    /// whose coefficients are at most those of `s s(X^-1)`, a quarter of the ring degree on average.
    pub fn relinearisation(&self) -> f64 {
        let base = 2f64.powi(RELINEARISE.base_log as i32);
        let digits = f64::from(RELINEARISE.levels) * self.ring * (base * base + 2.0) / 12.0;
        let rest = self.samples.truncation(RELINEARISE.base_log * RELINEARISE.levels);
        let square = self.ring * (self.ring / 4.0).powi(2);
        2.0 * (digits * self.samples.fresh() + self.samples.fourier(digits)) + rest * (self.samples.weight() + square)
    }

    /// The energy of one band: every lag but the first adds its noise, and the first twice, because there both parts of the noise are the same number.
    pub fn energy(&self, front: &RawFront, band: usize) -> f64 {
        self.covariance(front, band, band)
    }

    /// What the noise of two bands' energies in one cell has in common: both are sums of the same lags. Samples that are `2^d` times as large have the same `e`, and
    /// go round the torus in their own way: a sawtooth of `2^d` teeth has `2^-d` in common with one of one tooth.
    pub fn covariance(&self, front: &RawFront, a: usize, b: usize) -> f64 {
        let scales = [front.scale(a), front.scale(b)];
        let weights =
            front.band(a).iter().zip(front.band(b)).map(|(a, b)| f64::from(a >> scales[0]) * f64::from(b >> scales[1]));
        let norm: f64 = weights.zip(0..).map(|(product, lag)| if lag == 0 { 2.0 * product } else { product }).sum();
        let alike = (-f64::from(scales[0].abs_diff(scales[1]))).exp2();
        norm * alike * (self.product(front, scales[0].min(scales[1])) + self.relinearisation())
    }

    /// What the table of levels gets wrong of an energy: its own noise, the keyswitch, and the modulus switch.
    pub fn level(&self, front: &RawFront, band: usize) -> f64 {
        self.energy(front, band) + self.keyswitch.compare_keyswitch() + self.decisions.compare_modulus_switch(1.0)
    }

    /// How alike what the table of levels gets wrong of the bands of one cell is, from -1 to 1; shape `[bands, bands]`.
    pub fn correlations(&self, front: &RawFront) -> Vec<f64> {
        let bands = 0..front.spec().bands;
        let deviations: Vec<f64> = bands.clone().map(|b| self.level(front, b).sqrt()).collect();
        let alike = |a: usize, b: usize| match a == b {
            true => 1.0,
            false => self.covariance(front, a, b) / (deviations[a] * deviations[b]),
        };
        bands.clone().flat_map(|a| bands.clone().map(move |b| (a, b))).map(|(a, b)| alike(a, b)).collect()
    }

    /// What the table of differences gets wrong of a difference: the noise of both levels, the keyswitch, and the modulus switch.
    pub fn difference(&self) -> f64 {
        2.0 * self.decisions.compare_rotation()
            + self.decisions.compare_keyswitch()
            + self.decisions.compare_modulus_switch(1.0)
    }

    /// What comes out of a table in units of features.
    pub fn table(&self) -> f64 {
        self.decisions.rotation_of_comparisons(ROTATION)
    }

    /// What scores are held against. The noise of features may pull all directions the same way, so there deviations add up; every table reads its own direction
    /// wrongly by itself, and adds its own noise.
    pub fn length(&self, input: &RawInput) -> f64 {
        let (spec, length) = (input.front().spec(), input.length());
        let directions = 0..length.count();
        let deviation = |j: usize| (spec.tables_of(length.direction(j)) as f64 * self.table()).sqrt();
        let features: f64 = directions.map(deviation).sum();
        let count = length.count() as f64;
        length.ratio().powi(2) * (features.powi(2) + count * self.decisions.comparison()) + count * self.table()
    }
}
