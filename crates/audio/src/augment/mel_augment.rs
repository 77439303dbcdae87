//! [`MelAugment`]: the chain on mel power, for training epochs.

use ndarray::{Array2, ArrayView2, Axis};
use rand::{Rng, RngExt};
use rayon::prelude::*;
use sordino_front::{MelFrontEnd, MelPower};

use super::warp::Warp;
use super::{AugmentSpec, Colour, ImpulseBank, ImpulseMel, NoiseBank, NoiseKind, item_rng, phone};
use crate::AudioError;

/// Frames of the interference table.
const TABLE_FRAMES: usize = 2_048;

/// Augments cached mel power: the noise bank as cached mel power, impulse responses as energy decays.
///
/// The power of a sum of two sounds is the sum of their powers plus a cross term that depends on their phases. It has no
/// expectation, but it makes the power of a mixture fluctuate from frame to frame, which is what two of the statistics
/// measure. So it is drawn too: `a + b + 2 c sqrt(a b)`, the coherence `c` in -1..1 being taken from two independent
/// white noises that went through the same front end. A long reverberant tail, being a sum over many past frames, is
/// too smooth in expectation for the same reason; it is multiplied by the fluctuation of white noise.
#[derive(Clone, Debug)]
pub struct MelAugment {
    spec: AugmentSpec,
    features: sordino_front::FeatureSpec,
    noise: Vec<Array2<f32>>,
    white: Array2<f32>,
    impulses: Vec<ImpulseMel>,
    /// Coherence of two independent noises, `[TABLE_FRAMES, bands]`.
    coherence: Array2<f32>,
    /// Power of white noise over its mean, `[TABLE_FRAMES, bands]`.
    speckle: Array2<f32>,
    /// Frames over which the power of white noise is one observation.
    coherent_frames: f32,
    centres_hz: Vec<f32>,
    /// Makes a weighted sum of a frame's mel power its power in the waveform.
    weights: Vec<f32>,
    /// Frames before a clip that the longest tail reaches back to.
    history: usize,
}

impl MelAugment {
    /// Puts both banks through the front end, in parallel.
    ///
    /// # Errors
    /// [`AudioError::Parameter`] where the spec is out of range, a bank that it needs is empty or has another rate.
    pub fn new(
        spec: &AugmentSpec,
        front_end: &MelFrontEnd,
        noise: &NoiseBank,
        impulses: &ImpulseBank,
    ) -> Result<Self, AudioError> {
        spec.validate()?;
        let features = front_end.spec().clone();
        super::check_banks(spec, features.sample_rate, noise, impulses)?;
        let needed = |needed: bool, len: usize| if needed { len } else { 0 };
        let noise = noise.clips()[..needed(spec.needs_noise(), noise.clips().len())]
            .par_iter()
            .map(|clip| front_end.mel_power(&clip.samples).0)
            .filter(|power| power.sum() > 0.0)
            .collect::<Vec<_>>();
        if spec.needs_noise() && noise.is_empty() {
            return Err(AudioError::Parameter {
                what: "noise bank",
                found: "clips shorter than a frame".into(),
                expected: "at least one clip of a frame or more",
            });
        }
        let impulses = impulses.clips()[..needed(spec.needs_impulses(), impulses.clips().len())]
            .par_iter()
            .map(|clip| ImpulseMel::new(front_end, &clip.samples))
            .collect::<Vec<_>>();
        let white = |item| {
            let seconds = (TABLE_FRAMES * features.hop + features.fft_size) as f32 / features.sample_rate as f32;
            NoiseKind::White.synthesise(seconds, features.sample_rate, &mut item_rng(0, item))
        };
        let (one, other) = (white(0), white(1));
        let both: Vec<f32> = one.iter().zip(&other).map(|(a, b)| a + b).collect();
        let [white, other, mut coherence] = [one, other, both].map(|x| front_end.mel_power(&x).0);
        ndarray::Zip::from(&mut coherence).and(&white).and(&other).for_each(|c, &a, &b| {
            *c = ((*c - a - b) / (2.0 * (a * b).sqrt()).max(f32::MIN_POSITIVE)).clamp(-1.0, 1.0);
        });
        let (centres_hz, weights) = front_end.band_centres_and_widths();
        let speckle = &other / &other.mean_axis(Axis(0)).unwrap_or_default();
        let coherent_frames = front_end.coherent_frames();
        let decay = if spec.decay_share > 0.0 { spec.decay_seconds.1 * features.frame_rate() } else { 0.0 };
        let tails = impulses.iter().map(|impulse: &ImpulseMel| impulse.tail.nrows());
        let history = if spec.reverb.probability > 0.0 { tails.max().unwrap_or(0).max(decay as usize) } else { 0 };
        Ok(Self {
            spec: spec.clone(),
            features,
            coherent_frames,
            noise,
            speckle,
            white,
            impulses,
            coherence,
            centres_hz,
            weights,
            history,
        })
    }

