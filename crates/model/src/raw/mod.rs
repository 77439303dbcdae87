//! [`RawFront`]: a front end that runs encrypted, so that a client needs nothing but its samples.
//!
//! A client at [`RawSpec::sample_rate`] rounds its samples to a few bits and encrypts them, a *cell* of some 3,840 to a ciphertext. What follows is the
//! server's, and in this module it is plain integers, the reference for the encrypted one:
//!
//! | step | gives | shape |
//! |---|---|---|
//! | autocorrelation of a cell | `r[k] = sum_i x[i] x[i + k]` | `[cells, taps]` |
//! | bands: a public linear map | energies `E[b] = sum_k W[b, k] r[k]` | `[cells, bands]` |
//! | a table: the logarithm, on a few bits | levels `v`, odd integers | `[cells, bands]` |
//! | a table: absolute differences over some cells | `abs(v[c + lag] - v[c]) / 2` | `[cells - lag, bands]` for every lag |
//! | sums over cells | features | `[bands (1 + lags)]` |
//! | a linear layer: [`crate::stage::Stage`] | scores | `[rows]` |
//! | absolute values along some directions: [`Length`] | what the best score is held against | `[1]` |
//!
//! By the Wiener-Khinchin theorem the power spectrum is the Fourier transform of the autocorrelation, so the energy that a mel band lets through is linear in
//! `r`. One product of ciphertexts stands for a whole Fourier transform, and no complex number is ever encrypted.

mod input;
mod length;
mod levels;
mod spec;

pub use input::RawInput;
pub use length::Length;
pub use levels::Levels;
pub use spec::{RawError, RawSpec};

/// Steps that the weight of a band on the power keeps at any scale.
const LEAST_STEPS: f64 = 16.0;

/// The public part of a raw model: how samples become features.
#[derive(Clone, Debug, PartialEq)]
pub struct RawFront {
    spec: RawSpec,
    /// Shape `[bands, taps]`.
    weights: Vec<i32>,
    /// Of every band, see [`RawFront::scale`].
    scales: Vec<u32>,
    levels: Levels,
}

impl RawFront {
    /// A front whose band `b` has the weights `weights[b taps..]` on the autocorrelation.
    ///
    /// # Errors
    /// [`RawError`] for a spec out of range, weights of another shape, or energies that could leave 64 bits.
    pub fn new(spec: RawSpec, weights: Vec<i32>) -> Result<Self, RawError> {
        spec.validate()?;
        let expected = spec.bands * spec.taps;
        if weights.len() != expected {
            return Err(RawError {
                field: "weights",
                found: weights.len().to_string(),
                expected: expected.to_string(),
            });
        }
        let used = |row: &[i32]| row.iter().filter(|w| **w != 0).map(|w| w.trailing_zeros()).min().unwrap_or(0);
        let whole = |bits: u32| bits.min(spec.most_scale()) / RawSpec::SCALE_STEP * RawSpec::SCALE_STEP;
        let scales = weights.chunks_exact(spec.taps).map(|row| whole(used(row))).collect();
        let levels = Levels::new(&spec);
        let front = Self { spec, weights, scales, levels };
        let bound = front.energy_bound(front.spec.sample_max.unsigned_abs().into());
        if i64::try_from(bound).is_err() {
            let expected = "weights of which no energy leaves 63 bits".into();
            return Err(RawError { field: "weights", found: format!("energies of up to {bound}"), expected });
        }
        Ok(front)
    }

    /// Mel bands whose average energy over the library is `reference`, in units of the energy that white noise of the sound's power has there; shape `[bands]`.
    /// A reference that a band reaches on average lies [`RawSpec::headroom_db`] below what it can hold. The weights of quiet bands are large; they are multiples of
    /// a power of two, their [`RawFront::scale`].
    ///
    /// # Errors
    /// [`RawError`] for a spec out of range, references that are not positive or so small that a weight would leave 32 bits, or another number of them.
    pub fn mel(spec: RawSpec, reference: &[f64]) -> Result<Self, RawError> {
        spec.validate()?;
        if reference.len() != spec.bands || !reference.iter().all(|r| *r > 0.0 && r.is_finite()) {
            let (found, expected) = (format!("{reference:?}"), format!("{} positive numbers", spec.bands));
            return Err(RawError { field: "reference", found, expected });
        }
        let full = 2f64.powi(spec.product_log2 as i32 - 1) / 10f64.powf(spec.headroom_db / 10.0);
        let rows = spec.responses().into_iter().zip(reference);
        // `spec.power()` is what `r[0]` is on average.
        let weights = rows.flat_map(|(row, r)| {
            let gain = full / (r * spec.power());
            let spare = (row[0] * gain / LEAST_STEPS).log2().clamp(0.0, spec.most_scale().into()) as u32;
            let scale = f64::from(spare / RawSpec::SCALE_STEP * RawSpec::SCALE_STEP).exp2();
            row.into_iter().map(move |w| (w * gain / scale).round() * scale)
        });
        let weights: Vec<f64> = weights.collect();
        if let Some(found) = weights.iter().find(|w| w.abs() > i32::MAX.into()) {
            let expected = "references large enough for weights of 32 bits".into();
            return Err(RawError { field: "reference", found: format!("a weight of {found}"), expected });
        }
        Self::new(spec, weights.into_iter().map(|w| w as i32).collect())
    }

