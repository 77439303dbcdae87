//! Augmenting mel power is close to augmenting samples, in expectation: the same chain of effects on the same music-like clip,
//! many draws each, compared by mean power per band and by the statistics that models see.

use std::f32::consts::TAU;

use ndarray::Array2;
use rand::RngExt;
use sordino_audio::{
    AugmentSpec, Chance, ImpulseBank, ImpulseMel, MelAugment, NoiseBank, NoiseKind, Span, WaveAugment, convolve,
    item_rng,
};
use sordino_front::{FeatureSpec, MelFrontEnd, MelPower, Statistics, log_mel};

const RATE: u32 = 8_000;
/// The clip: frames and their place in the track, with four seconds before it that may reverberate.
const FRAMES: usize = 185;
const START: usize = 125;
const DRAWS: u64 = 192;

/// Twelve seconds of plucked chords over a beat.
fn track() -> Vec<f32> {
    let rng = &mut item_rng(20, 0);
    let length = 12 * RATE as usize;
    let mut out: Vec<f32> = NoiseKind::Pink.synthesise(12.0, RATE, rng).iter().map(|x| 0.02 * x).collect();
    for onset in (0..length).step_by(RATE as usize / 3) {
        for _ in 0..4 {
            let pitch = 110.0 * 2_f32.powf(rng.random_range(0..30) as f32 / 12.0);
            let decay = 2.0 + 6.0 * rng.random::<f32>();
            for (i, x) in out[onset..].iter_mut().take(RATE as usize).enumerate() {
                let t = i as f32 / RATE as f32;
                let harmonics = (1..8).filter(|k| *k as f32 * pitch < 3_800.0);
                let tone: f32 = harmonics.map(|k| (TAU * k as f32 * pitch * t).sin() / k as f32).sum();
                *x += 0.1 * (-decay * t).exp() * tone;
            }
        }
        for (i, x) in out[onset..].iter_mut().take(800).enumerate() {
            *x += 0.2 * (-(i as f32) / 100.0).exp() * (2.0 * rng.random::<f32>() - 1.0);
        }
    }
    out
}

/// Mean over draws of the power per band, in dB, and of the four moments, each averaged over bands.
struct Average {
    band_db: Vec<f32>,
    moments: Vec<f32>,
}

fn average(clips: impl Iterator<Item = MelPower>) -> Average {
    let (mut power, mut moments, mut count) = (Array2::<f32>::zeros((FRAMES, 64)), vec![0.0; 256], 0.0);
    for clip in clips {
        let log = log_mel(clip.0.view(), FeatureSpec::default().log_floor);
        Statistics::Moments.of(log.view()).iter().zip(&mut moments).for_each(|(x, sum)| *sum += x);
        // By its own mean power, or one loud draw would be all the average.
        power.scaled_add(1.0 / clip.mean(), &clip.0);
        count += 1.0;
    }
    let band_db = power.columns().into_iter().map(|c| 10.0 * (c.sum() / count / FRAMES as f32).log10()).collect();
    moments.iter_mut().for_each(|m| *m /= count);
    Average { band_db, moments }
}

fn in_both_domains(augment: &AugmentSpec) -> [Average; 2] {
    let spec = FeatureSpec::default();
    let front_end = MelFrontEnd::new(&spec).unwrap();
    let noise = NoiseBank::synthetic(21, 12, 6.0, RATE);
    let impulses = ImpulseBank::synthetic(22, 6, Span(0.4, 1.2), RATE);
    let on_samples = WaveAugment::new(augment, &spec, &noise, &impulses).unwrap();
    let on_mel = MelAugment::new(augment, &front_end, &noise, &impulses).unwrap();
    let track = track();
    let mel = front_end.mel_power(&track);
    let length = spec.fft_size + (FRAMES - 1) * spec.hop;
    [
        average((0..DRAWS).map(|d| {
            let clip = on_samples.apply_at(&track, START * spec.hop, length, &mut item_rng(23, d)).unwrap();
            front_end.mel_power(&clip)
        })),
        average((0..DRAWS).map(|d| on_mel.apply_at(mel.0.view(), START, FRAMES, &mut item_rng(24, d)).unwrap())),
    ]
}

/// Per band within `band_db` (root mean square over bands); deviation and both differences, averaged over bands,
/// within `moment` of their size.
fn assert_close(what: &str, augment: &AugmentSpec, band_db: f32, moment: f32) {
    let [samples, mel] = in_both_domains(augment);
    // Samples at this rate have nothing above that slow playing would bring down into the highest bands; mel power guesses.
    const BANDS: usize = 60;
    let squares: f32 = samples.band_db.iter().zip(&mel.band_db).take(BANDS).map(|(a, b)| (a - b).powi(2)).sum();
    let off = (squares / BANDS as f32).sqrt();
    assert!(off < band_db, "{what}: {off} dB between the domains");
    for (group, name) in [(1, "deviation"), (2, "1-frame difference"), (3, "4-frame difference")] {
        let mean = |a: &Average| a.moments[group * 64..group * 64 + BANDS].iter().sum::<f32>() / BANDS as f32;
        let ratio = mean(&mel) / mean(&samples);
        assert!((ratio - 1.0).abs() < moment, "{what}: {name} {} on mel, {} on samples", mean(&mel), mean(&samples));
    }
}