    /// How many frames before a clip's first and after its last of `frames` it may be made of: the tail of what sounded before, and
    /// what is heard of a track that plays fast.
    pub fn context(&self, frames: usize) -> (usize, usize) {
        let fast = Warp::fastest(&self.spec);
        let more = |frames: usize| ((fast - 1.0) * frames as f32).ceil() as usize;
        (self.history + more(self.history), more(frames))
    }

    /// A random crop of `frames` frames of a clip's mel power `[frames, bands]`, augmented.
    ///
    /// # Errors
    /// [`AudioError::TooShort`] where the clip has fewer frames, [`AudioError::Parameter`] where it has other bands.
    pub fn apply(&self, clip: ArrayView2<'_, f32>, frames: usize, rng: &mut impl Rng) -> Result<MelPower, AudioError> {
        let last = clip.nrows().checked_sub(frames).ok_or_else(|| self.too_short(clip.nrows(), frames))?;
        self.apply_at(clip, rng.random_range(0..=last), frames, rng)
    }

    /// Frames `start..start + frames` of a clip's mel power, augmented. What sounds before `start` reverberates into it.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_at(
        &self,
        clip: ArrayView2<'_, f32>,
        start: usize,
        frames: usize,
        rng: &mut impl Rng,
    ) -> Result<MelPower, AudioError> {
        let bands = self.weights.len();
        if clip.ncols() != bands {
            return Err(AudioError::Parameter {
                what: "number of mel bands",
                found: clip.ncols().to_string(),
                expected: "that of the front end",
            });
        }
        let end = start.saturating_add(frames);
        if end > clip.nrows() {
            return Err(self.too_short(clip.nrows(), end));
        }
        let warped = Warp::draw(&self.spec, rng)
            .map(|warp| warp.apply(&self.features, &self.centres_hz, clip, (start, frames), self.history));
        let (clip, start) = warped.as_ref().map_or((clip, start), |(heard, before)| (heard.view(), *before));
        let clip = clip.as_standard_layout();
        let source = clip.as_slice().unwrap_or_default();
        let mut out = source[start * bands..(start + frames) * bands].to_vec();

        let equaliser = self.gains(&Colour::draw_equaliser(&self.spec, rng), 1.0);
        self.reverberate(clip.view(), start, &mut out, rng);
        multiply(&mut out, &equaliser);
        if let Some(snr_db) = self.spec.noise.draw(rng) {
            let (noise, from) = self.draw_noise(frames, rng);
            self.mix(&mut out, noise, from, snr_db, rng);
        }
        if let Some(snr_db) = self.spec.gaussian.draw(rng) {
            let from = rng.random_range(0..self.white.nrows());
            self.mix(&mut out, &self.white, from, snr_db, rng);
        }
        let limits = Colour::draw_limits(&self.spec, rng);
        let gain = 10_f32.powf(self.spec.gain_db.draw(rng) / 10.0);
        multiply(&mut out, &self.gains(&limits, gain));
        if let Some(below_db) = self.spec.codec.draw(rng) {
            self.code(&mut out, below_db, rng);
        }
        Ok(MelPower(Array2::from_shape_vec((frames, bands), out).unwrap_or_default()))
    }

    fn too_short(&self, found: usize, expected: usize) -> AudioError {
        let seconds = |frames: usize| frames as f32 / self.features.frame_rate();
        AudioError::TooShort { found_seconds: seconds(found), expected_seconds: seconds(expected) }
    }

    fn gains(&self, colour: &Colour, gain: f32) -> Vec<f32> {
        self.centres_hz.iter().map(|&hz| gain * colour.power_gain(&self.features, hz)).collect()
    }

    fn reverberate(&self, clip: ArrayView2<'_, f32>, start: usize, out: &mut [f32], rng: &mut impl Rng) {
        let Some(tail_db) = self.spec.reverb.draw(rng) else { return };
        let bands = self.weights.len();
        let mut tail = vec![0.0; out.len()];
        let mut speckle = 0.0;
        if rng.random::<f32>() < self.spec.decay_share {
            let t60 = self.spec.decay_seconds.draw(rng);
            let energy = 10_f32.powf(-self.spec.decay_direct_db.draw(rng) / 10.0);
            let keep = 10_f32.powf(-6.0 / (t60 * self.features.frame_rate()));
            speckle = self.speckle_depth((1.0 + keep) / (1.0 - keep));
            // 60 dB before the crop nothing is left.
            let history = ((t60 * self.features.frame_rate()) as usize).min(start);
            let mut state = vec![0.0; bands];
            for frame in start - history..start + out.len() / bands {
                let Some(source) = clip.row(frame).to_slice() else { continue };
                for (s, p) in state.iter_mut().zip(source) {
                    *s = keep * *s + (1.0 - keep) * energy * p;
                }
                if let Some(at) = frame.checked_sub(start) {
                    tail[at * bands..(at + 1) * bands].copy_from_slice(&state);
                }
            }
        } else if !self.impulses.is_empty() {
            let impulse = &self.impulses[rng.random_range(0..self.impulses.len())];
            speckle = self.speckle_depth(impulse.effective_frames);
            multiply(out, &impulse.direct);
            impulse.add_tail(clip, start, 10_f32.powf(tail_db / 10.0), &mut tail);
        }
        let (from, at) = (rng.random_range(0..TABLE_FRAMES), rng.random_range(0..TABLE_FRAMES));
        for (frame, (out, tail)) in out.chunks_exact_mut(bands).zip(tail.chunks_exact_mut(bands)).enumerate() {
            for (t, s) in tail.iter_mut().zip(table_row(&self.speckle, from + frame)) {
                *t *= 1.0 + speckle * (s - 1.0);
            }
            interfere(out, tail, 1.0, table_row(&self.coherence, at + frame));
        }
    }

    /// A random noise clip and a frame to begin at, from where it is not silent.
    fn draw_noise(&self, frames: usize, rng: &mut impl Rng) -> (&Array2<f32>, usize) {
        let noise = &self.noise[rng.random_range(0..self.noise.len())];
        let mean = noise.sum() / noise.nrows() as f32;
        let mut from = 0;
        for _ in 0..8 {
            from = rng.random_range(0..noise.nrows());
            let piece: f32 = (0..frames).map(|i| noise.row((from + i) % noise.nrows()).sum()).sum();
            if piece >= 0.01 * mean * frames as f32 {
                break;
            }
        }
        (noise, from)
    }

    /// Adds noise from frame `from` on, repeating it, at a signal-to-noise ratio in dB.
    fn mix(&self, out: &mut [f32], noise: &Array2<f32>, from: usize, snr_db: f32, rng: &mut impl Rng) {
        let bands = self.weights.len();
        let noise_row = |frame: usize| noise.row((from + frame) % noise.nrows()).to_slice().unwrap_or_default();
        let level = |row: &[f32]| row.iter().zip(&self.weights).map(|(p, w)| p * w).sum::<f32>();
        let frames = out.len() / bands;
        let noise_level: f32 = (0..frames).map(|frame| level(noise_row(frame))).sum();
        let signal_level: f32 = out.chunks_exact(bands).map(level).sum();
        let gain = signal_level / noise_level / 10_f32.powf(snr_db / 10.0);
        if !(gain.is_finite() && gain > 0.0) {
            return;
        }
        let at = rng.random_range(0..TABLE_FRAMES);
        for (frame, row) in out.chunks_exact_mut(bands).enumerate() {
            interfere(row, noise_row(frame), gain, table_row(&self.coherence, at + frame));
        }
    }

    /// Adds the noise of a lossy codec to every frame, and takes away what it loses.
    fn code(&self, out: &mut [f32], below_db: f32, rng: &mut impl Rng) {
        let (from, at) = (rng.random_range(0..TABLE_FRAMES), rng.random_range(0..TABLE_FRAMES));
        for (frame, row) in out.chunks_exact_mut(self.weights.len()).enumerate() {
            let (kept, mut noise) = phone::code_power(row, below_db);
            row.copy_from_slice(&kept);
            noise.iter_mut().zip(table_row(&self.speckle, from + frame)).for_each(|(n, s)| *n *= s);
            interfere(row, &noise, 1.0, table_row(&self.coherence, at + frame));
        }
    }

    /// How much a tail that lasts `effective` frames fluctuates beyond what its frames bring along: their mean over
    /// `1 + (effective - 1) / coherent` independent frames has lost all but that part of the variance.
    fn speckle_depth(&self, effective: f32) -> f32 {
        (1.0 - 1.0 / (1.0 + (effective - 1.0).max(0.0) / self.coherent_frames)).sqrt()
    }
}

/// A frame of a table, which repeats.
fn table_row(table: &Array2<f32>, frame: usize) -> &[f32] {
    table.row(frame % table.nrows()).to_slice().unwrap_or_default()
}

/// `a += gain * b` with the cross term of the given coherence.
fn interfere(a: &mut [f32], b: &[f32], gain: f32, coherence: &[f32]) {
    for ((a, b), c) in a.iter_mut().zip(b).zip(coherence) {
        let b = gain * b;
        *a = (*a + b + 2.0 * c * (*a * b).sqrt()).max(0.0);
    }
}

/// Multiplies every frame by a gain per band.
fn multiply(out: &mut [f32], gains: &[f32]) {
    for row in out.chunks_exact_mut(gains.len()) {
        row.iter_mut().zip(gains).for_each(|(x, g)| *x *= g);
    }
}