    /// The constants.
    pub fn spec(&self) -> &RawSpec {
        &self.spec
    }

    /// What the table of logarithms holds.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Weights of one band on the autocorrelation, shape `[taps]`.
    pub fn band(&self, band: usize) -> &[i32] {
        &self.weights[band * self.spec.taps..(band + 1) * self.spec.taps]
    }

    /// Bits by which all weights of a band are divisible, in steps of four. An encrypted front takes such a band from samples that are `2^scale` times as large, with
    /// weights that are as much smaller: less noise for one product more.
    pub fn scale(&self, band: usize) -> u32 {
        self.scales[band]
    }

    /// The different scales, in order: an encrypted front takes a product of every cell for each.
    pub fn scales(&self) -> Vec<u32> {
        let mut scales = self.scales.clone();
        scales.sort_unstable();
        scales.dedup();
        scales
    }

    /// Energies, shape `[cells, bands]`, of [`RawSpec::samples`]. Where one does not fit the half of the torus it has, it comes back from the other end, as it
    /// does encrypted.
    pub fn energies(&self, samples: &[i32]) -> Vec<i64> {
        let correlations = samples.chunks_exact(self.spec.cell).map(|cell| self.spec.autocorrelation(cell));
        let energies = correlations.flat_map(|r| {
            let band = |b: usize| self.band(b).iter().zip(&r).map(|(w, r)| i64::from(*w) * i64::from(*r)).sum();
            (0..self.spec.bands).map(band).collect::<Vec<i64>>()
        });
        energies.collect()
    }

    /// The largest energy of samples of at most `max_abs` in absolute value: no lag holds more than the first.
    pub fn energy_bound(&self, max_abs: u64) -> u64 {
        let weights =
            (0..self.spec.bands).map(|b| self.band(b).iter().map(|w| u64::from(w.unsigned_abs())).sum::<u64>());
        weights.max().unwrap_or(0).saturating_mul(self.spec.cell as u64 * max_abs * max_abs)
    }

    /// Levels of energies, which have the same shape.
    pub fn levels_of(&self, energies: &[i64]) -> Vec<i32> {
        energies.iter().map(|&energy| self.levels.of_energy(energy)).collect()
    }

    /// Half of the absolute differences of levels of shape `[cells, bands]` to those `lag` cells before, shape `[cells - lag, bands]`.
    pub fn differences(&self, levels: &[i32], lag: usize) -> Vec<i32> {
        let later = &levels[lag * self.spec.bands..];
        later.iter().zip(levels).map(|(later, earlier)| (later - earlier).abs() / 2).collect()
    }

    /// Sums over cells of anything of shape `[cells, bands]`.
    pub fn over_cells(&self, values: &[i32]) -> Vec<i32> {
        let bands = self.spec.bands;
        (0..bands).map(|b| values.iter().skip(b).step_by(bands).sum()).collect()
    }

    /// Features of [`RawSpec::samples`], shape `[bands (1 + lags)]`: sums of levels, then for every lag sums of absolute differences.
    pub fn features(&self, samples: &[i32]) -> Vec<i32> {
        self.features_of(&self.levels_of(&self.energies(samples)))
    }

    /// Features of levels of shape `[cells, bands]`.
    pub fn features_of(&self, levels: &[i32]) -> Vec<i32> {
        let lags = self.spec.lags.iter();
        let differences = lags.flat_map(|&lag| self.over_cells(&self.differences(levels, lag)));
        self.over_cells(levels).into_iter().chain(differences).collect()
    }
}
