//! [`ImpulseBank`]: impulse responses of rooms and devices.

mod mel;

use std::path::Path;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use realfft::RealFftPlanner;

pub use mel::ImpulseMel;

use crate::augment::bank::{self, BankClip, RejectedFile};
use crate::augment::{Span, item_rng};
use crate::{AudioError, DecodeLimits, Overlong};

/// Longest response kept, in seconds.
const MAX_SECONDS: f32 = 4.0;

/// The direct sound and first reflections, which the strength of a reverberation does not scale, in seconds.
pub(crate) const DIRECT_SECONDS: f32 = 0.01;

/// Impulse responses at one rate: starting at the direct sound, cut where 60 dB of decay are over, of unit energy.
#[derive(Clone, Debug)]
pub struct ImpulseBank {
    rate: u32,
    clips: Vec<BankClip>,
}

impl ImpulseBank {
    /// Loads every decodable file under a folder, at most 4 s of each, and lists the files left out.
    ///
    /// # Errors
    /// [`AudioError::Missing`] or [`AudioError::Unreadable`] where the folder cannot be listed.
    pub fn load(folder: &Path, rate: u32) -> Result<(Self, Vec<RejectedFile>), AudioError> {
        // A response may be very short and, its tail included, very quiet.
        let limits = DecodeLimits {
            min_seconds: 0.005,
            max_seconds: MAX_SECONDS,
            overlong: Overlong::Truncate,
            min_dbfs: -110.0,
            ..DecodeLimits::default()
        };
        let (mut clips, rejected) = bank::load_folder(folder, rate, &limits)?;
        for clip in &mut clips {
            clip.samples = trim(&clip.samples, rate);
        }
        Ok((Self { rate, clips }, rejected))
    }

    /// Makes `count` synthetic rooms with reverberation times (T60) drawn from `seconds`.
    pub fn synthetic(seed: u64, count: usize, seconds: Span, rate: u32) -> Self {
        let clips = (0..count).into_par_iter().map(|i| {
            let rng = &mut item_rng(seed, i as u64);
            BankClip { name: format!("room-{i:04}"), samples: trim(&room(seconds.draw(rng), rate, rng), rate) }
        });
        Self { rate, clips: clips.collect() }
    }

    /// Splits into training and test parts that share no recording, as [`crate::NoiseBank::split`] does.
    pub fn split(self, test_fraction: f32, seed: u64) -> (Self, Self) {
        let rate = self.rate;
        let (train, test) = bank::split(self.clips, test_fraction, seed);
        (Self { rate, clips: train }, Self { rate, clips: test })
    }

    /// Splits by the caller's list: the second part holds the responses whose names `is_test` accepts.
    pub fn split_by(self, is_test: impl Fn(&str) -> bool) -> (Self, Self) {
        let rate = self.rate;
        let (test, train) = self.clips.into_iter().partition(|c| is_test(&c.name));
        (Self { rate, clips: train }, Self { rate, clips: test })
    }

    /// Sampling rate in Hz.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The responses, in the order of their names on disk.
    pub fn clips(&self) -> &[BankClip] {
        &self.clips
    }

    /// A random response with its tail (all but the first 10 ms) scaled by `tail_db`. Empty where the bank is empty.
    pub fn draw(&self, tail_db: f32, rng: &mut impl Rng) -> Vec<f32> {
        let Some(clip) = self.pick(rng) else { return Vec::new() };
        let mut response = clip.samples.clone();
        let direct = direct_samples(self.rate).min(response.len());
        crate::augment::gain_db(&mut response[direct..], tail_db);
        response
    }

    /// A random response, as measured; `None` where the bank is empty.
    pub fn pick(&self, rng: &mut impl Rng) -> Option<&BankClip> {
        (!self.clips.is_empty()).then(|| &self.clips[rng.random_range(0..self.clips.len())])
    }
}

pub(crate) fn direct_samples(rate: u32) -> usize {
    (DIRECT_SECONDS * rate as f32) as usize
}

/// From a millisecond before the first sample at a tenth of the peak to the point with a millionth of the energy left, at
/// unit energy.
fn trim(response: &[f32], rate: u32) -> Vec<f32> {
    let peak = response.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
    let onset = response.iter().position(|x| x.abs() >= 0.1 * peak).unwrap_or(0);
    let response = &response[onset.saturating_sub(rate as usize / 1_000)..];
    let energy: f64 = response.iter().map(|&x| f64::from(x).powi(2)).sum();
    let mut left = 0.0;
    let tail = response.iter().rev().take_while(|&&x| {
        left += f64::from(x).powi(2);
        left < 1e-6 * energy
    });
    let end = response.len() - tail.count();
    let scale = if energy > 0.0 { energy.sqrt().recip() as f32 } else { 0.0 };
    response[..end].iter().map(|x| scale * x).collect()
}

