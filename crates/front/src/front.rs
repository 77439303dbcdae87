//! [`Front`]: the public front end, as data; it runs in the clear on the client and turns samples into small integers.
//!
//! samples → mel power → log-mel `[frames, bands]` → statistics and/or [`Network`] embedding → base features →
//! one [`Head`] per encrypted input → integers that keep their [`crate::VectorBound`]. A front end for vectors begins at the
//! base features.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::same;
use crate::{FeatureSpec, FrontError, Head, MelFrontEnd, MelPower, Network, log_mel, threads};

/// Fewest frames that the statistics (differences over 4 frames) are taken from, and that any clip must have.
const MIN_FRAMES: usize = 8;

/// Which `query_seconds` of a longer clip are used. The choice stays on the client and no server sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Crop {
    /// The first.
    Start,
    /// The middle ones: intros and fade-outs are the least telling parts.
    #[default]
    Middle,
    /// Those from this many seconds on.
    At(f32),
}

/// From samples, or from vectors, to the integers that are encrypted.
#[derive(Clone, Debug, PartialEq)]
pub struct Front {
    input: Input,
    heads: Vec<Head>,
}

/// What base features are made of.
#[derive(Clone, Debug, PartialEq)]
enum Input {
    Sound(Box<Sound>),
    /// Vectors of so many numbers, which are the base features themselves.
    Vectors(usize),
}

/// What makes base features of samples.
#[derive(Clone, Debug)]
struct Sound {
    spec: FeatureSpec,
    statistics: bool,
    network: Option<Network>,
    mel: Arc<MelFrontEnd>,
}

impl PartialEq for Sound {
    /// Equal parts; the FFT plan follows from the spec.
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.statistics == other.statistics && self.network == other.network
    }
}

impl Front {
    /// Base features are the hand-made statistics (if `statistics`), then the network's embedding (if any).
    ///
    /// # Errors
    /// [`FrontError`] where the spec is invalid, there are no features or no heads, or the parts do not fit together.
    pub fn new(
        spec: FeatureSpec,
        statistics: bool,
        network: Option<Network>,
        heads: Vec<Head>,
    ) -> Result<Self, FrontError> {
        let mel = Arc::new(MelFrontEnd::new(&spec)?);
        if let Some(network) = &network {
            same("network", "mel bands", network.bands(), spec.mel_bands)?;
            if network.min_frames() > spec.query_frames() {
                return Err(FrontError::shape("network", "fewest frames", network.min_frames(), spec.query_frames()));
            }
        }
        if Self::features_width(&spec, statistics, network.as_ref()) == 0 {
            return Err(FrontError::setting("features", "width", 0, "statistics, a network, or both"));
        }
        Self::of(Input::Sound(Box::new(Sound { spec, statistics, network, mel })), heads)
    }

    /// A front end for vectors of `width` numbers, which need not describe sound.
    ///
    /// # Errors
    /// [`FrontError`] for vectors of no width, no heads, or heads that take another width.
    pub fn of_vectors(width: usize, heads: Vec<Head>) -> Result<Self, FrontError> {
        if width == 0 {
            return Err(FrontError::setting("vectors", "width", 0, "at least 1"));
        }
        Self::of(Input::Vectors(width), heads)
    }

    fn of(input: Input, heads: Vec<Head>) -> Result<Self, FrontError> {
        let front = Self { input, heads };
        let width = front.width();
        if front.heads.is_empty() {
            return Err(FrontError::setting("front", "heads", 0, "at least 1"));
        }
        for head in &front.heads {
            same(&format!("heads.{}", head.name()), "input width", head.input_width(), width)?;
            if front.heads.iter().filter(|other| other.name() == head.name()).count() > 1 {
                return Err(FrontError::setting("heads", "two names", head.name(), "a name of its own for each head"));
            }
        }
        Ok(front)
    }

    /// The spec that a model for sound was trained for.
    ///
    /// # Errors
    /// [`FrontError::NotSound`] where vectors are taken.
    pub fn spec(&self) -> Result<&FeatureSpec, FrontError> {
        Ok(&self.sound()?.spec)
    }

    fn sound(&self) -> Result<&Sound, FrontError> {
        match &self.input {
            Input::Sound(sound) => Ok(sound),
            Input::Vectors(width) => Err(FrontError::NotSound { width: *width }),
        }
    }

    /// Whether the hand-made statistics are among the base features.
    pub fn has_statistics(&self) -> bool {
        self.sound().is_ok_and(|sound| sound.statistics)
    }

    /// The learned embedding, if any.
    pub fn network(&self) -> Option<&Network> {
        self.sound().ok().and_then(|sound| sound.network.as_ref())
    }

    /// The heads.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// One head.
    ///
    /// # Errors
    /// [`FrontError::NoHead`].
    pub fn head(&self, head: usize) -> Result<&Head, FrontError> {
        self.heads.get(head).ok_or(FrontError::NoHead { found: head, heads: self.heads.len() })
    }

    /// Number of base features.
    pub fn width(&self) -> usize {
        match &self.input {
            Input::Sound(sound) => Self::features_width(&sound.spec, sound.statistics, sound.network.as_ref()),
            Input::Vectors(width) => *width,
        }
    }

