//! The augmentation chain's parts: levels, filters, reverberation, time and pitch, banks, determinism.

use std::f32::consts::TAU;

use rayon::prelude::*;
use sordino_audio::{
    AudioError, AugmentSpec, Chance, Colour, ImpulseBank, Level, MelAugment, NoiseBank, NoiseKind, Span, WaveAugment,
    add_gaussian_noise, convolve, gain_db, invert_polarity, item_rng, mix_at_snr, pitch_shift, power, time_stretch,
};
use sordino_front::{FeatureSpec, MelFrontEnd};

const RATE: u32 = 8_000;

fn sine(hz: f32, length: usize) -> Vec<f32> {
    (0..length).map(|i| 0.5 * (TAU * (f64::from(hz) * i as f64 / f64::from(RATE)).fract() as f32).sin()).collect()
}

fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

/// Frequency of a lone sine, from the interpolated zero crossings of its middle.
fn frequency(samples: &[f32]) -> f32 {
    let middle = &samples[samples.len() / 8..samples.len() * 7 / 8];
    let crossings: Vec<f32> = (0..)
        .zip(middle.windows(2))
        .filter(|(_, w)| w[0] < 0.0 && w[1] >= 0.0)
        .map(|(i, w)| i as f32 + w[0] / (w[0] - w[1]))
        .collect();
    (crossings.len() - 1) as f32 / (crossings[crossings.len() - 1] - crossings[0]) * RATE as f32
}

#[test]
fn noise_is_mixed_at_the_ratio_asked_for() {
    let mut rng = item_rng(1, 0);
    let signal = NoiseKind::Pink.synthesise(3.0, RATE, &mut rng);
    // As long as the signal, longer, and shorter with a remainder.
    for seconds in [3.0, 5.0, 0.7] {
        let noise = NoiseKind::Babble.synthesise(seconds, RATE, &mut rng);
        for snr_db in [-6.0, 0.0, 20.0] {
            let mut mixed = signal.clone();
            mix_at_snr(&mut mixed, &noise, snr_db);
            let added: Vec<f32> = mixed.iter().zip(&signal).map(|(m, s)| m - s).collect();
            let found = decibels(power(&signal) / power(&added));
            assert!((found - f64::from(snr_db)).abs() < 0.01, "{seconds} s: {found} dB, asked for {snr_db}");
        }
    }
    let mut noisy = signal.clone();
    add_gaussian_noise(&mut noisy, 10.0, &mut rng);
    let added: Vec<f32> = noisy.iter().zip(&signal).map(|(m, s)| m - s).collect();
    assert!((decibels(power(&signal) / power(&added)) - 10.0).abs() < 0.01);
}

#[test]
fn a_ratio_to_silence_adds_nothing() {
    let signal = sine(440.0, 100);
    for noise in [vec![], vec![0.0; 50]] {
        let mut mixed = signal.clone();
        mix_at_snr(&mut mixed, &noise, 0.0);
        assert_eq!(mixed, signal);
    }
    let mut silence = vec![0.0; 100];
    mix_at_snr(&mut silence, &signal, 0.0);
    assert!(silence.iter().all(|&x| x == 0.0));
}

#[test]
fn gain_and_polarity() {
    let mut signal = sine(440.0, 8_000);
    gain_db(&mut signal, 20.0);
    assert!((signal[5] / sine(440.0, 8_000)[5] - 10.0).abs() < 1e-4);
    invert_polarity(&mut signal);
    assert!((signal[5] / sine(440.0, 8_000)[5] + 10.0).abs() < 1e-4);
}

