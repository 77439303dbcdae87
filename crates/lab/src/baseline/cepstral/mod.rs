//! [`MfccWindows`]: sums of cepstral coefficients over half a second, the fingerprints of the Concrete_Shazam entry.

pub(crate) mod encrypted;
pub(crate) mod pairs;
pub(crate) mod regression;
pub(crate) mod tree;

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sordino_front::{FeatureSpec, MelFrontEnd, MelScale, mfcc};

use super::{Library, PhaseProgress};
use crate::LabError;

/// How windows become numbers. The default is librosa's `mfcc(n_mfcc=20)` of 22,050 Hz sound, as the entry calls it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MfccSettings {
    /// Sampling rate in Hz.
    pub rate: u32,
    /// FFT length in samples.
    pub fft_size: usize,
    /// Samples between frames.
    pub hop: usize,
    /// Mel bands up to half the rate.
    pub mel_bands: usize,
    /// Cepstral coefficients.
    pub coefficients: usize,
    /// Length of a window in seconds; windows follow each other without overlap.
    pub window_seconds: f32,
}

impl Default for MfccSettings {
    fn default() -> Self {
        Self { rate: 22_050, fft_size: 2_048, hop: 512, mel_bands: 128, coefficients: 20, window_seconds: 0.5 }
    }
}

impl MfccSettings {
    /// The same at 8 kHz: half as long a transform, half as many bands. Queries at the rate of everything else can be used as they are.
    pub fn at_8_khz() -> Self {
        Self { rate: 8_000, fft_size: 1_024, hop: 256, mel_bands: 64, ..Self::default() }
    }

    fn spec(&self) -> FeatureSpec {
        FeatureSpec {
            sample_rate: self.rate,
            fft_size: self.fft_size,
            hop: self.hop,
            mel_bands: self.mel_bands,
            mel_min_hz: 0.0,
            mel_max_hz: self.rate as f32 / 2.0,
            mel_scale: MelScale::Slaney,
            query_seconds: self.window_seconds,
            ..FeatureSpec::default()
        }
    }
}

/// Windows of a clip to vectors.
pub(crate) struct MfccWindows {
    settings: MfccSettings,
    front: MelFrontEnd,
}

/// The windows of a library: vectors `[windows, coefficients]` and the track of each.
pub(crate) struct LabelledWindows {
    pub(crate) vectors: Array2<f32>,
    pub(crate) tracks: Vec<u32>,
}

impl MfccWindows {
    pub(crate) fn new(settings: MfccSettings) -> Result<Self, LabError> {
        let bad = |setting: &str, found: String, expected: &str| {
            Err(LabError::Setting { setting: setting.into(), found, expected: expected.into() })
        };
        if !(1..=settings.mel_bands).contains(&settings.coefficients) {
            return bad("coefficients", settings.coefficients.to_string(), "1 to the number of mel bands");
        }
        let front = match MelFrontEnd::new(&settings.spec()) {
            Ok(front) => front,
            Err(error) => return bad("mfcc", format!("{settings:?}"), &error.to_string()),
        };
        Ok(Self { settings, front })
    }

    pub(crate) fn settings(&self) -> &MfccSettings {
        &self.settings
    }

    /// One vector per whole window: the sum over time of its cepstral coefficients, `[windows, coefficients]`.
    pub(crate) fn of(&self, samples: &[f32]) -> Array2<f32> {
        let length = self.front.spec().query_samples().max(1);
        let margin = self.settings.fft_size / 2;
        // librosa centres its frames: half a transform of silence on either side.
        let mut padded = vec![0.0; length + 2 * margin];
        let mut scratch = self.front.scratch();
        let mut out = Array2::zeros((samples.len() / length, self.settings.coefficients));
        for (window, mut row) in samples.chunks_exact(length).zip(out.rows_mut()) {
            padded[margin..margin + length].copy_from_slice(window);
            let power = self.front.mel_power_with(&padded, &mut scratch);
            row.assign(&mfcc(&power, self.settings.coefficients).sum_axis(Axis(0)));
        }
        out
    }

    /// The windows of everything that may be heard of a library.
    pub(crate) fn of_library(
        &self,
        library: &Library<'_>,
        progress: PhaseProgress<'_>,
    ) -> Result<LabelledWindows, LabError> {
        let done = std::sync::atomic::AtomicUsize::new(0);
        let windows = (0..library.len()).into_par_iter().map(|position| {
            let windows = self.of(&library.heard(position, self.settings.rate)?);
            let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            progress("windows", done as f32 / library.len() as f32);
            Ok(windows)
        });
        let windows: Vec<Array2<f32>> = windows.collect::<Result<_, LabError>>()?;
        let count = windows.iter().map(Array2::nrows).sum();
        let mut vectors = Array2::zeros((count, self.settings.coefficients));
        let rows = windows.iter().flat_map(|track| track.rows());
        vectors.rows_mut().into_iter().zip(rows).for_each(|(mut to, from): (_, ArrayView1<f32>)| to.assign(&from));
        let tracks = windows.iter().enumerate().flat_map(|(t, rows)| std::iter::repeat_n(t as u32, rows.nrows()));
        Ok(LabelledWindows { vectors, tracks: tracks.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_the_sum_of_librosas_coefficients() {
        // librosa centres frames, so 22,050 samples of 0.5-s windows have 1 + floor(11025 / 512) = 22 of them. A constant spectrum has
        // a known answer: silence is -100 dB in every band, whose first coefficient is -100 sqrt(bands) and the others nothing.
        let windows = MfccWindows::new(MfccSettings::default()).unwrap();
        let vectors = windows.of(&vec![0.0; 22_050 + 5_000]);
        assert_eq!(vectors.dim(), (2, 20));
        let expected = -100.0 * 128f32.sqrt() * 22.0;
        assert!((vectors[(0, 0)] / expected - 1.0).abs() < 1e-4, "{} against {expected}", vectors[(0, 0)]);
        assert!(vectors.row(1).iter().skip(1).all(|v| v.abs() < 0.5));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for settings in [
            MfccSettings { coefficients: 0, ..MfccSettings::default() },
            MfccSettings { coefficients: 200, ..MfccSettings::default() },
            MfccSettings { hop: 0, ..MfccSettings::default() },
            MfccSettings { window_seconds: 0.0, ..MfccSettings::default() },
        ] {
            assert!(matches!(MfccWindows::new(settings), Err(LabError::Setting { .. })), "{settings:?}");
        }
    }
}
