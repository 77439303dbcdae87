//! [`Microphone`]: what a telephone does to what it hears, before any codec.

use rand::{Rng, RngExt};
use sordino_front::FeatureSpec;

use super::lapped::{Lapped, levels};
use crate::augment::{Colour, power};

/// A microphone with gain control and noise suppression.
pub(super) struct Microphone {
    /// High-pass corner in Hz.
    low_cut_hz: f32,
    /// How much of a change of level the gain control takes away, 0 to 1, and how fast it lets go, in seconds.
    control: (f32, f32),
    /// Level at which it clips, in root mean squares of the sound.
    most: f32,
    /// By how many dB at most steady noise is turned down.
    suppression_db: f32,
}

impl Microphone {
    /// How fast the gain control takes hold, in seconds.
    const ATTACK_SECONDS: f32 = 0.01;
    /// How fast the estimate of the noise may rise, in dB a second.
    const RISE_DB: f32 = 3.0;
    /// Seconds over which the power of a band is smoothed.
    const SMOOTHING_SECONDS: f32 = 0.1;

    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            low_cut_hz: rng.random_range(80.0..250.0),
            control: (rng.random_range(0.3..1.0), rng.random_range(0.1..1.0)),
            most: rng.random_range(2.0..5.0),
            suppression_db: rng.random_range(3.0..15.0),
        }
    }

    pub(super) fn hear(&self, spec: &FeatureSpec, samples: &mut [f32]) {
        let colour = Colour { low_cut_hz: Some(self.low_cut_hz), ..Colour::default() };
        colour.filter(spec, samples);
        self.control_gain(spec.sample_rate, samples);
        let most = self.most * power(samples).sqrt() as f32;
        samples.iter_mut().for_each(|x| *x = x.clamp(-most, most));
        self.suppress(spec.sample_rate, samples);
    }

    /// Every sample over a power of the level around it. The mean level is the unit.
    fn control_gain(&self, rate: u32, samples: &mut [f32]) {
        let mean = power(samples) as f32;
        if mean <= 0.0 {
            return;
        }
        let (strength, release_seconds) = self.control;
        let keep = |seconds: f32| (-1.0 / (seconds * rate as f32)).exp();
        let (attack, release) = (keep(Self::ATTACK_SECONDS), keep(release_seconds));
        let mut level = 1.0_f32;
        for x in samples {
            let now = *x * *x / mean;
            let keep = if now > level { attack } else { release };
            level = keep * level + (1.0 - keep) * now;
            // No more than 30 dB of gain: silence stays quiet.
            *x *= level.max(1e-3).powf(-0.5 * strength);
        }
    }

    /// Turns every band down where it is no louder than its own floor: spectral subtraction (Boll, IEEE ASSP 1979) with a floor
    /// that follows the minimum.
    fn suppress(&self, rate: u32, samples: &mut [f32]) {
        let lapped = Lapped::new(rate);
        let bands = lapped.bands(rate);
        let mut coefficients = lapped.analyse(samples);
        let hop = lapped.hop_seconds(rate);
        let keep = (-hop / Self::SMOOTHING_SECONDS).exp();
        let rise = 10_f32.powf(Self::RISE_DB * hop / 10.0);
        let least = 10_f32.powf(-self.suppression_db / 20.0);
        let (mut smooth, mut floor) = (Vec::new(), Vec::new());
        for mut frame in coefficients.rows_mut() {
            let Some(frame) = frame.as_slice_mut() else { continue };
            let now = levels(frame, &bands);
            if smooth.is_empty() {
                (smooth, floor) = (now.clone(), now.clone());
            }
            for (band, edges) in bands.windows(2).enumerate() {
                smooth[band] = keep * smooth[band] + (1.0 - keep) * now[band];
                floor[band] = (rise * floor[band]).min(smooth[band]);
                // The minimum of a smoothed noise lies below its mean.
                let noise = 1.5 * floor[band] / smooth[band].max(f32::MIN_POSITIVE);
                let gain = (1.0 - noise).max(0.0).sqrt().max(least);
                frame[edges[0]..edges[1]].iter_mut().for_each(|x| *x *= gain);
            }
        }
        lapped.synthesise(&coefficients, samples);
    }
}