#[test]
fn fft_convolution_equals_the_sum() {
    let mut rng = item_rng(2, 0);
    for (signal, response) in [(1, 1), (5, 9), (1_000, 1), (1_000, 37), (3_000, 2_999), (9_000, 400)] {
        let signal = NoiseKind::White.synthesise(signal as f32 / RATE as f32, RATE, &mut rng);
        let response = NoiseKind::White.synthesise(response as f32 / RATE as f32, RATE, &mut rng);
        let found = convolve(&signal, &response);
        assert_eq!(found.len(), signal.len());
        for at in (0..signal.len()).step_by(1 + signal.len() / 50) {
            let expected: f32 = response.iter().take(at + 1).zip(signal[..=at].iter().rev()).map(|(r, s)| r * s).sum();
            assert!((found[at] - expected).abs() < 1e-4, "{} * {}: {at}", signal.len(), response.len());
        }
    }
    assert_eq!(convolve(&[1.0, 2.0], &[]), [1.0, 2.0]);
}

#[test]
fn colour_filters_by_its_gain() {
    let spec = FeatureSpec::default();
    let colour = Colour { knots: vec![0.5, -1.0, 0.7], low_cut_hz: Some(200.0), high_cut_hz: Some(2_500.0) };
    for hz in [100.0, 200.0, 440.0, 1_000.0, 2_500.0, 3_500.0] {
        let before = sine(hz, 32_000);
        let mut after = before.clone();
        colour.filter(&spec, &mut after);
        let middle = 8_000..24_000;
        let found = decibels(power(&after[middle.clone()]) / power(&before[middle]));
        let expected = decibels(f64::from(colour.power_gain(&spec, hz)));
        assert!((found - expected).abs() < 0.1, "{hz} Hz: {found} dB, expected {expected}");
    }
    // Half the power at a corner, 24 dB an octave beyond.
    let cut = Colour { low_cut_hz: Some(200.0), ..Colour::default() };
    assert!((decibels(f64::from(cut.power_gain(&spec, 200.0))) + 3.0).abs() < 0.05);
    assert!((decibels(f64::from(cut.power_gain(&spec, 100.0))) + 24.1).abs() < 0.1);
}

#[test]
fn time_stretch_changes_the_duration_and_keeps_the_pitch() {
    for ratio in [0.5, 0.9, 0.98, 1.0, 1.02, 1.3, 2.0] {
        let input = sine(440.0, 24_000);
        let output = time_stretch(&input, ratio).unwrap();
        assert_eq!(output.len(), (24_000.0 * ratio).round() as usize);
        let found = frequency(&output);
        assert!((found - 440.0).abs() < 0.5, "{ratio}: {found} Hz");
        let middle = output.len() / 4..output.len() * 3 / 4;
        let level = decibels(power(&output[middle]) / power(&input));
        assert!(level.abs() < 0.5, "{ratio}: {level} dB");
    }
    assert!(time_stretch(&[0.0; 10], 10.0).is_err());
    assert!(time_stretch(&[0.0; 10], f32::NAN).is_err());
}

#[test]
fn time_stretch_moves_events_in_proportion() {
    let mut clicks = vec![0.0; 32_000];
    for at in [8_000, 16_000, 24_000] {
        clicks[at] = 1.0;
    }
    let out = time_stretch(&clicks, 1.25).unwrap();
    for expected in [10_000_usize, 20_000, 30_000] {
        let near = expected - 1_000..expected + 1_000;
        let centre = near.clone().map(|i| i as f64 * f64::from(out[i]).powi(2)).sum::<f64>();
        let centre = centre / near.map(|i| f64::from(out[i]).powi(2)).sum::<f64>();
        assert!((centre - expected as f64).abs() < 300.0, "{expected}: {centre}");
    }
}

#[test]
fn pitch_shift_changes_the_pitch_and_keeps_the_duration() {
    for semitones in [-12.0_f32, -1.0, -0.1, 0.1, 0.5, 7.0] {
        let output = pitch_shift(&sine(440.0, 24_000), semitones).unwrap();
        assert_eq!(output.len(), 24_000);
        let (found, expected) = (frequency(&output), 440.0 * 2_f32.powf(semitones / 12.0));
        assert!((found / expected - 1.0).abs() < 1e-3, "{semitones}: {found} Hz, expected {expected}");
    }
    assert!(pitch_shift(&[0.0; 10], 40.0).is_err());
}

