//! The systems that are compared, on small composed libraries.

use std::sync::Arc;

use sordino_audio::{ImpulseBank, NoiseBank, Span};
use sordino_corpus::{Catalogue, CropSplit, SoundOptions, synth};
use sordino_fhe::SecretKey;
use sordino_fhe::params::INSECURE_N512;
use sordino_lab::LabError;
use sordino_lab::baseline::{
    CentroidRouting, CentroidSettings, DecisionTree, EncryptedRegression, FlatRegression, IvfPqSettings,
    LandmarkSettings, Landmarks, Library, MfccSettings, NeuralFingerprint, NeuralSettings, RegressionSettings,
    SegmentSearch, TreeSettings,
};
use sordino_lab::evaluate::System;
use sordino_learn::run::Descent;
use sordino_learn::sound::{Block, EmbeddingSettings};

const SECONDS: f32 = 14.0;

fn sound() -> SoundOptions {
    SoundOptions::default().with_synthetic_seconds(SECONDS)
}

fn samples(catalogue: &Catalogue, position: usize, rate: u32) -> Vec<f32> {
    catalogue.tracks[position].samples(rate, &sound()).unwrap().data
}

/// Share of the tracks that are named first when asked about seconds `start..end` of each, and the answers' offsets.
fn ask(system: &dyn System, catalogue: &Catalogue, start: f32, end: f32) -> (f32, Vec<Option<f32>>) {
    let rate = system.rate() as f32;
    let range = (start * rate) as usize..(end * rate) as usize;
    let ask = |position: usize| {
        let clip = &samples(catalogue, position, system.rate())[range.clone()];
        let response = system.respond(clip).unwrap();
        (response.answer.tracks.first() == Some(&(position as u32)), response.answer.start)
    };
    let (right, offsets): (Vec<bool>, Vec<_>) = (0..catalogue.tracks.len()).map(ask).unzip();
    (right.iter().filter(|&&right| right).count() as f32 / right.len() as f32, offsets)
}

fn quiet(_: &str, _: f32) {}

fn regression() -> RegressionSettings {
    RegressionSettings { mfcc: MfccSettings::at_8_khz(), ..RegressionSettings::default() }
}

#[test]
fn flat_regression_knows_what_it_was_trained_on() {
    let (catalogue, sound) = (synth::catalogue(20, 1), sound());
    let library = Library { catalogue: &catalogue, sound: &sound, split: CropSplit::UnseenOffset };
    let system = FlatRegression::fit(&library, regression(), 1, &quiet).unwrap();
    assert!(ask(&system, &catalogue, 0.0, SECONDS).0 >= 0.95);
    // In eight bits as in floating point.
    let clip = samples(&catalogue, 4, 8_000);
    let (float, integer) = (system.answer_in_floating_point(&clip).unwrap(), system.respond(&clip).unwrap().answer);
    assert_eq!(float.tracks[0], integer.tracks[0]);
    assert!(integer.known);
    // Four windows cannot give five votes.
    assert!(!system.respond(&clip[..16_000]).unwrap().answer.known);
    assert!(system.window_accuracy(4, &clip) > 0.5);
    assert!(matches!(system.respond(&[f32::NAN; 8_000]), Err(LabError::Setting { .. })));
    assert!(system.respond(&[]).unwrap().answer.tracks.is_empty());
}

#[test]
fn flat_regression_hears_no_more_than_the_split_allows() {
    let sound = sound();
    let split = CropSplit::UnseenSound { train_seconds: SECONDS / 2.0 };
    let fit = |catalogue: &Catalogue, sound: &SoundOptions, split| {
        let system = FlatRegression::fit(&Library { catalogue, sound, split }, regression(), 1, &quiet).unwrap();
        system.hierarchy().clone()
    };
    let catalogue = synth::catalogue(6, 1);
    let half = sound.clone().with_synthetic_seconds(SECONDS / 2.0);
    // A shorter rendering of a composed track is another track, so the comparison is by count of windows: what was left out
    // changes the weights, and nothing else does.
    assert_ne!(fit(&catalogue, &sound, split), fit(&catalogue, &sound, CropSplit::UnseenOffset));
    let whole = CropSplit::UnseenSound { train_seconds: SECONDS / 2.0 + 60.0 };
    assert_eq!(fit(&catalogue, &half, whole), fit(&catalogue, &half, CropSplit::UnseenOffset));
}

#[test]
fn flat_regression_encrypted_is_flat_regression_in_integers() {
    let (catalogue, sound) = (synth::catalogue(20, 2), sound());
    let library = Library { catalogue: &catalogue, sound: &sound, split: CropSplit::UnseenOffset };
    let system = FlatRegression::fit(&library, regression(), 1, &quiet).unwrap();
    let key = Arc::new(SecretKey::generate(&INSECURE_N512));
    let mut encrypted = EncryptedRegression::new(&system, key, &INSECURE_N512).unwrap();
    for position in [3, 11] {
        let clip = &samples(&catalogue, position, 8_000)[..40_000];
        let found = encrypted.answer(&system.window_vectors(clip)).unwrap();
        assert_eq!((found.windows, found.wrong_scores), (10, 0));
        assert_eq!((&found.answer, &found.clear), (&system.respond(clip).unwrap().answer, &found.answer));
        assert!(found.up > 0 && found.down > 0);
    }
}

