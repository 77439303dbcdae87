//! A library of plain vectors: trained, exported, and asked encrypted.

use std::sync::Arc;

use ndarray::{Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sordino_fhe::{ClientKey, EvaluationKey, Plan, SecretKey, params};
use sordino_learn::examples::{LabelledVectors, titles};
use sordino_learn::run::{Descent, Quiet};
use sordino_learn::{FloatModel, LearnError, TrainConfig, train_vectors};
use sordino_model::{ClientModel, Decider, Pair, Protocol, ServerModel, load_pair, save};
use sordino_service::{Client, Server, exchange};

use crate::resume::Interruption;

const CLASSES: usize = 60;
const WIDTH: usize = 40;

/// Vectors around centres that are spread in 24 directions, with large scatter in the 16 others that all classes share.
pub(crate) struct Planted(Array2<f32>);

impl Planted {
    pub(crate) fn new(classes: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Self(Array2::from_shape_simple_fn((classes, 24), || 3.0 * rng.sample::<f32, _>(StandardNormal)))
    }

    /// So many examples of every class, and the class of each.
    pub(crate) fn examples(&self, each: usize, seed: u64) -> (Array2<f32>, Vec<u32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let labels: Vec<u32> = (0..self.0.nrows() * each).map(|i| (i % self.0.nrows()) as u32).collect();
        let mut rows = Array2::from_shape_simple_fn((labels.len(), WIDTH), || rng.sample::<f32, _>(StandardNormal));
        for (mut row, &label) in rows.rows_mut().into_iter().zip(&labels) {
            for (i, v) in row.iter_mut().enumerate() {
                // Features of very different sizes, as they come.
                let size = 10f32.powi(i as i32 % 5 - 2);
                *v = size * if i < 24 { self.0[(label as usize, i)] + *v } else { 40.0 + 20.0 * *v };
            }
        }
        (rows, labels)
    }
}

pub(crate) fn config() -> TrainConfig {
    let mut config = TrainConfig { clips_per_track: 16, least_clips: 0, width: 32, ..TrainConfig::default() };
    config.router.directions = 32;
    config.router.hidden = vec![64];
    config.router.bottleneck = 24;
    config.router.noise = 1.0;
    config.router.descent = Descent { epochs: 20, batch: 64, ..config.router.descent };
    config.tracks.noise = 1.0;
    config
}

fn library() -> LabelledVectors {
    let (vectors, labels) = Planted::new(CLASSES, 1).examples(12, 2);
    LabelledVectors::new(vectors, &labels).unwrap().with_jitter(0.3).unwrap()
}

fn trained() -> FloatModel {
    train_vectors(&library(), &config(), None, &Quiet).unwrap()
}

fn halves(model: &FloatModel) -> (ClientModel, ServerModel) {
    model.halves("planted", titles((0..CLASSES).map(|i| format!("class {i}")))).unwrap()
}

/// Share of rows whose best label is the right one, and share that is known.
pub(crate) fn named(pair: &Pair<'_>, protocol: Protocol, vectors: &Array2<f32>, labels: &[u32]) -> (f32, f32) {
    let ranked = pair.identify_batch(protocol, vectors.view(), 1).unwrap();
    let right =
        ranked.iter().zip(labels).filter(|(r, l)| r.matches.first().is_some_and(|b| b.label == **l as usize)).count();
    let known = ranked.iter().filter(|r| r.known).count();
    (right as f32 / labels.len() as f32, known as f32 / labels.len() as f32)
}

#[test]
fn vectors_are_named_and_unknown_ones_refused() {
    let (client, server) = halves(&trained());
    let pair = Pair::new(&client, &server).unwrap();
    let (vectors, labels) = Planted::new(CLASSES, 1).examples(4, 3);
    let (strange, none) = Planted::new(CLASSES, 9).examples(4, 4);
    for (protocol, least) in [(Protocol::Flat, 0.97), (Protocol::Routed { probes: 2 }, 0.9)] {
        let (right, known) = named(&pair, protocol, &vectors, &labels);
        assert!(right > least && known > 0.85, "{protocol:?}: {right} right, {known} known");
        let (_, accepted) = named(&pair, protocol, &strange, &none);
        assert!(accepted < 0.1, "{protocol:?} accepts {accepted} of classes that are not there");
    }
}

/// Whether the encrypted answer must be the clear one: always where scores come back, and where the server decides, if the winners lead
/// by their margins.
fn is_certain(protocol: Protocol, plan: &Plan, client: &ClientModel, server: &ServerModel, query: &[f32]) -> bool {
    let Plan::Decision(plan) = plan else { return true };
    let (hierarchy, outline) = (server.hierarchy(), client.hierarchy());
    let (vectors, groups) = client.question(protocol, query).unwrap();
    let leads = plan.leads(hierarchy, &vectors, &groups, |place| outline.label_at(place)).unwrap();
    leads.are_certain(&plan.margins(hierarchy.shape()).unwrap())
}

#[test]
fn asked_encrypted_a_library_of_vectors_answers_as_in_the_clear() {
    let mut model = trained();
    model.config.public_routing = true;
    let (client, server) = halves(&model);
    let pair = Pair::new(&client, &server).unwrap();
    let (known, _) = Planted::new(CLASSES, 1).examples(1, 5);
    let (strange, _) = Planted::new(2, 9).examples(1, 6);
    let rows = known.rows().into_iter().step_by(20).chain(strange.rows()).map(|row| row.to_vec());
    let queries: Vec<Vec<f32>> = rows.collect();
    let key = Arc::new(SecretKey::generate(&params::STANDARD));
    for protocol in Protocol::ALL.into_iter().filter(|&protocol| client.speaks(protocol).is_ok()) {
        let host = Server::new(&server, protocol, &params::STANDARD).unwrap();
        let key = match protocol.decider() {
            Decider::Client => key.clone().into(),
            Decider::Server => {
                let name = host.register(EvaluationKey::generate(&key, |_| ()).expand()).unwrap();
                ClientKey::registered(key.clone(), name)
            }
        };
        let mut listener = Client::new(client.clone(), key, &host.hello()).unwrap();
        let mut equal = 0;
        for query in &queries {
            let found = exchange(&mut listener, query, &mut |message| host.answer(message)).unwrap();
            let clear = pair.identify(protocol, query).unwrap();
            if is_certain(protocol, host.plan(), &client, &server, query) {
                assert_eq!(found.answer, clear, "{protocol:?}");
            }
            equal += usize::from(found.answer.agrees_with(&clear));
        }
        assert!(2 * equal > queries.len(), "{equal} of {} answers equal the clear, {protocol:?}", queries.len());
        // Features of another width, or that are no numbers, are refused before anything is sent.
        let broken: Vec<f32> = queries[0].iter().map(|v| v * f32::NAN).collect();
        assert!(listener.start(&queries[0][1..]).is_err() && listener.start(&broken).is_err());
    }
}

#[test]
fn a_model_of_vectors_is_saved_and_takes_no_sound() {
    let (client, server) = halves(&trained());
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("planted");
    save(&dir, &client, &server, &sordino_model::Card::default()).unwrap();
    let (read, _) = load_pair(&dir).unwrap();
    assert_eq!(read, client);
    assert!(read.front().spec().is_err() && read.front().width() == WIDTH);
    let refused = read.front().features(&[0.1; 100_000]).unwrap_err();
    assert!(refused.to_string().contains("40"), "{refused}");
}

#[test]
fn the_same_vectors_give_the_same_model() {
    let model = trained();
    assert!(trained() == model);
    let other = train_vectors(&library(), &TrainConfig { seed: 2, ..config() }, None, &Quiet).unwrap();
    assert!(other != model);
    // Stopped and taken up again, it ends the same.
    let folder = tempfile::tempdir().unwrap();
    let settings = TrainConfig { checkpoint_every: 4, ..config() };
    let whole = train_vectors(&library(), &settings, None, &Quiet).unwrap();
    let stopped = train_vectors(&library(), &settings, Some(folder.path()), &Interruption::of("routing 0"));
    assert!(matches!(stopped, Err(LearnError::Interrupted { .. })));
    assert!(train_vectors(&library(), &settings, Some(folder.path()), &Quiet).unwrap() == whole);
}

#[test]
fn small_clusters_are_found_by_their_means_alone() {
    let (vectors, labels) = Planted::new(CLASSES, 1).examples(4, 3);
    let mut config = TrainConfig { public_routing: true, stages: vec![CLASSES / 3], ..config() };
    config.router.learned = false;
    let (client, server) = halves(&train_vectors(&library(), &config, None, &Quiet).unwrap());
    let pair = Pair::new(&client, &server).unwrap();
    let few = named(&pair, Protocol::Picked { probes: 1 }, &vectors, &labels).0;
    let more = named(&pair, Protocol::Picked { probes: 6 }, &vectors, &labels).0;
    let all = named(&pair, Protocol::Flat, &vectors, &labels).0;
    assert!(few > 0.8 && more >= few && more > all - 0.02, "{few}, {more} and {all}");
    // Two routing stages and spill work the same way.
    let three = TrainConfig { stages: vec![3, 4], spill: 2, ..config };
    let (client, server) = halves(&train_vectors(&library(), &three, None, &Quiet).unwrap());
    let pair = Pair::new(&client, &server).unwrap();
    assert!(named(&pair, Protocol::Picked { probes: 4 }, &vectors, &labels).0 > 0.75);
}

#[test]
fn three_stages_spill_and_single_examples_are_only_settings() {
    let (vectors, labels) = Planted::new(CLASSES, 1).examples(4, 3);
    let three = TrainConfig { stages: vec![3, 4], spill: 2, ..config() };
    let (client, server) = halves(&train_vectors(&library(), &three, None, &Quiet).unwrap());
    let pair = Pair::new(&client, &server).unwrap();
    assert!(named(&pair, Protocol::Routed { probes: 2 }, &vectors, &labels).0 > 0.75);

    // One vector a class, and noise as large as half the scatter of all.
    let (single, own) = Planted::new(CLASSES, 1).examples(1, 2);
    let library = LabelledVectors::new(single, &own).unwrap().with_jitter(0.5).unwrap();
    let (client, server) = halves(&train_vectors(&library, &config(), None, &Quiet).unwrap());
    let pair = Pair::new(&client, &server).unwrap();
    assert!(named(&pair, Protocol::Flat, &vectors, &labels).0 > 0.8);
}

#[test]
fn too_little_is_an_error() {
    let (vectors, labels) = Planted::new(CLASSES, 1).examples(3, 2);
    let of = |count: u32| {
        let rows: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] < count).collect();
        let own: Vec<u32> = rows.iter().map(|&i| labels[i]).collect();
        train_vectors(&LabelledVectors::new(vectors.select(Axis(0), &rows), &own).unwrap(), &config(), None, &Quiet)
    };
    assert!(matches!(of(1), Err(LearnError::TooFew { what: "labels", .. })));
    for few in [2, 3, 4] {
        let model = of(few).unwrap();
        let (client, server) = model.halves("few", titles((0..few).map(|i| i.to_string()))).unwrap();
        let pair = Pair::new(&client, &server).unwrap();
        let (right, _) = named(&pair, Protocol::Flat, &vectors.select(Axis(0), &[0, 1]), &labels[..2]);
        assert_eq!(right, 1.0, "{few} labels");
    }
    let model = trained();
    assert!(matches!(model.halves("short", titles(["only one"])), Err(LearnError::Shape { what: "labels", .. })));
    // More clusters than classes.
    let crowded = TrainConfig { stages: vec![CLASSES + 1], ..config() };
    assert!(matches!(train_vectors(&library(), &crowded, None, &Quiet), Err(LearnError::Setting { .. })));
}