#[test]
fn noise_at_a_ratio() {
    for snr_db in [0.0, 10.0] {
        // Voices are tones, and how they add up with the music's is taken for that of two noises: 6 % are off in a thousand draws.
        assert_close("background noise", &AugmentSpec::condition(Some(snr_db), false), 1.0, 0.1);
    }
    let white = AugmentSpec { gaussian: Chance::new(1.0, 10.0, 10.0), ..AugmentSpec::clean() };
    assert_close("white noise", &white, 0.5, 0.05);
}

#[test]
fn reverberation() {
    assert_close("impulse responses", &AugmentSpec::condition(None, true), 1.0, 0.08);
    let decay = AugmentSpec {
        decay_share: 1.0,
        decay_seconds: Span(1.0, 1.0),
        decay_direct_db: Span(-3.0, -3.0),
        ..AugmentSpec::condition(None, true)
    };
    assert_close("exponential decay", &decay, 1.0, 0.08);
}

#[test]
fn colour() {
    let equaliser = AugmentSpec { equaliser: Chance::new(1.0, 0.7, 0.7), ..AugmentSpec::clean() };
    assert_close("equaliser", &equaliser, 1.0, 0.02);
    let limits = AugmentSpec {
        low_cut_hz: Chance::new(1.0, 250.0, 250.0),
        high_cut_hz: Chance::new(1.0, 2_500.0, 2_500.0),
        ..AugmentSpec::clean()
    };
    assert_close("band limits", &limits, 1.0, 0.02);
}

#[test]
fn speed_tempo_and_pitch() {
    for speed in [0.95, 1.04] {
        let fast = AugmentSpec { speed: Chance::new(1.0, speed, speed), ..AugmentSpec::clean() };
        assert_close("speed", &fast, 1.0, 0.05);
    }
    let tempo = AugmentSpec { stretch: Chance::new(1.0, 1.08, 1.08), ..AugmentSpec::clean() };
    assert_close("tempo", &tempo, 1.0, 0.08);
    let pitch = AugmentSpec { pitch: Chance::new(1.0, -0.5, -0.5), ..AugmentSpec::clean() };
    assert_close("pitch", &pitch, 1.0, 0.08);
}

#[test]
fn codec() {
    for below_db in [4.0, 10.0] {
        let coded = AugmentSpec { codec: Chance::new(1.0, below_db, below_db), ..AugmentSpec::clean() };
        assert_close("codec", &coded, 1.0, 0.08);
    }
}

#[test]
fn everything_at_once() {
    assert_close("medium level", &AugmentSpec::level(sordino_audio::Level::Medium), 1.5, 0.08);
}

#[test]
fn reverberant_power_is_the_kernel_s_in_expectation() {
    // White noise has unrelated phases, so here the expectation is exact: the power of many bursts of noise through one
    // room, frame by frame and band by band, against the kernel's prediction.
    let spec = FeatureSpec::default();
    let front_end = MelFrontEnd::new(&spec).unwrap();
    let bank = ImpulseBank::synthetic(25, 1, Span(0.8, 0.8), RATE);
    let response = &bank.clips()[0].samples;
    let kernel = ImpulseMel::new(&front_end, response);
    let bursts = |reverberant: bool| {
        let mut sum = Array2::<f32>::zeros((60, 64));
        for draw in 0..200 {
            let mut burst = NoiseKind::White.synthesise(2.2, RATE, &mut item_rng(26, draw));
            burst[6_000..].fill(0.0);
            let heard = if reverberant { convolve(&burst, response) } else { burst };
            sum += &front_end.mel_power(&heard).0.slice_axis(ndarray::Axis(0), (0..60).into());
        }
        sum / 200.0
    };
    let found = bursts(true);
    let expected = kernel.apply(bursts(false).view(), 0, 60).unwrap();
    // While the burst sounds and until the tail has fallen by 30 dB.
    for frame in (2..35).step_by(3) {
        let off: Vec<f32> =
            found.row(frame).iter().zip(expected.row(frame)).map(|(a, b)| 10.0 * (a / b).log10()).collect();
        let mean = off.iter().sum::<f32>() / 64.0;
        let spread = (off.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 64.0).sqrt();
        assert!(mean.abs() < 0.5 && spread < 1.0, "frame {frame}: {mean} dB, {spread} dB between bands");
    }
    assert!(kernel.apply(Array2::zeros((10, 63)).view(), 0, 5).is_err());
    assert!(kernel.apply(Array2::zeros((10, 64)).view(), 8, 5).is_err());
}
