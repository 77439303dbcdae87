//! A library that hears encrypted samples: composed songs, named by the clear circuit.

use sordino_audio::{ImpulseBank, NoiseBank, Span};
use sordino_corpus::{IndexOptions, MelTable, SoundOptions, synth};
use sordino_front::{Crop, FeatureSpec};
use sordino_learn::raw::{Hearing, RawSettings, train_raw};
use sordino_learn::run::Quiet;
use sordino_learn::sound::labels;
use sordino_learn::{LearnError, TrainConfig, train};
use sordino_model::raw::RawSpec;
use sordino_model::{Pair, Protocol};

const TRACKS: usize = 12;

#[test]
fn composed_songs_are_named_by_their_samples_and_others_are_unknown() {
    let spec = FeatureSpec { query_seconds: 5.0, ..FeatureSpec::default() };
    let sound = IndexOptions::for_spec(&spec).sound.with_synthetic_seconds(15.0);
    let catalogue = synth::catalogue(TRACKS as u32 + 6, 3);
    let (all, _) = MelTable::measure(&catalogue, &spec, &sound).unwrap();
    let (known, strangers) = (all.select(&(0..TRACKS).collect::<Vec<_>>()), TRACKS..TRACKS + 6);
    let noise = NoiseBank::synthetic(1, 8, 6.0, spec.sample_rate);
    let impulses = ImpulseBank::synthetic(1, 4, Span(0.1, 0.3), spec.sample_rate);
    let mut config = TrainConfig { least_clips: 200, flat: false, stages: Vec::new(), ..TrainConfig::default() };
    config.clips_per_track = 12;
    config.unknown.lost = 0.5;
    let model = train(&known, &noise, &impulses, &config, None, &Quiet).unwrap();
    let hearing =
        Hearing { table: &known, sound: &sound, banks: (&noise, &impulses), config: &config, songs: &model.songs };
    let front = RawSpec { cells: 10, bands: 24, lags: vec![1, 3], ..RawSpec::default() };
    let settings = RawSettings { spec: front, directions: 11, ..RawSettings::default() };
    let raw = train_raw(hearing, &settings, &Quiet).unwrap();
    let again = train_raw(hearing, &settings, &Quiet).unwrap();
    let (client, server) = model.halves("heard", labels(&known)).unwrap();
    let (client, server) = raw.join(client, server).unwrap();
    let (plain_client, plain_server) = model.halves("heard", labels(&known)).unwrap();
    assert_eq!(again.join(plain_client, plain_server).unwrap().1, server, "the same settings make the same rows");

    let pair = Pair::new(&client, &server).unwrap();
    let answer = |track: usize, at: f32| {
        let samples = all.track(track).samples(spec.sample_rate, &sound).unwrap().data;
        let heard = client.heard(Protocol::Raw, &samples, Crop::At(at)).unwrap();
        pair.identify(Protocol::Raw, &heard).unwrap()
    };
    let named = (0..TRACKS).flat_map(|track| [2.3, 8.1].map(|at| answer(track, at).top(1).any(|label| label == track)));
    let named = named.filter(|named| *named).count();
    // So few bands, clips and seconds; by chance it would be two.
    assert!(named >= 16, "{named} of {} clips were named", 2 * TRACKS);
    let refused = strangers.map(|track| !answer(track, 4.0).known).filter(|refused| *refused).count();
    assert!(refused >= 3, "{refused} of 6 strangers were refused");
    refusals(hearing, &settings);
}

/// What cannot be learned from is refused.
fn refusals(hearing: Hearing<'_>, settings: &RawSettings) {
    let refused = |settings: RawSettings| train_raw(hearing, &settings, &Quiet).err().unwrap();
    let with = |spec: RawSpec| RawSettings { spec, ..settings.clone() };
    let spec = settings.spec.clone();
    assert!(matches!(refused(with(RawSpec { sample_rate: 11_025, ..spec.clone() })), LearnError::Setting { .. }));
    assert!(matches!(refused(with(RawSpec { level_bits: 9, ..spec.clone() })), LearnError::Raw(_)));
    assert!(matches!(refused(with(RawSpec { cells: 60, ..spec })), LearnError::TooFew { .. }));
    assert!(matches!(refused(RawSettings { accepted: 0.9, ..settings.clone() }), LearnError::Setting { .. }));
    let short = SoundOptions::default().with_synthetic_seconds(1.0);
    let unread = train_raw(Hearing { sound: &short, ..hearing }, settings, &Quiet).err().unwrap();
    assert!(matches!(unread, LearnError::TooFew { .. }));
}
