use rayon::prelude::*;
use sordino_front::{FeatureSpec, MelFrontEnd, Statistics, log_mel};

use super::*;

#[test]
fn a_seed_gives_the_same_track_every_time_and_another_seed_another() {
    let first = render(1, 8_000, 4.0);
    assert_eq!(first, render(1, 8_000, 4.0));
    assert_ne!(first, render(2, 8_000, 4.0));
    assert_eq!(first.len(), 32_000);
}

#[test]
fn samples_are_finite_audible_and_within_full_scale() {
    for seed in 0..40 {
        let samples = render(seed, 8_000, 6.0);
        assert!(samples.iter().all(|x| x.is_finite() && x.abs() <= 1.0), "seed {seed}");
        let rms = (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt();
        assert!(rms > 0.01, "seed {seed}: RMS {rms}");
    }
}

#[test]
fn any_rate_and_length_is_rendered() {
    for rate in [4_000, 16_000, 44_100, 48_000] {
        assert_eq!(render(5, rate, 1.5).len(), (1.5 * rate as f32) as usize);
    }
    assert!(render(5, 8_000, 0.0).is_empty());
}

#[test]
fn catalogues_grow_without_changing_what_they_had() {
    let (few, many) = (catalogue(10, 7), catalogue(300, 7));
    assert_eq!(few.tracks, many.tracks[..10]);
    many.validate().unwrap();
    let names: std::collections::BTreeSet<_> = many.tracks.iter().map(|t| (&t.artist, &t.title)).collect();
    assert_eq!(names.len(), 300);
    let seeds: std::collections::BTreeSet<_> = many.tracks.iter().map(|t| t.source.to_string()).collect();
    assert_eq!(seeds.len(), 300);
    assert_ne!(catalogue(10, 8).tracks, few.tracks);
}

#[test]
fn a_wav_file_reads_back_within_half_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("track.wav");
    let samples = render(3, 8_000, 1.0);
    write_wav(&path, &samples, 8_000).unwrap();
    let mut reader = hound::WavReader::open(&path).unwrap();
    let read: Vec<f32> = reader.samples::<i16>().map(|x| f32::from(x.unwrap()) / f32::from(i16::MAX)).collect();
    assert_eq!(read.len(), samples.len());
    assert!(read.iter().zip(&samples).all(|(a, b)| (a - b).abs() <= 0.51 / f32::from(i16::MAX)));
}

/// What makes a library of composed tracks worth searching: a crop resembles its own track more than any other.
#[test]
fn two_hundred_tracks_are_well_separated() {
    const TRACKS: u64 = 200;
    let spec = FeatureSpec::default();
    let front = MelFrontEnd::new(&spec).unwrap();
    let features: Vec<[Vec<f32>; 2]> = (0..TRACKS)
        .into_par_iter()
        .map(|item| {
            let mel = front.mel_power(&render(seed::derive(11, item), 8_000, 30.0));
            let crop = mel.crop(200 + item as usize, spec.query_frames()).unwrap();
            [mel.0.view(), crop].map(|mel| Statistics::Moments.of(log_mel(mel, spec.log_floor).view()))
        })
        .collect();
    // Every statistic counts alike: divided by its standard deviation over the tracks.
    let width = features[0][0].len();
    let scale: Vec<f32> = (0..width)
        .map(|i| {
            let mean = features.iter().map(|f| f[0][i]).sum::<f32>() / TRACKS as f32;
            let variance = features.iter().map(|f| (f[0][i] - mean).powi(2)).sum::<f32>() / TRACKS as f32;
            variance.sqrt().recip()
        })
        .collect();
    let distance =
        |a: &[f32], b: &[f32]| -> f32 { (0..width).map(|i| ((a[i] - b[i]) * scale[i]).powi(2)).sum::<f32>().sqrt() };
    let mut ratios: Vec<f32> = (0..features.len())
        .map(|track| {
            let crop = &features[track][1];
            let others = (0..features.len()).filter(|&other| other != track);
            let nearest = others.map(|other| distance(crop, &features[other][0])).fold(f32::INFINITY, f32::min);
            nearest / distance(crop, &features[track][0])
        })
        .collect();
    ratios.sort_by(f32::total_cmp);
    let confused = ratios.iter().filter(|&&ratio| ratio <= 1.0).count();
    assert!(confused <= 10, "{confused} of {TRACKS} crops are nearer to another track");
    assert!(ratios[100] > 2.0, "the median crop is only {:.2} times nearer to its own track", ratios[100]);
}
