//! The front that runs encrypted, on plain integers: what it hears, and what it refuses.

use std::f32::consts::PI;

use sordino_model::raw::{RawFront, RawSpec};

fn spec() -> RawSpec {
    RawSpec { cells: 4, lags: vec![1], ..RawSpec::default() }
}

fn front() -> RawFront {
    RawFront::mel(spec(), &[1.0; 32]).unwrap()
}

/// A tone of so many Hz.
fn tone(hz: f32) -> Vec<f32> {
    (0..spec().query_samples()).map(|i| (2.0 * PI * hz * i as f32 / 8_000.0).sin()).collect()
}

#[test]
fn a_tone_is_in_its_band() {
    let spec = spec();
    // Centres of the mel bands, from the definition.
    let mel = |hz: f32| 2595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f32| 700.0 * (10f32.powf(mel / 2595.0) - 1.0);
    for band in [3, 12, 25] {
        let centre = hz(mel(60.0) + (mel(4_000.0) - mel(60.0)) * (band + 1) as f32 / 33.0);
        let energies = front().energies(&spec.samples(&tone(centre)).unwrap());
        for cell in energies.chunks(spec.bands) {
            let loudest = (0..spec.bands).max_by_key(|&b| cell[b]).unwrap();
            assert_eq!(loudest, band, "{centre} Hz");
        }
    }
}

#[test]
fn energies_are_those_of_the_spectrum() {
    // By Parseval: with all weights on lag 0 a band has the energy of the samples.
    let spec = RawSpec { bands: 1, taps: 2, ..spec() };
    let samples = spec.samples(&tone(700.0)).unwrap();
    let front = RawFront::new(spec.clone(), vec![1, 0]).unwrap();
    let own: Vec<i64> = samples.chunks(spec.cell).map(|c| c.iter().map(|&x| i64::from(x * x)).sum()).collect();
    assert_eq!(front.energies(&samples), own);
}

#[test]
fn loudness_does_not_matter() {
    let loud: Vec<f32> = tone(500.0).iter().map(|x| 40.0 * x).collect();
    assert_eq!(spec().samples(&loud).unwrap(), spec().samples(&tone(500.0)).unwrap());
}

#[test]
fn levels_rise_and_turn_round_without_a_jump() {
    let front = front();
    let (levels, full) = (front.levels(), 1i64 << 29);
    let all: Vec<i32> = (-64..=192).map(|i| levels.of_energy(i * full / 64)).collect();
    assert_eq!((levels.of_energy(0), levels.of_energy(full - 1), levels.of_energy(full)), (-31, 31, 31));
    assert!(all.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 31), "{all:?}");
    assert!((0..2_047).all(|i| levels.at_index(i, 2_048) <= levels.at_index(i + 1, 2_048)));
    assert!(all.iter().all(|level| level % 2 != 0));
}

#[test]
fn features_of_a_steady_sound_have_no_differences() {
    let front = front();
    let levels: Vec<i32> = (0..4 * 32).map(|i| if i / 32 % 2 == 0 { 3 } else { 9 }).collect();
    let features = front.sums(&levels);
    assert_eq!((features[0], features[32]), (24, 9));
    assert_eq!(front.sums(&[5; 4 * 32])[32..], [0; 32]);
}

#[test]
fn what_is_out_of_range_is_refused() {
    let refused = |spec: RawSpec| RawFront::mel(spec.clone(), &vec![1.0; spec.bands]).unwrap_err().field;
    assert_eq!(refused(RawSpec { lags: vec![4], ..spec() }), "lags");
    assert_eq!(refused(RawSpec { sample_max: 0, ..spec() }), "sample_max");
    assert_eq!(refused(RawSpec { max_hz: 5_000.0, ..spec() }), "min_hz..max_hz");
    assert_eq!(RawFront::mel(spec(), &[1.0; 31]).unwrap_err().field, "reference");
    assert_eq!(RawFront::mel(spec(), &[0.0; 32]).unwrap_err().field, "reference");
    assert_eq!(spec().samples(&[0.0; 5]).unwrap_err().field, "sound");
    assert!(spec().samples(&vec![0.0; spec().query_samples()]).unwrap_err().to_string().contains("silence"));
    assert!(spec().samples(&vec![f32::NAN; spec().query_samples()]).is_err());
}