/// White Gaussian noise decaying by 60 dB in `t60` seconds after a unit direct sound, `direct_db` above its energy.
pub(crate) fn exponential_decay(t60: f32, direct_db: f32, rate: u32, rng: &mut impl Rng) -> Vec<f32> {
    let length = ((t60 * rate as f32) as usize).max(1);
    let decay = -(3.0 * std::f32::consts::LN_10) / (t60 * rate as f32);
    let mut response: Vec<f32> =
        (0..length).map(|i| (decay * i as f32).exp() * rng.sample::<f32, _>(StandardNormal)).collect();
    let energy: f32 = response.iter().map(|x| x * x).sum();
    let scale = (10_f32.powf(-direct_db / 10.0) / energy.max(f32::MIN_POSITIVE)).sqrt();
    response.iter_mut().for_each(|x| *x *= scale);
    response[0] += 1.0;
    response
}

/// A shoebox-like room: direct sound, a dozen early reflections, and a late tail that begins after the first of them and
/// decays faster at high frequencies (air and walls absorb them more; Kuttruff, Room Acoustics).
fn room(t60: f32, rate: u32, rng: &mut impl Rng) -> Vec<f32> {
    let length = ((1.2 * t60 + 0.1) * rate as f32) as usize;
    let mut response = vec![0.0_f32; length];
    response[0] = 1.0;
    let at = |seconds: f32| ((seconds * rate as f32) as usize).min(length - 1);
    for _ in 0..12 {
        let delay = Span(0.002, 0.05).draw(rng);
        let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
        response[at(delay)] += sign * Span(0.2, 0.7).draw(rng) * 10_f32.powf(-3.0 * delay / t60);
    }
    let onset = at(Span(0.005, 0.03).draw(rng));
    let level = 10_f32.powf(Span(-9.0, 3.0).draw(rng) / 20.0);
    let tail = &mut response[onset..];
    let decay = -(3.0 * std::f32::consts::LN_10) / (t60 * rate as f32);
    let mut energy = 0.0;
    // A one-pole low-pass whose corner falls as the tail decays.
    let (mut state, mut late) = (0.0, Vec::with_capacity(tail.len()));
    for i in 0..tail.len() {
        let keep = (0.8 * i as f32 / tail.len() as f32).min(0.8);
        state = keep * state + (1.0 - keep) * rng.sample::<f32, _>(StandardNormal);
        let x = (decay * i as f32).exp() * state;
        energy += x * x;
        late.push(x);
    }
    let scale = level / energy.max(f32::MIN_POSITIVE).sqrt();
    tail.iter_mut().zip(late).for_each(|(t, x)| *t += scale * x);
    response
}

/// The convolution of a signal with an impulse response, cut to the signal's length (overlap-add FFT). An empty
/// response leaves the signal as it is.
pub fn convolve(signal: &[f32], response: &[f32]) -> Vec<f32> {
    if response.is_empty() || signal.is_empty() {
        return signal.to_vec();
    }
    // Blocks of three times the response keep three quarters of each transform useful; no longer than needed.
    let longest = signal.len() + response.len() - 1;
    let size = (4 * response.len()).max(1_024).min(longest).next_power_of_two();
    let step = size + 1 - response.len();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let (mut time, mut block) = (forward.make_input_vec(), forward.make_output_vec());
    let (mut scratch, mut back) = (forward.make_scratch_vec(), inverse.make_scratch_vec());
    let mut kernel = forward.make_output_vec();
    // Here and below the only errors are wrong buffer lengths, and these plans made the buffers.
    time[..response.len()].copy_from_slice(response);
    forward.process_with_scratch(&mut time, &mut kernel, &mut scratch).expect("buffers of this plan");
    kernel.iter_mut().for_each(|k| *k /= size as f32);

    let mut out = vec![0.0; signal.len()];
    for (start, piece) in (0..).step_by(step).zip(signal.chunks(step)) {
        time[..piece.len()].copy_from_slice(piece);
        time[piece.len()..].fill(0.0);
        forward.process_with_scratch(&mut time, &mut block, &mut scratch).expect("buffers of this plan");
        block.iter_mut().zip(&kernel).for_each(|(b, k)| *b *= k);
        // The product of two real signals' spectra is real at both ends up to rounding; the inverse insists on it.
        for end in [0, size / 2] {
            block[end].im = 0.0;
        }
        inverse.process_with_scratch(&mut block, &mut time, &mut back).expect("buffers of this plan");
        out[start..].iter_mut().zip(&time).for_each(|(o, t)| *o += t);
    }
    out
}
