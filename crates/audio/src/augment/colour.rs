//! [`Colour`]: the smooth spectral gain of equalisers and band limits.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use realfft::RealFftPlanner;
use sordino_front::FeatureSpec;

use crate::AugmentSpec;

/// A power gain over frequency: an equaliser given by knots on the mel axis, and Butterworth band limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Colour {
    /// Natural-log power gain at knots evenly spaced in mel over the spec's band; linear in between, constant outside.
    /// Empty for none.
    pub knots: Vec<f32>,
    /// High-pass corner in Hz.
    pub low_cut_hz: Option<f32>,
    /// Low-pass corner in Hz.
    pub high_cut_hz: Option<f32>,
}

/// Order of the band limits.
const ORDER: i32 = 4;

impl Colour {
    /// Draws an equaliser.
    pub(crate) fn draw_equaliser(spec: &AugmentSpec, rng: &mut impl Rng) -> Self {
        let deviation = spec.equaliser.draw(rng);
        let knots: Vec<f32> = (0..spec.equaliser_knots).map(|_| rng.sample(StandardNormal)).collect();
        let scaled = |d: f32| knots.iter().map(|k| d * k).collect();
        Self { knots: deviation.map_or_else(Vec::new, scaled), ..Self::default() }
    }

    /// Draws band limits.
    pub(crate) fn draw_limits(spec: &AugmentSpec, rng: &mut impl Rng) -> Self {
        Self { knots: Vec::new(), low_cut_hz: spec.low_cut_hz.draw(rng), high_cut_hz: spec.high_cut_hz.draw(rng) }
    }

    /// Whether it changes nothing.
    pub fn is_flat(&self) -> bool {
        self.knots.is_empty() && self.low_cut_hz.is_none() && self.high_cut_hz.is_none()
    }

    /// Power gain at a frequency in Hz.
    pub fn power_gain(&self, spec: &FeatureSpec, hz: f32) -> f32 {
        let mut gain = 1.0;
        if let Some(last) = self.knots.len().checked_sub(1) {
            let mel = |hz| spec.mel_scale.mel(f64::from(hz)) as f32;
            let (low, high) = (mel(spec.mel_min_hz), mel(spec.mel_max_hz));
            let place = ((mel(hz) - low) / (high - low)).clamp(0.0, 1.0) * last as f32;
            let left = (place as usize).min(last);
            let right = (left + 1).min(last);
            gain *= (self.knots[left] + (self.knots[right] - self.knots[left]) * (place - left as f32)).exp();
        }
        if let Some(corner) = self.low_cut_hz {
            // At 0 Hz the ratio is infinite and the gain 0.
            gain /= 1.0 + (corner / hz).powi(2 * ORDER);
        }
        if let Some(corner) = self.high_cut_hz {
            gain /= 1.0 + (hz / corner).powi(2 * ORDER);
        }
        gain
    }

    /// Filters samples at the spec's rate with zero phase and this gain, over the whole signal at once.
    pub fn filter(&self, spec: &FeatureSpec, samples: &mut [f32]) {
        if self.is_flat() || samples.is_empty() {
            return;
        }
        // Padding of an FFT length keeps the filter's ringing from wrapping around.
        let size = (samples.len() + spec.fft_size).next_power_of_two();
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let (mut time, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
        time[..samples.len()].copy_from_slice(samples);
        // The only errors are wrong buffer lengths, and these plans made the buffers.
        forward.process(&mut time, &mut spectrum).expect("buffers of this plan");
        let step = spec.sample_rate as f32 / size as f32;
        for (bin, z) in spectrum.iter_mut().enumerate() {
            *z *= self.power_gain(spec, bin as f32 * step).sqrt() / size as f32;
        }
        for end in [0, size / 2] {
            spectrum[end].im = 0.0;
        }
        inverse.process(&mut spectrum, &mut time).expect("buffers of this plan");
        samples.copy_from_slice(&time[..samples.len()]);
    }
}
