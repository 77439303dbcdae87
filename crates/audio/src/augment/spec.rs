//! [`AugmentSpec`]: every number of the augmentation chain.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::AudioError;

/// How hard a clip is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// A good recording in a quiet room.
    Small,
    /// A telephone in a café: the level that models are trained at.
    Medium,
    /// A telephone in a pocket, in a hall.
    Large,
}

/// A closed range from which a value is drawn uniformly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span(pub f32, pub f32);

impl Span {
    /// Draws a value.
    pub fn draw(self, rng: &mut impl Rng) -> f32 {
        self.0 + (self.1 - self.0) * rng.random::<f32>()
    }

    fn within(self, low: f32, high: f32) -> bool {
        low <= self.0 && self.0 <= self.1 && self.1 <= high
    }
}

/// An effect that is applied with some probability, its strength drawn from a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// Probability, 0 to 1.
    pub probability: f32,
    /// Range of the strength.
    pub span: Span,
}

impl Chance {
    /// Never.
    pub const NEVER: Self = Self { probability: 0.0, span: Span(0.0, 0.0) };

    /// With this probability, from `low` to `high`.
    pub const fn new(probability: f32, low: f32, high: f32) -> Self {
        Self { probability, span: Span(low, high) }
    }

    /// The strength, where the effect happens.
    pub fn draw(self, rng: &mut impl Rng) -> Option<f32> {
        // Both numbers are always drawn, so that one effect's probability does not shift the others' random numbers.
        let (happens, strength) = (rng.random::<f32>() < self.probability, self.span.draw(rng));
        happens.then_some(strength)
    }
}

/// Every number of the augmentation chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentSpec {
    /// Speed: 1.04 plays 4 % fast, and so higher, as turntables and tapes do.
    #[serde(default = "never")]
    pub speed: Chance,
    /// Time stretch: output duration over input duration, at the same pitch.
    pub stretch: Chance,
    /// Pitch shift in semitones, at the same tempo.
    pub pitch: Chance,
    /// Probability that the polarity is inverted. Samples only (mel power does not see it).
    pub polarity: f32,
    /// Equaliser: standard deviation, in natural-log power, of the gains at `equaliser_knots` knots evenly spaced over
    /// the mel bands, linear in between.
    pub equaliser: Chance,
    /// Number of knots.
    pub equaliser_knots: usize,
    /// Reverberation. The strength is the level in dB at which an impulse response's tail (all but its first 10 ms)
    /// enters: 0 is the response as measured.
    pub reverb: Chance,
    /// Share of the reverberations that are a synthetic exponential decay rather than a response of the bank.
    pub decay_share: f32,
    /// Reverberation time (T60) in seconds of those decays.
    pub decay_seconds: Span,
    /// Direct-to-reverberant energy ratio in dB of those decays.
    pub decay_direct_db: Span,
    /// Background noise: signal-to-noise ratio in dB.
    pub noise: Chance,
    /// White Gaussian noise: signal-to-noise ratio in dB.
    pub gaussian: Chance,
    /// High-pass corner in Hz (4th-order Butterworth magnitude).
    pub low_cut_hz: Chance,
    /// Low-pass corner in Hz (4th-order Butterworth magnitude).
    pub high_cut_hz: Chance,
    /// A lossy codec: quantisation noise so many dB below what masks it.
    #[serde(default = "never")]
    pub codec: Chance,
    /// Gain in dB.
    pub gain_db: Span,
}

/// What models from before it could be set had.
fn never() -> Chance {
    Chance::NEVER
}

impl AugmentSpec {
    /// Nothing but the random offset.
    pub fn clean() -> Self {
        Self {
            speed: Chance::NEVER,
            stretch: Chance::NEVER,
            pitch: Chance::NEVER,
            polarity: 0.0,
            equaliser: Chance::NEVER,
            equaliser_knots: 6,
            reverb: Chance::NEVER,
            decay_share: 0.0,
            decay_seconds: Span(0.2, 0.2),
            decay_direct_db: Span(0.0, 0.0),
            noise: Chance::NEVER,
            gaussian: Chance::NEVER,
            low_cut_hz: Chance::NEVER,
            high_cut_hz: Chance::NEVER,
            codec: Chance::NEVER,
            gain_db: Span(0.0, 0.0),
        }
    }

    /// A condition of a results table: background noise always at `snr_db` (none for `None`), a bank's impulse
    /// response, as measured, where `reverb`.
    pub fn condition(snr_db: Option<f32>, reverb: bool) -> Self {
        let always = |x| Chance::new(1.0, x, x);
        Self {
            noise: snr_db.map_or(Chance::NEVER, always),
            reverb: if reverb { always(0.0) } else { Chance::NEVER },
            ..Self::clean()
        }
    }

