use sordino_audio::{Phone, Span, power};

use super::*;
use crate::{Source, synth};

fn banks() -> (NoiseBank, ImpulseBank) {
    (NoiseBank::synthetic(1, 8, 3.0, 8_000), ImpulseBank::synthetic(2, 4, Span(0.2, 0.6), 8_000))
}

fn spec(conditions: Vec<Condition>, split: CropSplit) -> QuerySpec {
    QuerySpec { seconds: 4.0, conditions, crops: 2, split, seed: 5 }
}

fn sound() -> SoundOptions {
    SoundOptions { synthetic_seconds: 12.0, ..SoundOptions::default() }
}

#[test]
fn queries_do_not_depend_on_threads_or_on_other_tracks() {
    let (noise, impulses) = banks();
    let features = FeatureSpec::default();
    let all = synth::catalogue(6, 1);
    let spec = spec(vec![Condition::CLEAN, Condition::noise(5.0).with_reverb()], CropSplit::UnseenOffset);
    let ask = |catalogue: &Catalogue, threads: usize| {
        let set = QuerySet::new(catalogue, &features, &spec, &noise, &impulses, sound()).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| set.map(|query| query))
    };
    let (queries, rejected) = ask(&all, 1);
    assert!(rejected.is_empty());
    assert_eq!(queries.len(), 6 * 2 * 2);
    assert_eq!(queries, ask(&all, 3).0);
    let some = ask(&all.select(&[4]), 1).0;
    assert!(some.iter().zip(&queries[16..20]).all(|(a, b)| a.samples == b.samples && a.offset == b.offset));
    // Conditions share the crop; crops differ.
    assert_eq!(queries[0].offset, queries[1].offset);
    assert_ne!(queries[0].offset, queries[2].offset);
    // A query says which room it is heard in.
    let of_bank = |name: &String| impulses.clips().iter().any(|clip| clip.name == *name);
    assert!(queries.iter().all(|query| query.room.as_ref().map_or(query.condition == 0, of_bank)));
}

#[test]
fn a_clean_query_is_the_crop_itself() {
    let (noise, impulses) = banks();
    let features = FeatureSpec::default();
    let catalogue = synth::catalogue(3, 1);
    let spec = spec(vec![Condition::CLEAN], CropSplit::UnseenOffset);
    let set = QuerySet::new(&catalogue, &features, &spec, &noise, &impulses, sound()).unwrap();
    let (queries, _) = set.map(|query| query);
    for query in queries {
        let track = catalogue.tracks[query.position].samples(8_000, &sound()).unwrap().data;
        assert_eq!(query.samples, track[query.offset..query.offset + 32_000]);
    }
}

#[test]
fn noise_has_the_ratio_asked_for_and_rooms_keep_the_crop_in_place() {
    let (noise, impulses) = banks();
    let features = FeatureSpec::default();
    let catalogue = synth::catalogue(4, 1);
    let conditions = vec![
        Condition::CLEAN,
        Condition::noise(3.0),
        Condition::CLEAN.with_reverb(),
        Condition::CLEAN.with_band(300.0, 3_400.0),
        Condition::noise(3.0).with_reverb().with_phone(Phone::WHOLE),
    ];
    let spec = spec(conditions, CropSplit::UnseenOffset);
    let set = QuerySet::new(&catalogue, &features, &spec, &noise, &impulses, sound()).unwrap();
    let (queries, _) = set.map(|query| query.samples);
    for heard in queries.chunks(5) {
        let [clean, noisy, room, line, phone] = heard else { panic!("five conditions") };
        let added: Vec<f32> = noisy.iter().zip(clean).map(|(a, b)| a - b).collect();
        let ratio = 10.0 * (power(clean) / power(&added)).log10();
        assert!((ratio - 3.0).abs() < 0.01, "{ratio} dB");
        let correlation: f64 = room.iter().zip(clean).map(|(a, b)| f64::from(a * b)).sum();
        assert!(correlation / (room.len() as f64 * (power(room) * power(clean)).sqrt()) > 0.2);
        assert_ne!(line, clean);
        assert!(phone != room && phone.iter().all(|x| x.is_finite()));
        assert!(heard.iter().all(|samples| samples.len() == 32_000));
    }
}

#[test]
fn unseen_offsets_never_coincide_with_a_trained_frame() {
    let features = FeatureSpec::default();
    let mut rng = seed::rng(1, 0);
    for samples in [32_100, 33_000, 96_000] {
        for _ in 0..500 {
            let offset = CropSplit::UnseenOffset.draw(&features, samples, 32_000, &mut rng).unwrap();
            let phase = offset % features.hop;
            assert!((features.hop / 4..=features.hop - features.hop / 4).contains(&phase));
            assert!(offset + 32_000 <= samples);
        }
    }
    assert_eq!(CropSplit::Start.draw(&features, 32_010, 32_000, &mut rng), Some(0));
    assert_eq!(CropSplit::Start.draw(&features, 31_000, 32_000, &mut rng), None);
    assert_eq!(CropSplit::UnseenOffset.draw(&features, 32_010, 32_000, &mut rng), None);
    assert_eq!(CropSplit::UnseenOffset.draw(&features, 31_000, 32_000, &mut rng), None);
}

#[test]
fn unseen_sound_was_never_in_a_training_frame() {
    let features = FeatureSpec::default();
    let split = CropSplit::UnseenSound { train_seconds: 5.0 };
    let mut rng = seed::rng(1, 0);
    let frames = split.training_frames(&features, features.frames(96_000));
    let heard = (frames.end - 1) * features.hop + features.fft_size;
    assert!(heard <= 40_000);
    for _ in 0..500 {
        let offset = split.draw(&features, 96_000, 32_000, &mut rng).unwrap();
        assert!((heard..=64_000).contains(&offset));
    }
    assert_eq!(split.draw(&features, 71_999, 32_000, &mut rng), None);
    assert_eq!(split.draw(&features, 72_000, 32_000, &mut rng), Some(40_000));
}

#[test]
fn a_track_that_cannot_be_asked_is_listed_and_the_others_are_asked() {
    let (noise, impulses) = banks();
    let features = FeatureSpec::default();
    let mut catalogue = synth::catalogue(3, 1);
    catalogue.tracks[1].source = Source::File("no such file.mp3".into());
    let spec = spec(vec![Condition::CLEAN], CropSplit::UnseenOffset);
    let set = QuerySet::new(&catalogue, &features, &spec, &noise, &impulses, sound()).unwrap();
    let (ids, rejected) = set.map(|query| query.id);
    assert_eq!(ids, [1, 1, 3, 3]);
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].id, Some(2));
}

#[test]
fn banks_must_fit_the_conditions() {
    let features = FeatureSpec::default();
    let catalogue = synth::catalogue(1, 1);
    let (noise, impulses) = banks();
    let empty = NoiseBank::synthetic(1, 0, 1.0, 8_000);
    let other_rate = NoiseBank::synthetic(1, 2, 1.0, 16_000);
    let noisy = spec(vec![Condition::noise(5.0)], CropSplit::UnseenOffset);
    let clean = spec(vec![Condition::CLEAN], CropSplit::UnseenOffset);
    let new = |spec, noise| QuerySet::new(&catalogue, &features, spec, noise, &impulses, sound()).map(|set| set.len());
    assert_eq!(new(&clean, &empty).unwrap(), 2);
    assert_eq!(new(&noisy, &noise).unwrap(), 2);
    assert!(matches!(new(&noisy, &empty), Err(CorpusError::Bank(_))));
    assert!(matches!(new(&noisy, &other_rate), Err(CorpusError::Bank(_))));
}