    /// Number of base features that a front of these parts has: what its heads must take.
    pub fn features_width(spec: &FeatureSpec, statistics: bool, network: Option<&Network>) -> usize {
        let hand = if statistics { spec.statistics.width(spec.mel_bands) } else { 0 };
        hand + network.map_or(0, Network::width)
    }

    /// The `query_seconds` of a clip (samples at the spec's rate) that `crop` names.
    ///
    /// # Errors
    /// [`FrontError::Short`] for a clip shorter than a query, [`FrontError::Outside`] for a window that leaves it,
    /// [`FrontError::NotSound`] where vectors are taken.
    pub fn window<'a>(&self, samples: &'a [f32], crop: Crop) -> Result<&'a [f32], FrontError> {
        let spec = &self.sound()?.spec;
        let length = spec.query_samples();
        let seconds = |n: usize| n as f32 / spec.sample_rate as f32;
        let Some(spare) = samples.len().checked_sub(length) else {
            return Err(FrontError::Short { found: seconds(samples.len()), expected: seconds(length) });
        };
        let start = match crop {
            Crop::Start => 0,
            Crop::Middle => spare / 2,
            Crop::At(start) => {
                let at = (start * spec.sample_rate as f32).round();
                if !(at >= 0.0 && at <= spare as f32) {
                    let (length, found) = (seconds(length), seconds(samples.len()));
                    return Err(FrontError::Outside { start, length, found });
                }
                (at as usize).min(spare)
            }
        };
        Ok(&samples[start..start + length])
    }

    /// Base features, shape `[width]`, of the middle `query_seconds` of a clip: `features_at(samples, Crop::Middle)`.
    ///
    /// # Errors
    /// [`FrontError::Short`], and [`FrontError::NotFinite`] for a silent clip or samples that are not numbers.
    pub fn features(&self, samples: &[f32]) -> Result<Vec<f32>, FrontError> {
        self.features_at(samples, Crop::Middle)
    }

    /// Base features, shape `[width]`, of one window of a clip (samples at the spec's rate).
    ///
    /// # Errors
    /// [`FrontError::Short`], [`FrontError::Outside`], and [`FrontError::NotFinite`] for a silent clip or samples that
    /// are not numbers.
    pub fn features_at(&self, samples: &[f32], crop: Crop) -> Result<Vec<f32>, FrontError> {
        let MelPower(power) = self.sound()?.mel.mel_power(self.window(samples, crop)?);
        self.features_of_mel(power.view())
    }

    /// Base features, shape `[width]`, of mel power `[frames, bands]`, all of it.
    ///
    /// # Errors
    /// [`FrontError::Shape`] for other bands or too few frames, [`FrontError::NotFinite`] for silence.
    pub fn features_of_mel(&self, power: ArrayView2<'_, f32>) -> Result<Vec<f32>, FrontError> {
        let Sound { spec, statistics, network, .. } = self.sound()?;
        let (frames, bands) = power.dim();
        same("spectrogram", "bands", bands, spec.mel_bands)?;
        if frames < MIN_FRAMES {
            return Err(FrontError::shape("spectrogram", "frames", frames, MIN_FRAMES));
        }
        let total: f64 = power.iter().map(|&v| f64::from(v)).sum();
        if !(total.is_finite() && total > 0.0) {
            return Err(FrontError::NotFinite { stage: "the logarithm of its power" });
        }
        let log = log_mel(power, spec.log_floor);
        let mut features = if *statistics { spec.statistics.of(log.view()) } else { Vec::new() };
        if let Some(network) = network {
            features.extend(network.embed(log.view())?);
        }
        if features.iter().any(|v| !v.is_finite()) {
            return Err(FrontError::NotFinite { stage: "a feature" });
        }
        Ok(features)
    }

    /// Base features of many spectrograms: `[n, width]`.
    ///
    /// # Errors
    /// Those of [`Front::features_of_mel`], for the first clip that fails.
    pub fn features_of_mels(&self, powers: &[ArrayView2<'_, f32>]) -> Result<Array2<f32>, FrontError> {
        let mut out = Array2::zeros((powers.len(), self.width()));
        let rows = threads::map(powers.to_vec(), |power| self.features_of_mel(power));
        for (mut row, features) in out.axis_iter_mut(Axis(0)).zip(rows) {
            row.iter_mut().zip(features?).for_each(|(o, v)| *o = v);
        }
        Ok(out)
    }

    /// The real vector of one head before quantising; scores in float precision are products with it.
    ///
    /// # Errors
    /// [`FrontError::NoHead`], or [`FrontError::Shape`] for features of another width.
    pub fn embed(&self, head: usize, features: &[f32]) -> Result<Vec<f32>, FrontError> {
        self.head(head)?.embed(features)
    }

    /// The integers of every head, in the order of the heads.
    ///
    /// # Errors
    /// [`FrontError`] for features of another width or not finite.
    pub fn inputs(&self, features: &[f32]) -> Result<Vec<Vec<i32>>, FrontError> {
        self.heads.iter().map(|head| head.input(features)).collect()
    }
}
