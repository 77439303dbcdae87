//! Level arithmetic on samples.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// Mean square.
pub fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() / samples.len().max(1) as f64
}

/// Adds noise to a signal at a signal-to-noise ratio of `snr_db`, both levels being mean squares over the signal's
/// length. Noise shorter than the signal repeats. Where either is silent nothing is added, for no ratio exists.
pub fn mix_at_snr(signal: &mut [f32], noise: &[f32], snr_db: f32) {
    if noise.is_empty() || signal.is_empty() {
        return;
    }
    let whole = signal.len() / noise.len();
    let rest = &noise[..signal.len() % noise.len()];
    let energy = whole as f64 * power(noise) * noise.len() as f64 + power(rest) * rest.len() as f64;
    let ratio = power(signal) * signal.len() as f64 / energy;
    if !(ratio.is_finite() && ratio > 0.0) {
        return;
    }
    let gain = (ratio / 10_f64.powf(f64::from(snr_db) / 10.0)).sqrt() as f32;
    for (x, n) in signal.iter_mut().zip(noise.iter().cycle()) {
        *x += gain * n;
    }
}

/// Adds white Gaussian noise at a signal-to-noise ratio of `snr_db`.
pub fn add_gaussian_noise(signal: &mut [f32], snr_db: f32, rng: &mut impl Rng) {
    let noise: Vec<f32> = (0..signal.len()).map(|_| rng.sample(StandardNormal)).collect();
    mix_at_snr(signal, &noise, snr_db);
}

/// Multiplies by a gain in dB.
pub fn gain_db(signal: &mut [f32], db: f32) {
    let gain = 10_f32.powf(db / 20.0);
    signal.iter_mut().for_each(|x| *x *= gain);
}

/// Turns the waveform upside down.
pub fn invert_polarity(signal: &mut [f32]) {
    signal.iter_mut().for_each(|x| *x = -*x);
}