#[test]
fn synthetic_rooms_have_their_reverberation_time() {
    for t60 in [0.3, 1.0] {
        let bank = ImpulseBank::synthetic(3, 8, Span(t60, t60), RATE);
        for clip in bank.clips() {
            let energy: f64 = clip.samples.iter().map(|&x| f64::from(x).powi(2)).sum();
            assert!((energy - 1.0).abs() < 1e-3, "{}: {energy}", clip.name);
            // Schroeder's backward integral, fitted between the times when 10 and 25 dB of the tail's energy are gone.
            let tail = &clip.samples[(0.06 * RATE as f32) as usize..];
            let mut left = 0.0;
            let mut decay: Vec<f64> = tail
                .iter()
                .rev()
                .map(|&x| {
                    left += f64::from(x).powi(2);
                    left
                })
                .collect();
            decay.reverse();
            let gone = |db: f64| decay.iter().position(|e| decibels(e / decay[0]) <= -db).unwrap() as f32;
            let found = 4.0 * (gone(25.0) - gone(10.0)) / RATE as f32;
            // The tail's low-pass makes the broad band decay faster than the walls do.
            assert!(found > 0.6 * t60 && found < 1.15 * t60, "{}: {found} s, {t60} asked for", clip.name);
        }
    }
}

#[test]
fn synthetic_noises_differ_in_kind_and_follow_the_seed() {
    let bank = NoiseBank::synthetic(4, 16, 2.0, RATE);
    assert_eq!(bank.clips(), NoiseBank::synthetic(4, 16, 2.0, RATE).clips());
    let other = NoiseBank::synthetic(5, 16, 2.0, RATE);
    let share_below = |samples: &[f32], hz: f32| {
        let mut low = samples.to_vec();
        let cut = Colour { high_cut_hz: Some(hz), ..Colour::default() };
        cut.filter(&FeatureSpec::default(), &mut low);
        power(&low) / power(samples)
    };
    for (clip, kind) in bank.clips().iter().zip(NoiseKind::ALL.into_iter().cycle()) {
        assert!((decibels(power(&clip.samples)) + 20.0).abs() < 0.01, "{}", clip.name);
        assert!(other.clips().iter().all(|o| o.samples != clip.samples));
        let low = share_below(&clip.samples, 500.0);
        match kind {
            NoiseKind::White => assert!((low - 0.125).abs() < 0.03, "{low}"),
            // Pink: half the octaves between 30 and 4,000 Hz, give or take the ends.
            NoiseKind::Pink => assert!((0.35..0.8).contains(&low), "{low}"),
            NoiseKind::Rumble => assert!(low > 0.75, "{low}"),
            NoiseKind::Hum => assert!(low > 0.5, "{low}"),
            // Two thirds in the long-term average of speech (Byrne and others, JASA 1994), and more or less in single voices.
            NoiseKind::Speech | NoiseKind::Babble | NoiseKind::Crowd => {
                assert!((0.2..0.97).contains(&low), "{}: {low}", kind.name());
            }
            NoiseKind::Clatter => assert!(low < 0.6, "{low}"),
        }
    }
}