#[test]
fn landmarks_find_the_track_and_the_place_in_noise() {
    let (catalogue, sound) = (synth::catalogue(40, 3), sound());
    let library = Library { catalogue: &catalogue, sound: &sound, split: CropSplit::UnseenOffset };
    let system = Landmarks::fit(&library, LandmarkSettings::default(), &quiet).unwrap();
    let (share, offsets) = ask(&system, &catalogue, 5.3, 10.3);
    assert!(share >= 0.95, "{share}");
    let placed = offsets.iter().filter(|offset| offset.is_some_and(|at| (at - 5.3).abs() < 0.05)).count();
    assert!(placed >= 36, "{placed} of 40");

    let noise = NoiseBank::synthetic(1, 6, 3.0, 8_000);
    let (mut right, mut known) = (0, 0);
    for position in 0..20 {
        let mut clip = samples(&catalogue, position, 8_000)[30_000..90_000].to_vec();
        sordino_audio::mix_at_snr(&mut clip, &noise.clips()[position % 6].samples.repeat(4), 5.0);
        let answer = system.respond(&clip).unwrap().answer;
        right += usize::from(answer.tracks.first() == Some(&(position as u32)));
        known += usize::from(answer.known);
    }
    assert!(right >= 18 && known >= 15, "{right} right and {known} known of 20");
    let others = synth::catalogue(20, 99);
    let known = |p: usize| system.respond(&samples(&others, p, 8_000)[..80_000]).unwrap().answer.known;
    let rejected = (0..20).filter(|&p| !known(p)).count();
    assert!(rejected >= 18, "{rejected} of 20 rejected");
    assert!(system.respond(&[0.0; 8_000]).unwrap().answer.tracks.is_empty());
}

#[test]
fn a_tree_names_tracks_in_the_clear() {
    let (catalogue, sound) = (synth::catalogue(20, 4), sound());
    let library = Library { catalogue: &catalogue, sound: &sound, split: CropSplit::UnseenOffset };
    let settings = TreeSettings { mfcc: MfccSettings::at_8_khz(), ..TreeSettings::default() };
    let shallow = DecisionTree::fit(&library, TreeSettings { depth: 2, ..settings }, &quiet).unwrap();
    let deep = DecisionTree::fit(&library, settings, &quiet).unwrap();
    // Four leaves name four tracks at most.
    let few = ask(&shallow, &catalogue, 0.0, SECONDS).0;
    let many = ask(&deep, &catalogue, 0.0, SECONDS).0;
    assert!(few <= 0.2 && many >= 0.7, "{few} with two questions, {many} with ten");
    let refused = DecisionTree::fit(&library, TreeSettings { bits: 9, ..settings }, &quiet);
    assert!(matches!(refused, Err(LabError::Setting { .. })));
}

/// A network and an index that train in seconds.
fn small_neural() -> NeuralSettings {
    let block = |channels, taps, stride| Block { channels, taps, stride, dilation: 1 };
    let settings = NeuralSettings::default();
    let descent = Descent { epochs: 6, batch: 64, ..settings.embedding.descent };
    let blocks = vec![block(48, 5, 2), block(64, 3, 2), block(64, 3, 2)];
    NeuralSettings {
        embedding: EmbeddingSettings { blocks, width: 32, descent, ..settings.embedding },
        index: IvfPqSettings { cells: 16, probes: 8, parts: 16, ..settings.index },
        ..settings
    }
}

fn banks() -> (NoiseBank, ImpulseBank) {
    (NoiseBank::synthetic(1, 8, 3.0, 8_000), ImpulseBank::synthetic(2, 4, Span(0.2, 0.6), 8_000))
}

#[test]
fn neural_fingerprints_find_the_track_and_the_place() {
    let (catalogue, sound, (noise, impulses)) = (synth::catalogue(16, 5), sound(), banks());
    let library = Library { catalogue: &catalogue, sound: &sound, split: CropSplit::UnseenOffset };
    let system = NeuralFingerprint::fit(&library, &noise, &impulses, &small_neural(), 1, &quiet).unwrap();
    let (share, offsets) = ask(&system, &catalogue, 4.3, 9.3);
    assert!(share >= 0.9, "{share} by sequence");
    let placed = offsets.iter().filter(|offset| offset.is_some_and(|at| (at - 4.3).abs() <= 0.5)).count();
    assert!(placed >= 12, "{placed} of 16 placed");
    let system = system.with_search(SegmentSearch::Vote);
    let (share, offsets) = ask(&system, &catalogue, 4.3, 9.3);
    assert!(share >= 0.85, "{share} by vote");
    assert!(offsets.iter().all(Option::is_none));
    assert!(system.respond(&[0.1; 4_000]).unwrap().answer.tracks.is_empty());
    assert!(matches!(system.respond(&[f32::NAN; 16_000]), Err(LabError::Setting { .. })));
}

#[test]
fn centroids_route_to_clusters_that_name_tracks() {
    let (catalogue, sound, (noise, impulses)) = (synth::catalogue(18, 6), sound(), banks());
    let library = Library { catalogue: &catalogue, sound: &sound, split: CropSplit::UnseenOffset };
    let settings =
        CentroidSettings { neural: small_neural(), clusters: 3, clip_seconds: 5.0, ..CentroidSettings::default() };
    let system = CentroidRouting::fit(&library, &noise, &impulses, &settings, 1, &quiet).unwrap();
    assert_eq!(system.cluster_sizes().iter().sum::<usize>(), 18);
    let (mut routed, mut right) = (0, 0);
    for position in 0..18 {
        let clip = &samples(&catalogue, position as usize, 8_000)[30_000..70_000];
        let response = system.respond(clip).unwrap();
        let there = response.searched.unwrap().contains(&position);
        let named = response.answer.tracks.first() == Some(&position);
        assert!(there || !named, "a track of another cluster was named");
        routed += usize::from(there);
        right += usize::from(named);
    }
    assert!(routed >= 13 && right >= 12, "{routed} routed and {right} named of 18");
    let refused = CentroidSettings { clusters: 19, ..settings };
    assert!(CentroidRouting::fit(&library, &noise, &impulses, &refused, 1, &quiet).is_err());
}
