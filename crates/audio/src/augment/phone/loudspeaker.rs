//! [`Loudspeaker`]: what a telephone or a kitchen radio makes of music.

use rand::{Rng, RngExt};
use sordino_front::FeatureSpec;

use crate::augment::{Colour, power};

/// A small loudspeaker.
pub(super) struct Loudspeaker {
    /// Below it there is no bass, in Hz.
    low_cut_hz: f32,
    /// Where it resonates: place in the band, 0 to 1 on the mel axis, and height in dB.
    resonance: (f32, f32),
    /// Level at which it saturates, in root mean squares of the sound.
    most: f32,
}

impl Loudspeaker {
    /// Points of the resonance's curve.
    const KNOTS: usize = 24;

    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            low_cut_hz: rng.random_range(200.0..500.0),
            resonance: (rng.random_range(0.25..0.6), rng.random_range(3.0..10.0)),
            most: rng.random_range(1.0..4.0),
        }
    }

    pub(super) fn play(&self, spec: &FeatureSpec, samples: &mut [f32]) {
        let (place, height_db) = self.resonance;
        let knot = |i: usize| {
            let away = (i as f32 / (Self::KNOTS - 1) as f32 - place) / 0.08;
            height_db * std::f32::consts::LN_10 / 10.0 * (-0.5 * away * away).exp()
        };
        let colour = Colour {
            knots: (0..Self::KNOTS).map(knot).collect(),
            low_cut_hz: Some(self.low_cut_hz),
            high_cut_hz: None,
        };
        colour.filter(spec, samples);
        let most = self.most * power(samples).sqrt() as f32;
        if most > 0.0 {
            samples.iter_mut().for_each(|x| *x = most * (*x / most).tanh());
        }
    }
}