#[test]
fn banks_load_folders_and_list_what_they_leave_out() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, samples: &[f32]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples.iter().for_each(|x| writer.write_sample(*x).unwrap());
        writer.finalize().unwrap();
    };
    let mut rng = item_rng(6, 0);
    for name in ["b/rain-A.wav", "b/rain-B.wav", "a/dog-A.wav", "a/cat-A.wav"] {
        write(name, &NoiseKind::White.synthesise(1.0, 16_000, &mut rng));
    }
    write("quiet.wav", &[0.0; 16_000]);
    std::fs::write(folder.path().join("index.tsv"), "name\tlength\n").unwrap();

    let (bank, rejected) = NoiseBank::load(folder.path(), RATE).unwrap();
    let names: Vec<_> = bank.clips().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a/cat-A.wav", "a/dog-A.wav", "b/rain-A.wav", "b/rain-B.wav"]);
    assert!(bank.clips().iter().all(|c| c.samples.len() == RATE as usize));
    let causes: Vec<_> = rejected.iter().map(|r| r.error.cause()).collect();
    assert_eq!(causes, ["not-audio", "silent"]);
    let (train, test) = bank.clone().split(0.3, 1);
    assert_eq!(train.clips().len() + test.clips().len(), 4);
    assert!(!train.clips().is_empty() && !test.clips().is_empty());
    let (train, test) = bank.split_by(|name| name.starts_with("b/"));
    assert_eq!((train.clips().len(), test.clips().len()), (2, 2));
    assert!(matches!(NoiseBank::load(&folder.path().join("none"), RATE), Err(AudioError::Missing)));

    // An impulse response: 0.1 s of silence, the direct sound, an echo 40 ms later, a second of silence.
    let mut response = vec![0.0; 19_200];
    (response[1_600], response[2_240]) = (0.02, 0.01);
    let rooms = folder.path().join("rooms");
    write("rooms/echo.wav", &response);
    let (bank, rejected) = ImpulseBank::load(&rooms, RATE).unwrap();
    assert!(rejected.is_empty(), "{rejected:?}");
    let response = &bank.clips()[0].samples;
    assert!(response.len() < 700, "{}", response.len());
    let peak = (0..response.len()).max_by(|&a, &b| response[a].total_cmp(&response[b])).unwrap();
    assert!(peak < 20, "{peak}");
    assert!((response[peak + 320] / response[peak] - 0.5).abs() < 0.01);
}

fn banks() -> (NoiseBank, ImpulseBank) {
    (NoiseBank::synthetic(7, 12, 4.0, RATE), ImpulseBank::synthetic(8, 8, Span(0.2, 0.8), RATE))
}

#[test]
fn augmentation_follows_the_seed_and_not_the_threads() {
    let spec = FeatureSpec::default();
    let front_end = MelFrontEnd::new(&spec).unwrap();
    let (noise, impulses) = banks();
    let augment = AugmentSpec::level(Level::Large);
    let track = NoiseKind::Babble.synthesise(12.0, RATE, &mut item_rng(9, 0));
    let mel = front_end.mel_power(&track);
    let on_samples = WaveAugment::new(&augment, &spec, &noise, &impulses).unwrap();
    let on_mel = MelAugment::new(&augment, &front_end, &noise, &impulses).unwrap();
    let both = |item| {
        let clip = on_samples.apply(&track, 40_000, &mut item_rng(10, item)).unwrap();
        (clip, on_mel.apply(mel.0.view(), 150, &mut item_rng(10, item)).unwrap())
    };
    let parallel: Vec<_> = (0..12_u64).into_par_iter().map(both).collect();
    for (item, (clip, mel)) in (0..).zip(&parallel) {
        assert_eq!((clip.len(), mel.frames(), mel.bands()), (40_000, 150, 64));
        assert!(clip.iter().all(|x| x.is_finite()) && mel.0.iter().all(|p| p.is_finite() && *p >= 0.0));
        assert_eq!(&both(item), &(clip.clone(), mel.clone()));
    }
    assert!(parallel.windows(2).all(|w| w[0].0 != w[1].0 && w[0].1 != w[1].1));
}

