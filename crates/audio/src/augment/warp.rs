//! [`Warp`]: another speed, tempo or pitch, as it acts on mel power.

use ndarray::{Array2, ArrayView2};
use rand::Rng;
use sordino_front::FeatureSpec;

use super::AugmentSpec;

/// Frames are taken at another pace, and every band's power from where its sound was before its pitch changed.
///
/// Frames are not mixed: the mean of two has less of the fluctuation that the statistics measure. For the same reason, bands are
/// mixed by a cubic, which smooths less than a straight line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Warp {
    /// Frames of the source for every frame that is heard.
    pace: f32,
    /// Frequency that is heard for one of the source.
    pitch: f32,
}

impl Warp {
    /// Draws speed, tempo and pitch; nothing where none of them changes.
    pub(crate) fn draw(spec: &AugmentSpec, rng: &mut impl Rng) -> Option<Self> {
        let (speed, stretch, pitch) = (spec.speed.draw(rng), spec.stretch.draw(rng), spec.pitch.draw(rng));
        let speed = speed.unwrap_or(1.0);
        let warp =
            Self { pace: speed / stretch.unwrap_or(1.0), pitch: speed * 2_f32.powf(pitch.unwrap_or(0.0) / 12.0) };
        (warp.pace != 1.0 || warp.pitch != 1.0).then_some(warp)
    }

    /// The fastest pace that `spec` draws.
    pub(crate) fn fastest(spec: &AugmentSpec) -> f32 {
        let of = |chance: super::Chance, pace: f32| if chance.probability > 0.0 { pace.max(1.0) } else { 1.0 };
        of(spec.speed, spec.speed.span.1) * of(spec.stretch, 1.0 / spec.stretch.span.0.max(f32::MIN_POSITIVE))
    }

    /// `frames` frames of `clip` from `start` on as they are then heard, after up to `history` frames from before them, and
    /// how many those are. Where the clip ends too early, it is heard from a little before `start`; where it is too short for
    /// that, its tempo stays.
    pub(crate) fn apply(
        &self,
        spec: &FeatureSpec,
        centres_hz: &[f32],
        clip: ArrayView2<'_, f32>,
        (start, frames): (usize, usize),
        history: usize,
    ) -> (Array2<f32>, usize) {
        let Some(last) = clip.nrows().checked_sub(1) else { return (Array2::zeros((0, clip.ncols())), 0) };
        let reach = |pace: f32| (pace * frames.saturating_sub(1) as f32).ceil() as usize;
        let pace = if reach(self.pace) <= last { self.pace } else { 1.0 };
        let start = start.min(last.saturating_sub(reach(pace)));
        let before = history.min((start as f32 / pace) as usize);
        let bands: Vec<(usize, f32)> = centres_hz.iter().map(|&hz| self.source(spec, hz, clip.ncols())).collect();
        let mut heard = Array2::zeros((before + frames, clip.ncols()));
        for (t, mut row) in heard.rows_mut().into_iter().enumerate() {
            let at = start as f32 + pace * (t as f32 - before as f32);
            let source = clip.row((at.round().max(0.0) as usize).min(last));
            for (power, &(band, share)) in row.iter_mut().zip(&bands) {
                let at = |offset: usize| source[(band + offset).clamp(1, source.len()) - 1];
                *power = between(at(0), at(1), at(2), at(3), share);
            }
        }
        (heard, before)
    }

    /// The band of the source that is heard at `hz`, and how far on to the next one. Bands are evenly spaced in mel.
    fn source(&self, spec: &FeatureSpec, hz: f32, bands: usize) -> (usize, f32) {
        let mel = |hz: f32| spec.mel_scale.mel(f64::from(hz));
        let (low, high) = (mel(spec.mel_min_hz), mel(spec.mel_max_hz));
        let place = (mel(hz / self.pitch) - low) / (high - low) * (bands + 1) as f64 - 1.0;
        let place = place.clamp(0.0, bands.saturating_sub(1) as f64);
        (place as usize, place.fract() as f32)
    }
}

