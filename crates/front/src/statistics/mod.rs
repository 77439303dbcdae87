//! Pooled statistics of a log-mel spectrogram: what a clip sounds like, how it moves, and how its parts move together.
//!
//! All of them are averages over the clip's frames, so they do not depend on where in a steady piece a query starts, and a
//! few additive disturbances shift them little. Which of them a model uses is a field of [`crate::FeatureSpec`].

mod correlation;
mod moments;
mod onsets;

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// A set of pooled statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistics {
    /// Per band: mean, standard deviation, mean absolute differences of frames 1 and 4 apart. `4 bands` numbers.
    Moments,
    /// The moments; per band the rising parts of differences 1, 4 and 16 frames apart; the correlations of the cepstral
    /// coefficients over time; the autocorrelation of onsets in four registers. `7 bands + 664` numbers for 32 or more
    /// bands.
    #[default]
    Rich,
}

impl Statistics {
    /// How many numbers this set has for spectrograms of `bands` bands.
    pub fn width(self, bands: usize) -> usize {
        match self {
            Self::Moments => moments::PER_BAND * bands,
            Self::Rich => {
                (moments::PER_BAND + onsets::RISES_PER_BAND) * bands + correlation::width(bands) + onsets::RHYTHM_WIDTH
            }
        }
    }

    /// The statistics of one log-mel spectrogram `[frames, bands]`, `width(bands)` numbers. Statistics over a distance
    /// that the clip is too short for are zero.
    pub fn of(self, log_mel: ArrayView2<'_, f32>) -> Vec<f32> {
        let mut out = moments::moments(log_mel);
        if self == Self::Rich {
            out.extend(onsets::rises(log_mel));
            out.extend(correlation::cepstral_correlations(log_mel));
            out.extend(onsets::rhythm(log_mel));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn wavy(frames: usize, bands: usize) -> Array2<f32> {
        Array2::from_shape_fn((frames, bands), |(t, b)| ((t * (b + 3)) as f32 * 0.05).sin() + (t as f32 * 0.9).cos())
    }

    #[test]
    fn every_set_has_its_width_whatever_the_clip() {
        for set in [Statistics::Moments, Statistics::Rich] {
            for (frames, bands) in [(0, 64), (1, 64), (3, 16), (40, 8), (309, 64), (309, 128)] {
                let statistics = set.of(wavy(frames, bands).view());
                assert_eq!(statistics.len(), set.width(bands), "{set:?} {frames} x {bands}");
                assert!(statistics.iter().all(|v| v.is_finite()), "{set:?} {frames} x {bands}");
            }
        }
        assert_eq!(Statistics::Rich.width(64), 1_112);
    }

    #[test]
    fn a_reversed_clip_differs_only_in_the_direction_of_its_onsets() {
        let clip = wavy(200, 64).mapv(|x| x.exp());
        let mut reversed = clip.clone();
        reversed.invert_axis(ndarray::Axis(0));
        let (a, b) = (Statistics::Rich.of(clip.view()), Statistics::Rich.of(reversed.view()));
        let close =
            |range: std::ops::Range<usize>| a[range.clone()].iter().zip(&b[range]).all(|(x, y)| (x - y).abs() < 1e-3);
        let (moments, rises) = (0..256, 256..448);
        assert!(close(moments));
        assert!(!close(rises));
    }
}
