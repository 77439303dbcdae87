//! Mel power spectrograms, their logarithm, and MFCC.
//!
//! The definitions are librosa's (`melspectrogram(center=False, window='hann', power=2, norm='slaney')`, `mfcc(norm='ortho')`),
//! and `tests/known_answers` holds its numbers.

mod filters;

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};
use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use self::filters::{MelFilters, edges_hz};
use crate::{FeatureSpec, SpecError};

/// Mel power (not its logarithm), shape `[frames, bands]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MelPower(pub Array2<f32>);

impl MelPower {
    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.0.nrows()
    }

    /// Number of mel bands.
    pub fn bands(&self) -> usize {
        self.0.ncols()
    }

    /// Mean power over all frames and bands; 0 where there are none.
    pub fn mean(&self) -> f32 {
        mean(self.0.view())
    }

    /// Frames `start..start + frames`, or `None` where the spectrogram does not hold them.
    pub fn crop(&self, start: usize, frames: usize) -> Option<ArrayView2<'_, f32>> {
        let end = start.checked_add(frames)?;
        (end <= self.frames()).then(|| self.0.slice_axis(Axis(0), Slice::from(start..end)))
    }
}

/// The planned front end: Hann window, real FFT and mel filter bank of one [`FeatureSpec`]. Share it between threads.
pub struct MelFrontEnd {
    spec: FeatureSpec,
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    filters: MelFilters,
}

/// Buffers of one thread, made by [`MelFrontEnd::scratch`].
pub struct MelScratch {
    frame: Vec<f32>,
    spectrum: Vec<Complex32>,
    fft: Vec<Complex32>,
    power: Vec<f32>,
}

impl std::fmt::Debug for MelFrontEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MelFrontEnd").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl MelFrontEnd {
    /// Plans the FFT and builds the filter bank: triangles on the spec's mel scale, each of unit area in Hz (librosa's
    /// `norm='slaney'`), so that white noise has the same power in every band.
    ///
    /// # Errors
    /// [`SpecError`] where the spec does not validate.
    pub fn new(spec: &FeatureSpec) -> Result<Self, SpecError> {
        spec.validate()?;
        let n = spec.fft_size;
        let turn = std::f64::consts::TAU / n as f64;
        Ok(Self {
            fft: RealFftPlanner::new().plan_fft_forward(n),
            window: (0..n).map(|i| (0.5 - 0.5 * (turn * i as f64).cos()) as f32).collect(),
            filters: MelFilters::new(spec),
            spec: spec.clone(),
        })
    }

    /// The spec it was planned for.
    pub fn spec(&self) -> &FeatureSpec {
        &self.spec
    }

    /// Buffers for one thread.
    pub fn scratch(&self) -> MelScratch {
        MelScratch {
            frame: self.fft.make_input_vec(),
            spectrum: self.fft.make_output_vec(),
            fft: self.fft.make_scratch_vec(),
            power: vec![0.0; self.spec.fft_size / 2 + 1],
        }
    }

    /// Mel power of samples at the spec's rate, `[frames, bands]`. Frames are not padded: fewer samples than one FFT
    /// give no frame.
    pub fn mel_power(&self, samples: &[f32]) -> MelPower {
        self.mel_power_with(samples, &mut self.scratch())
    }

    /// [`Self::mel_power`] with the caller's buffers.
    pub fn mel_power_with(&self, samples: &[f32], scratch: &mut MelScratch) -> MelPower {
        let mut out = Array2::zeros((self.spec.frames(samples.len()), self.spec.mel_bands));
        self.mel_power_into(samples, scratch, out.view_mut());
        MelPower(out)
    }

    /// Centre frequencies of the bands in Hz, and the widths that make `sum(width * mel power)` the sum of all bins' power.
    pub fn band_centres_and_widths(&self) -> (Vec<f32>, Vec<f32>) {
        // A triangle of unit area is 2 / (high - low) at its peak, and neighbouring triangles of unit peak add up to one.
        edges_hz(&self.spec).windows(3).map(|e| (e[1] as f32, 0.5 * (e[2] - e[0]) as f32)).unzip()
    }

    /// Over how many frames the power of white noise is one observation: the sum over frame distances of the squared
    /// correlation of the overlapping windows.
    pub fn coherent_frames(&self) -> f32 {
        let correlation = |lag: usize| self.window.iter().zip(&self.window[lag..]).map(|(a, b)| a * b).sum::<f32>();
        let energy = correlation(0);
        let lags = (self.spec.hop..self.spec.fft_size).step_by(self.spec.hop);
        1.0 + 2.0 * lags.map(|lag| (correlation(lag) / energy).powi(2)).sum::<f32>()
    }

    /// Energy per band of a short piece of an impulse response (samples at the spec's rate), relative to a unit impulse's.
    pub fn impulse_energy(&self, response: &[f32], scratch: &mut MelScratch) -> Vec<f32> {
        self.fit(scratch);
        let MelScratch { frame, spectrum, fft, power } = scratch;
        power.fill(1.0);
        let mut unit = vec![0.0; self.spec.mel_bands];
        self.filters.project(power, &mut unit);
        power.fill(0.0);
        for piece in response.chunks(self.spec.fft_size) {
            frame.fill(0.0);
            frame[..piece.len()].copy_from_slice(piece);
            // As in `mel_power_into`.
            self.fft.process_with_scratch(frame, spectrum, fft).expect("buffers of this plan");
            power.iter_mut().zip(spectrum.iter()).for_each(|(p, z)| *p += z.norm_sqr());
        }
        let mut energy = vec![0.0; self.spec.mel_bands];
        self.filters.project(power, &mut energy);
        energy.iter_mut().zip(unit).for_each(|(e, u)| *e /= u.max(f32::MIN_POSITIVE));
        energy
    }

    /// Replaces a scratch of another front end.
    fn fit(&self, scratch: &mut MelScratch) {
        if scratch.frame.len() != self.spec.fft_size {
            *scratch = self.scratch();
        }
    }

    fn mel_power_into(&self, samples: &[f32], scratch: &mut MelScratch, mut out: ArrayViewMut2<'_, f32>) {
        self.fit(scratch);
        let MelScratch { frame, spectrum, fft, power } = scratch;
        let starts = samples.windows(self.spec.fft_size).step_by(self.spec.hop);
        for (window, mut bands) in starts.zip(out.rows_mut()) {
            for ((x, &sample), &weight) in frame.iter_mut().zip(window).zip(&self.window) {
                *x = sample * weight;
            }
            // The only errors are wrong buffer lengths, and this plan made the buffers.
            self.fft.process_with_scratch(frame, spectrum, fft).expect("buffers of this plan");
            for (p, z) in power.iter_mut().zip(spectrum.iter()) {
                *p = z.norm_sqr();
            }
            if let Some(bands) = bands.as_slice_mut() {
                self.filters.project(power, bands);
            }
        }
    }
}

