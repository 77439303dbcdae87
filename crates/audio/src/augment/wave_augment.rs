//! [`WaveAugment`]: the chain on samples, for queries.

use rand::{Rng, RngExt};
use sordino_front::FeatureSpec;

use super::impulse::exponential_decay;
use super::{
    AugmentSpec, Colour, ImpulseBank, NoiseBank, add_gaussian_noise, convolve, gain_db, invert_polarity, mix_at_snr,
    phone, pitch_shift, time_stretch,
};
use crate::AudioError;
use crate::resample::play_at;

/// Samples of context around a clip that time stretch and pitch shift get, so that their edges fall outside it.
const MARGIN: usize = 2_048;

/// Augments samples: every step that [`super::MelAugment`] approximates, and time, pitch and polarity.
#[derive(Clone, Debug)]
pub struct WaveAugment<'a> {
    spec: AugmentSpec,
    features: FeatureSpec,
    noise: &'a NoiseBank,
    impulses: &'a ImpulseBank,
}

impl<'a> WaveAugment<'a> {
    /// Checks the spec against the banks.
    ///
    /// # Errors
    /// [`AudioError::Parameter`] where the spec is out of range, a bank that it needs is empty or has another rate.
    pub fn new(
        spec: &AugmentSpec,
        features: &FeatureSpec,
        noise: &'a NoiseBank,
        impulses: &'a ImpulseBank,
    ) -> Result<Self, AudioError> {
        spec.validate()?;
        features.validate()?;
        super::check_banks(spec, features.sample_rate, noise, impulses)?;
        Ok(Self { spec: spec.clone(), features: features.clone(), noise, impulses })
    }

    /// A random clip of `length` samples of a track, augmented.
    ///
    /// # Errors
    /// [`AudioError::TooShort`] where the track is shorter.
    pub fn apply(&self, track: &[f32], length: usize, rng: &mut impl Rng) -> Result<Vec<f32>, AudioError> {
        let last = track.len().checked_sub(length).ok_or_else(|| self.too_short(track.len(), length))?;
        self.apply_at(track, rng.random_range(0..=last), length, rng)
    }

    /// Samples `start..start + length` of a track, augmented. What sounds before `start` reverberates into the clip; a
    /// stretch that would need sound beyond the track's end is left out.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_at(
        &self,
        track: &[f32],
        start: usize,
        length: usize,
        rng: &mut impl Rng,
    ) -> Result<Vec<f32>, AudioError> {
        let end = start.saturating_add(length);
        if end > track.len() {
            return Err(self.too_short(track.len(), end));
        }
        let spec = &self.spec;
        let (speed, stretch, pitch) = (spec.speed.draw(rng), spec.stretch.draw(rng), spec.pitch.draw(rng));
        let invert = rng.random::<f32>() < spec.polarity;
        let equaliser = Colour::draw_equaliser(spec, rng);
        let response = self.draw_response(rng);

        // How much longer it is then heard.
        let source = |ratio: f32| (length as f32 / ratio).ceil() as usize;
        let fits = |ratio: f32| start + source(ratio) <= track.len();
        let speed = speed.filter(|&speed| fits(1.0 / speed)).unwrap_or(1.0);
        let stretch = stretch.filter(|&ratio| fits(ratio / speed)).unwrap_or(1.0);
        let longer = stretch / speed;
        let altered = longer != 1.0 || pitch.is_some();
        let before = (response.len() + if altered { MARGIN } else { 0 }).min(start);
        let after = (start + source(longer) + if altered { MARGIN } else { 0 }).min(track.len());
        let mut clip = track[start - before..after].to_vec();
        if speed != 1.0 {
            clip = play_at(&clip, speed)?;
        }
        if stretch != 1.0 {
            clip = time_stretch(&clip, stretch)?;
        }
        if let Some(semitones) = pitch {
            clip = pitch_shift(&clip, semitones)?;
        }
        if invert {
            invert_polarity(&mut clip);
        }
        equaliser.filter(&self.features, &mut clip);
        clip = convolve(&clip, &response);
        clip.drain(..(before as f32 * longer).round() as usize);
        // Rounding of the stretched context may leave the clip a sample short.
        clip.resize(length, 0.0);

        if let Some(snr_db) = spec.noise.draw(rng) {
            mix_at_snr(&mut clip, &self.noise.draw(length, rng), snr_db);
        }
        if let Some(snr_db) = spec.gaussian.draw(rng) {
            add_gaussian_noise(&mut clip, snr_db, rng);
        }
        Colour::draw_limits(spec, rng).filter(&self.features, &mut clip);
        gain_db(&mut clip, spec.gain_db.draw(rng));
        if let Some(below_db) = spec.codec.draw(rng) {
            phone::code(&mut clip, self.features.sample_rate, below_db, rng);
        }
        Ok(clip)
    }

    /// The impulse response of this clip; empty for none.
    fn draw_response(&self, rng: &mut impl Rng) -> Vec<f32> {
        let Some(tail_db) = self.spec.reverb.draw(rng) else { return Vec::new() };
        if rng.random::<f32>() < self.spec.decay_share {
            let (t60, direct_db) = (self.spec.decay_seconds.draw(rng), self.spec.decay_direct_db.draw(rng));
            exponential_decay(t60, direct_db, self.features.sample_rate, rng)
        } else {
            self.impulses.draw(tail_db, rng)
        }
    }

    fn too_short(&self, found: usize, expected: usize) -> AudioError {
        let seconds = |samples: usize| samples as f32 / self.features.sample_rate as f32;
        AudioError::TooShort { found_seconds: seconds(found), expected_seconds: seconds(expected) }
    }
}
