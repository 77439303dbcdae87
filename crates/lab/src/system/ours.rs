//! A model of ours, trained for a library and asked.

use std::fs;
use std::path::Path;
use std::time::Instant;

use ndarray::Array2;
use sordino_front::FeatureSpec;
use sordino_learn::{Answer, FloatModel, float_answers, integer_answers, labels, train};
use sordino_model::{Card, ClientModel, Pair, PairError, Protocol, Resolution, ServerModel, save};

use crate::LabError;
use crate::evaluate::encrypted::{self, Encrypted, Sample};
use crate::evaluate::price;
use crate::evaluate::row::{Counts, MIXED, Method, Price};
use crate::evaluate::stacked::{Stacked, stacked};
use crate::evaluate::tally::{Asked, Outcome, tally};
use crate::music::disturbances::Disturbances;
use crate::music::{Heard, Put, ask};
use crate::question::Grid;
use crate::question::unit::{Training, Unit};
use crate::run::bench::{Bench, Done};
use crate::run::machine::{peak_gigabytes, reset_peak};

/// Base features of queries, shape `[queries, width]`, and what they were.
struct Queries {
    features: Array2<f32>,
    asked: Vec<Asked>,
    /// Those of which the front end could make nothing; they are not named.
    refused: Vec<Asked>,
}

/// Trains a model, keeps it, and asks it.
pub(crate) fn run(bench: &Bench<'_>, unit: &Unit, training: &Training, put: &Put) -> Result<Done, LabError> {
    let spec = FeatureSpec { query_seconds: unit.asking.seconds, ..put.table.spec().clone() };
    let table = put.table.clone().with_spec(&spec)?;
    let disturbances = bench.disturbances(spec.sample_rate)?;
    let hearing = &disturbances.training;
    let config = &training.config;
    let name = bench.key(&(table.catalogue().fingerprint(), &spec, config))?;
    let checkpoints = bench.cache.join("checkpoints").join(&name);
    reset_peak();
    let start = Instant::now();
    let progress = bench.watch.training();
    let model = train(&table, &hearing.noise, &hearing.impulses, config, Some(&checkpoints), &*progress)?;
    drop(progress);
    let training_seconds = start.elapsed().as_secs_f64();
    let training_gigabytes = peak_gigabytes();
    let (client, server) = model.halves(&name, labels(&table))?;
    let card = Card { source: format!("{} tracks, {} recorded", table.len(), put.recorded), ..Card::default() };
    save(&bench.cache.join("models").join(&name), &client, &server, &card)?;
    remove(&checkpoints)?;
    drop(table);

    let queries = queries(bench, unit, put, &client, &disturbances.queries)?;
    Ok(Done {
        recorded: put.recorded,
        stages: server.hierarchy().stages().iter().map(|stage| stage.outputs()).collect(),
        training_seconds: Some(training_seconds),
        training_gigabytes,
        outcomes: [
            answers(unit, &model, &client, &server, &queries)?,
            encrypted(bench, unit, &client, &server, &queries)?,
        ]
        .concat(),
    })
}

/// Base features of every query.
fn queries(
    bench: &Bench<'_>,
    unit: &Unit,
    put: &Put,
    client: &ClientModel,
    hearing: &Disturbances,
) -> Result<Queries, LabError> {
    let (front, watch) = (client.front(), bench.watch);
    let split = Grid::split(unit.asking.heard_seconds);
    let hear = |query: &sordino_corpus::Query| front.features(&query.samples);
    let (heard, rejected) = ask(&put.asked, front.spec(), unit, split, hearing, watch, hear)?;
    for entry in rejected {
        watch.note(&format!("not asked: {}: {}", entry.source, entry.reason));
    }
    let heard = heard.into_iter().map(|Heard { track, condition, value }| ((track, condition), value));
    let Stacked { features, asked, refused } = stacked(heard, front.width())?;
    for ((track, _), error) in &refused {
        watch.note(&format!("not named: track {track}: {error}"));
    }
    let placed = |(track, condition)| (condition, put.place(track));
    Ok(Queries {
        features,
        asked: asked.into_iter().map(placed).collect(),
        refused: refused.into_iter().map(|(query, _)| placed(query)).collect(),
    })
}

/// Answers in the clear, in every protocol and precision.
fn answers(
    unit: &Unit,
    model: &FloatModel,
    client: &ClientModel,
    server: &ServerModel,
    queries: &Queries,
) -> Result<Vec<Outcome>, LabError> {
    let pair = Pair::new(client, server).map_err(PairError::from)?;
    let mut outcomes = Vec::new();
    let nothing = Answer { tracks: Vec::new(), known: false };
    for protocol in protocols(&unit.answering.probes, server) {
        let price = price::of(server, protocol)?;
        let float = float_answers(model, protocol, queries.features.view())?;
        let integer = integer_answers(&pair, protocol, queries.features.view())?;
        for (precision, answers) in [("float", float), ("integer", integer)] {
            let method = method(protocol, precision);
            let refused = queries.refused.iter().map(|asked| (asked, &nothing));
            let all = queries.asked.iter().zip(&answers).chain(refused);
            outcomes.extend(tally(&unit.asking, all, &method, &price));
        }
    }
    Ok(outcomes)
}

/// Answers to a sample of all queries, encrypted, whatever their conditions.
fn encrypted(
    bench: &Bench<'_>,
    unit: &Unit,
    client: &ClientModel,
    server: &ServerModel,
    queries: &Queries,
) -> Result<Vec<Outcome>, LabError> {
    let (features, answering) = (queries.features.view(), &unit.answering);
    let sample = |queries| Sample { queries, keys: answering.keys, seed: unit.library.draw() };
    let mut outcomes = Vec::new();
    let asked = protocols(&answering.probes, server).into_iter().map(|protocol| (protocol, answering.encrypted));
    let decided = Protocol::Decided { probes: 1, answers: 1, resolution: Resolution::Standard };
    for (protocol, count) in asked.chain([(decided, answering.one_trip)]).filter(|&(_, count)| count > 0) {
        let bar = bench.watch.bar(count as u64, protocol.name());
        let found = encrypted::encrypted(client, server, protocol, features, sample(count), &bar)?;
        bar.finish_and_clear();
        outcomes.push(sampled(found, method(protocol, "encrypted"), price::of(server, protocol)?, &queries.asked));
    }
    Ok(outcomes)
}

fn sampled(found: Encrypted, method: Method, price: Price, asked: &[Asked]) -> Outcome {
    let mut counts = Counts::default();
    found.answers.iter().for_each(|(place, answer)| counts.add(answer, asked[*place].1));
    let price = Price {
        bytes_up: Some(found.bytes_up),
        bytes_down: Some(found.bytes_down),
        equal: Some(found.equal),
        server_seconds: found.server_seconds,
        client_seconds: found.client_seconds,
        ..price
    };
    Outcome { condition: MIXED.into(), method, counts, price }
}

/// In which protocols the client decides, following so many clusters in each way; a flat model has but one.
pub fn protocols(probes: &[usize], server: &ServerModel) -> Vec<Protocol> {
    let staged = server.hierarchy().stages().len() > 1;
    let trips = probes.iter().filter(|_| staged).map(|&probes| Protocol::Routed { probes });
    std::iter::once(Protocol::Flat).chain(trips).collect()
}

fn method(protocol: Protocol, precision: &str) -> Method {
    Method { protocol: protocol.name().into(), probes: protocol.probes(), precision: precision.into() }
}

fn remove(folder: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LabError::io(folder, "remove")(error)),
        _ => Ok(()),
    }
}