fn mean(power: ArrayView2<'_, f32>) -> f32 {
    if power.is_empty() {
        return 0.0;
    }
    // Row sums in f32 (64 terms), their sum in f64: exact enough for a floor, and vectorised.
    let total: f64 = power.rows().into_iter().map(|row| f64::from(row.sum())).sum();
    (total / power.len() as f64) as f32
}

/// `ln(power + floor * mean power)` minus its mean over the clip, `[frames, bands]`: independent of the clip's gain.
/// Digital silence gives zeros.
pub fn log_mel(power: ArrayView2<'_, f32>, floor: f32) -> Array2<f32> {
    let mean_power = mean(power);
    if mean_power <= 0.0 {
        return Array2::zeros(power.raw_dim());
    }
    let offset = (floor * mean_power).max(f32::MIN_POSITIVE);
    let mut log = power.mapv(|p| (p + offset).ln());
    let level = mean(log.view());
    log -= level;
    log
}

/// The first `count` mel-frequency cepstral coefficients, `[frames, count]`, as librosa's `mfcc` computes them: power in
/// dB (floor 1e-10, at most 80 dB below the clip's maximum), then an orthonormal DCT-II over bands.
pub fn mfcc(power: &MelPower, count: usize) -> Array2<f32> {
    const FLOOR: f32 = 1e-10;
    const RANGE_DB: f32 = 80.0;
    let bands = power.bands();
    let count = count.min(bands);
    let peak = power.0.iter().fold(FLOOR, |a, &b| a.max(b));
    let lowest = 10.0 * peak.log10() - RANGE_DB;
    let db = power.0.mapv(|p| (10.0 * p.max(FLOOR).log10()).max(lowest));
    let dct = Array2::from_shape_fn((bands, count), |(band, k)| {
        let scale = if k == 0 { 1.0 } else { 2.0 } / bands as f64;
        (scale.sqrt() * (std::f64::consts::PI * k as f64 * (band as f64 + 0.5) / bands as f64).cos()) as f32
    });
    db.dot(&dct)
}