#[test]
fn a_clean_spec_only_crops() {
    let spec = FeatureSpec::default();
    let front_end = MelFrontEnd::new(&spec).unwrap();
    let (noise, impulses) = (NoiseBank::synthetic(0, 0, 1.0, RATE), ImpulseBank::synthetic(0, 0, Span(1.0, 1.0), RATE));
    let track = NoiseKind::Pink.synthesise(5.0, RATE, &mut item_rng(11, 0));
    let mel = front_end.mel_power(&track);
    let on_samples = WaveAugment::new(&AugmentSpec::clean(), &spec, &noise, &impulses).unwrap();
    let on_mel = MelAugment::new(&AugmentSpec::clean(), &front_end, &noise, &impulses).unwrap();
    let rng = &mut item_rng(12, 0);
    assert_eq!(on_samples.apply_at(&track, 2_560, 20_000, rng).unwrap(), track[2_560..22_560]);
    assert_eq!(on_mel.apply_at(mel.0.view(), 10, 75, rng).unwrap().0, mel.crop(10, 75).unwrap());

    // A crop that is not there.
    assert_eq!(on_samples.apply(&track, 50_000, rng).unwrap_err().cause(), "too-short");
    assert_eq!(on_samples.apply_at(&track, usize::MAX, 2, rng).unwrap_err().cause(), "too-short");
    assert_eq!(on_mel.apply(mel.0.view(), 500, rng).unwrap_err().cause(), "too-short");
    assert_eq!(on_mel.apply(ndarray::Array2::zeros((500, 32)).view(), 300, rng).unwrap_err().cause(), "parameter");
}

#[test]
fn random_offsets_cover_the_track() {
    let spec = FeatureSpec::default();
    let (noise, impulses) = banks();
    let ramp: Vec<f32> = (0..20_000).map(|i| i as f32).collect();
    let augment = WaveAugment::new(&AugmentSpec::clean(), &spec, &noise, &impulses).unwrap();
    let starts: Vec<f32> = (0..200).map(|i| augment.apply(&ramp, 16_000, &mut item_rng(13, i)).unwrap()[0]).collect();
    assert!(starts.iter().any(|&s| s < 200.0) && starts.iter().any(|&s| s > 3_800.0));
    assert!(starts.iter().all(|&s| s <= 4_000.0));
}

#[test]
fn specs_are_checked_and_travel_as_text() {
    for level in [Level::Small, Level::Medium, Level::Large] {
        let spec = AugmentSpec::level(level);
        spec.validate().unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<AugmentSpec>(&text).unwrap(), spec);
    }
    assert!(serde_json::from_str::<AugmentSpec>(r#"{"echo": 1}"#).is_err());
    AugmentSpec::condition(Some(5.0), true).validate().unwrap();

    let (noise, impulses) = banks();
    let spec = FeatureSpec::default();
    let wrong = [
        AugmentSpec { stretch: Chance::new(0.5, 0.0, 1.0), ..AugmentSpec::clean() },
        AugmentSpec { noise: Chance::new(1.5, 0.0, 1.0), ..AugmentSpec::clean() },
        AugmentSpec { noise: Chance::new(0.5, 10.0, 0.0), ..AugmentSpec::clean() },
        AugmentSpec { gain_db: Span(0.0, f32::NAN), ..AugmentSpec::clean() },
        AugmentSpec { equaliser_knots: 1, ..AugmentSpec::clean() },
    ];
    for wrong in wrong {
        assert!(WaveAugment::new(&wrong, &spec, &noise, &impulses).is_err(), "{wrong:?}");
    }
    // Banks that are missing or at another rate.
    let none = NoiseBank::synthetic(0, 0, 1.0, RATE);
    let other = ImpulseBank::synthetic(0, 2, Span(0.2, 0.2), 16_000);
    let medium = AugmentSpec::level(Level::Medium);
    assert!(WaveAugment::new(&medium, &spec, &none, &impulses).is_err());
    assert!(WaveAugment::new(&medium, &spec, &noise, &other).is_err());
    let brief = NoiseBank::synthetic(0, 2, 0.01, RATE);
    assert!(MelAugment::new(&medium, &MelFrontEnd::new(&spec).unwrap(), &brief, &impulses).is_err());
}