    /// The preset of a level.
    pub fn level(level: Level) -> Self {
        match level {
            Level::Small => Self {
                speed: Chance::new(0.1, 0.98, 1.02),
                stretch: Chance::new(0.05, 0.98, 1.02),
                pitch: Chance::new(0.05, -0.2, 0.2),
                polarity: 0.5,
                equaliser: Chance::new(0.5, 0.2, 0.5),
                reverb: Chance::new(0.2, -6.0, 0.0),
                decay_share: 0.3,
                decay_seconds: Span(0.1, 0.5),
                decay_direct_db: Span(3.0, 12.0),
                noise: Chance::new(0.5, 8.0, 30.0),
                gaussian: Chance::new(0.2, 20.0, 40.0),
                low_cut_hz: Chance::new(0.2, 60.0, 150.0),
                high_cut_hz: Chance::new(0.2, 3_000.0, 4_000.0),
                codec: Chance::new(0.1, 8.0, 16.0),
                gain_db: Span(-6.0, 6.0),
                ..Self::clean()
            },
            Level::Medium => Self {
                speed: Chance::new(0.3, 0.955, 1.045),
                stretch: Chance::new(0.05, 0.95, 1.05),
                pitch: Chance::new(0.1, -0.6, 0.6),
                polarity: 0.5,
                equaliser: Chance::new(0.7, 0.7, 0.7),
                reverb: Chance::new(0.5, -6.0, 0.0),
                decay_share: 0.3,
                decay_seconds: Span(0.2, 1.2),
                decay_direct_db: Span(-3.0, 9.0),
                noise: Chance::new(0.9, -2.0, 20.0),
                gaussian: Chance::new(0.2, 10.0, 40.0),
                low_cut_hz: Chance::new(0.3, 60.0, 300.0),
                high_cut_hz: Chance::new(0.3, 2_500.0, 4_000.0),
                codec: Chance::new(0.3, 4.0, 16.0),
                gain_db: Span(-12.0, 6.0),
                ..Self::clean()
            },
            Level::Large => Self {
                speed: Chance::new(0.25, 0.94, 1.06),
                stretch: Chance::new(0.1, 0.9, 1.1),
                pitch: Chance::new(0.15, -1.0, 1.0),
                polarity: 0.5,
                equaliser: Chance::new(0.9, 0.7, 1.2),
                reverb: Chance::new(0.8, -3.0, 3.0),
                decay_share: 0.3,
                decay_seconds: Span(0.3, 2.5),
                decay_direct_db: Span(-9.0, 6.0),
                noise: Chance::new(1.0, -6.0, 12.0),
                gaussian: Chance::new(0.4, 5.0, 30.0),
                low_cut_hz: Chance::new(0.5, 80.0, 500.0),
                high_cut_hz: Chance::new(0.5, 1_800.0, 3_800.0),
                codec: Chance::new(0.5, 2.0, 12.0),
                gain_db: Span(-24.0, 12.0),
                ..Self::clean()
            },
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`AudioError::Parameter`] names the first field outside its range.
    pub fn validate(&self) -> Result<(), AudioError> {
        let chances = [
            ("speed", self.speed, 0.5, 2.0, "a probability, and ratios of 0.5 to 2"),
            ("stretch", self.stretch, 0.5, 2.0, "a probability, and ratios of 0.5 to 2"),
            ("pitch", self.pitch, -12.0, 12.0, "a probability, and -12 to 12 semitones"),
            ("equaliser", self.equaliser, 0.0, 5.0, "a probability, and 0 to 5 in log power"),
            ("reverb", self.reverb, -60.0, 20.0, "a probability, and -60 to 20 dB"),
            ("noise", self.noise, -40.0, 120.0, "a probability, and -40 to 120 dB"),
            ("gaussian", self.gaussian, -40.0, 120.0, "a probability, and -40 to 120 dB"),
            ("low_cut_hz", self.low_cut_hz, 1.0, 96_000.0, "a probability, and 1 to 96,000 Hz"),
            ("high_cut_hz", self.high_cut_hz, 1.0, 96_000.0, "a probability, and 1 to 96,000 Hz"),
            ("codec", self.codec, -10.0, 120.0, "a probability, and -10 to 120 dB"),
        ];
        for (what, chance, low, high, expected) in chances {
            let used = chance.probability > 0.0;
            if !(0.0..=1.0).contains(&chance.probability) || used && !chance.span.within(low, high) {
                return Err(AudioError::Parameter { what, found: format!("{chance:?}"), expected });
            }
        }
        let others = [
            ("polarity", (0.0..=1.0).contains(&self.polarity), format!("{}", self.polarity), "0 to 1"),
            ("decay_share", (0.0..=1.0).contains(&self.decay_share), format!("{}", self.decay_share), "0 to 1"),
            ("equaliser_knots", (2..=64).contains(&self.equaliser_knots), self.equaliser_knots.to_string(), "2 to 64"),
            (
                "decay_seconds",
                self.decay_seconds.within(0.01, 20.0),
                format!("{:?}", self.decay_seconds),
                "0.01 to 20 s",
            ),
            (
                "decay_direct_db",
                self.decay_direct_db.within(-60.0, 60.0),
                format!("{:?}", self.decay_direct_db),
                "-60 to 60 dB",
            ),
            ("gain_db", self.gain_db.within(-80.0, 80.0), format!("{:?}", self.gain_db), "-80 to 80 dB"),
        ];
        match others.into_iter().find(|(_, fits, ..)| !fits) {
            Some((what, _, found, expected)) => Err(AudioError::Parameter { what, found, expected }),
            None => Ok(()),
        }
    }

    /// Whether a noise bank is needed.
    pub(crate) fn needs_noise(&self) -> bool {
        self.noise.probability > 0.0
    }

    /// Whether an impulse bank is needed.
    pub(crate) fn needs_impulses(&self) -> bool {
        self.reverb.probability > 0.0 && self.decay_share < 1.0
    }
}
