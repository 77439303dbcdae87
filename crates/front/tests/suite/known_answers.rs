//! Mel power, log-mel, MFCC and statistics against librosa and NumPy (`known_answers/generate.py`).

use ndarray::{Array2, ArrayView2};
use serde::Deserialize;
use sordino_front::{FeatureSpec, MelFrontEnd, MelPower, MelScale, Statistics, log_mel, mfcc};

#[derive(Deserialize)]
struct Answers {
    frames: usize,
    mel_power_htk: Vec<f32>,
    mel_power_slaney: Vec<f32>,
    log_mel_htk: Vec<f32>,
    mfcc_htk: Vec<f32>,
    moments: Vec<f32>,
    rich: Vec<f32>,
}

fn answers() -> Answers {
    serde_json::from_str(include_str!("../known_answers/front_end.json")).unwrap()
}

/// The 32-bit generator of Numerical Recipes, in -1..1.
fn lcg(seed: u32) -> impl Iterator<Item = f64> {
    let step = |s: &u32| Some(s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(seed), step).skip(1).map(|s| f64::from(s) / 2_f64.powi(31) - 1.0)
}

fn signal() -> Vec<f32> {
    use std::f64::consts::TAU;
    let sample = |(i, noise): (u32, f64)| {
        let t = f64::from(i) / 8_000.0;
        let chirp = 0.3 * (TAU * (150.0 * t + 1_200.0 * t * t)).sin();
        let tone = 0.2 * (TAU * 1_000.0 * t).sin() * (TAU * 3.0 * t).sin();
        (chirp + tone + 0.01 * noise) as f32
    };
    (0..9_600).zip(lcg(1)).map(sample).collect()
}

fn power(scale: MelScale) -> MelPower {
    let spec = FeatureSpec { mel_scale: scale, ..FeatureSpec::default() };
    MelFrontEnd::new(&spec).unwrap().mel_power(&signal())
}

/// Every number within `relative` of the known one or within `absolute`, whichever is wider.
fn assert_close(what: &str, found: ArrayView2<'_, f32>, known: &[f32], relative: f32, absolute: f32) {
    assert_eq!(found.len(), known.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(known).enumerate() {
        let tolerance = (relative * b.abs()).max(absolute);
        assert!((a - b).abs() <= tolerance, "{what}[{i}]: {a}, known {b}, tolerance {tolerance}");
    }
}

#[test]
fn mel_power_equals_librosa() {
    let answers = answers();
    for (scale, known) in [(MelScale::Htk, &answers.mel_power_htk), (MelScale::Slaney, &answers.mel_power_slaney)] {
        let found = power(scale);
        assert_eq!((found.frames(), found.bands()), (answers.frames, 64));
        // The FFT runs in 32 bits: its error is a fraction of the frame's strongest bin, hence the absolute term.
        let peak = known.iter().copied().fold(0.0, f32::max);
        assert_close("mel power", found.0.view(), known, 2e-5, 1e-8 * peak);
    }
}

#[test]
fn log_mel_and_mfcc_equal_librosa() {
    let (answers, power) = (answers(), power(MelScale::Htk));
    let log = log_mel(power.0.view(), FeatureSpec::default().log_floor);
    assert_close("log-mel", log.view(), &answers.log_mel_htk, 0.0, 1e-4);
    // In dB times an orthonormal transform of 64 bands: 0.002 of a range of hundreds.
    assert_close("mfcc", mfcc(&power, 20).view(), &answers.mfcc_htk, 0.0, 2e-3);
}

#[test]
fn statistics_equal_numpy() {
    let answers = answers();
    let mut wander = Array2::<f64>::zeros((200, 16));
    for ((x, step), index) in wander.iter_mut().zip(lcg(2)).zip(0..) {
        *x = step;
        assert!(index < 200 * 16);
    }
    wander.accumulate_axis_inplace(ndarray::Axis(0), |&before, x| *x += before);
    let wander = Array2::from_shape_fn((200, 16), |(t, b)| (wander[[t, b]] * 0.3 + b as f64 * 0.1) as f32);
    for (set, known) in [(Statistics::Moments, &answers.moments), (Statistics::Rich, &answers.rich)] {
        let found = set.of(wander.view());
        let found = ArrayView2::from_shape((1, found.len()), &found).unwrap();
        assert_close("statistics", found, known, 1e-5, 2e-5);
    }
}

#[test]
fn log_mel_does_not_hear_the_gain() {
    let power = power(MelScale::Htk);
    let floor = FeatureSpec::default().log_floor;
    let (one, other) = (log_mel(power.0.view(), floor), log_mel(power.0.mapv(|p| 1e-4 * p).view(), floor));
    assert_close("log-mel", one.view(), other.as_slice().unwrap(), 0.0, 1e-4);
    assert!(one.sum().abs() < 1e-2);
    let silence = log_mel(Array2::zeros((5, 64)).view(), floor);
    assert!(silence.iter().all(|&x| x == 0.0));
}

#[test]
fn short_signals_have_no_frames_and_scratch_is_reusable() {
    let spec = FeatureSpec::default();
    let front_end = MelFrontEnd::new(&spec).unwrap();
    assert_eq!(front_end.mel_power(&[0.5; 1_023]).0.dim(), (0, 64));
    assert_eq!(front_end.mel_power(&[0.5; 1_024]).0.dim(), (1, 64));
    // A scratch of another front end is replaced, not trusted.
    let other = MelFrontEnd::new(&FeatureSpec { fft_size: 512, ..spec }).unwrap();
    let signal = signal();
    let mut scratch = other.scratch();
    assert_eq!(front_end.mel_power_with(&signal, &mut scratch), front_end.mel_power(&signal));
}

#[test]
fn a_spec_that_makes_no_sense_is_refused() {
    let good = FeatureSpec::default();
    let bad = [
        FeatureSpec { mel_max_hz: 4_001.0, ..good.clone() },
        FeatureSpec { hop: 0, ..good.clone() },
        FeatureSpec { mel_bands: 100_000, ..good.clone() },
        FeatureSpec { log_floor: f32::NAN, ..good },
    ];
    assert!(bad.iter().all(|spec| MelFrontEnd::new(spec).is_err()));
}