/// The cubic through `here` and `above` with the slopes that their neighbours suggest (Catmull and Rom, 1974), `share` of the way,
/// but no less than half of either: it overshoots beside a peak.
fn between(before: f32, here: f32, above: f32, after: f32, share: f32) -> f32 {
    let (rise, slopes) = (above - here, (0.5 * (above - before), 0.5 * (after - here)));
    let bend = 3.0 * rise - 2.0 * slopes.0 - slopes.1 + share * (slopes.0 + slopes.1 - 2.0 * rise);
    (here + share * (slopes.0 + share * bend)).max(0.5 * here.min(above))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use sordino_front::MelFrontEnd;

    use super::super::{Chance, NoiseKind};
    use super::*;
    use crate::resample::play_at;

    fn warp(pace: f32, pitch: f32) -> Warp {
        Warp { pace, pitch }
    }

    #[test]
    fn a_tone_played_fast_is_heard_where_it_should_be() {
        let spec = FeatureSpec::default();
        let front_end = MelFrontEnd::new(&spec).unwrap();
        let (centres, _) = front_end.band_centres_and_widths();
        let tone = |hz: f32| -> Vec<f32> {
            (0..40_000).map(|i| (std::f32::consts::TAU * hz * i as f32 / 8_000.0).sin()).collect()
        };
        for (hz, speed) in [(440.0, 1.04), (1_500.0, 0.96), (3_000.0, 1.1)] {
            let mel = front_end.mel_power(&tone(hz)).0;
            let (heard, _) = warp(speed, speed).apply(&spec, &centres, mel.view(), (10, 60), 0);
            let real = front_end.mel_power(&tone(hz * speed)).0;
            let centre = |power: ArrayView2<f32>| {
                let row = power.row(20);
                row.iter().enumerate().map(|(b, p)| b as f32 * p).sum::<f32>() / row.sum()
            };
            let (heard, real) = (centre(heard.view()), centre(real.view()));
            assert!((heard - real).abs() < 0.15, "{hz} Hz at {speed}: band {heard}, expected {real}");
        }
    }

    #[test]
    fn noise_played_fast_has_the_statistics_that_it_should() {
        let spec = FeatureSpec::default();
        let front_end = MelFrontEnd::new(&spec).unwrap();
        let (centres, _) = front_end.band_centres_and_widths();
        let noise = NoiseKind::Pink.synthesise(30.0, 8_000, &mut ChaCha8Rng::seed_from_u64(4));
        let real = front_end.mel_power(&play_at(&noise, 1.04).unwrap()).0;
        let mel = front_end.mel_power(&noise).0;
        let (heard, _) = warp(1.04, 1.04).apply(&spec, &centres, mel.view(), (0, 800), 0);
        let log = |power: &Array2<f32>| power.mapv(|p| p.max(1e-12).ln());
        for band in [5, 20, 40, 60] {
            let [heard, real] = [log(&heard), log(&real)].map(|log| log.column(band).mean().unwrap());
            assert!((heard - real).abs() < 0.25, "band {band}: {heard}, expected {real}");
        }
    }

    #[test]
    fn what_is_heard_lies_where_it_did() {
        let spec = FeatureSpec::default();
        let (centres, _) = MelFrontEnd::new(&spec).unwrap().band_centres_and_widths();
        let clip = Array2::from_shape_fn((100, 64), |(frame, _)| frame as f32);
        let frames = |warp: &Warp, start, count, history| {
            let (heard, before) = warp.apply(&spec, &centres, clip.view(), (start, count), history);
            (heard.column(30).to_vec(), before)
        };
        assert_eq!(frames(&warp(2.0, 1.0), 10, 3, 2), (vec![6.0, 8.0, 10.0, 12.0, 14.0], 2));
        assert_eq!(frames(&warp(0.5, 1.0), 10, 3, 0), (vec![10.0, 11.0, 11.0], 0));
        // Too near the end: a little earlier. Too short: as it is.
        assert_eq!(frames(&warp(2.0, 1.0), 97, 3, 0), (vec![95.0, 97.0, 99.0], 0));
        assert_eq!(frames(&warp(2.0, 1.0), 0, 100, 5).0, (0..100).map(|t| t as f32).collect::<Vec<_>>());
    }

    #[test]
    fn draws_cover_the_ranges() {
        let spec = AugmentSpec { speed: Chance::new(1.0, 0.9, 1.1), ..AugmentSpec::clean() };
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        assert!((0..100).filter_map(|_| Warp::draw(&spec, &mut rng)).all(|w| w.pace == w.pitch && w.pace <= 1.1));
        assert_eq!((Warp::fastest(&spec), Warp::fastest(&AugmentSpec::clean())), (1.1, 1.0));
        assert_eq!(Warp::draw(&AugmentSpec::clean(), &mut rng), None);
    }
}
