//! [`Lab`]: runs an experiment, unit by unit, and remembers every unit that is done.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use sordino_audio::FeatureSpec;
use sordino_learn::{Answer, FloatModel, float_answers, integer_answers, labels, train};
use sordino_model::{Card, ClientModel, Pair, Protocol, ServerModel, save};

use crate::disturbances::SplitDisturbances;
use crate::machine::{peak_gigabytes, reset_peak};
use crate::music::{Heard, Put, Shelf, ask};
use crate::question::{Grid, Question};
use crate::row::{Counts, Method, Price, Row, disturbance, percent, standard_error};
use crate::unit::{Asking, System, Training, Unit, key};
use crate::{LabError, Music, Watch, baseline, price};

/// Raise it when results of old units must not be used any more.
const REVISION: u32 = 1;

/// Where experiments are run.
pub struct Lab<'a> {
    music: &'a Music,
    cache: PathBuf,
    watch: &'a dyn Watch,
}

/// What came of a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Done {
    recorded: usize,
    stages: Vec<usize>,
    training_seconds: Option<f64>,
    training_gigabytes: Option<f64>,
    outcomes: Vec<Outcome>,
}

/// One way of answering under one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Outcome {
    condition: String,
    method: Method,
    counts: Counts,
    price: Price,
}

/// What identifies a unit's result.
#[derive(Serialize)]
struct Identity<'a> {
    revision: u32,
    version: &'a str,
    recorded: String,
    disturbances: ([String; 2], u64),
    unit: &'a Unit,
}

/// Base features of queries, and what they were.
pub(crate) struct Queries {
    pub(crate) features: Array2<f32>,
    pub(crate) asked: Vec<(usize, Option<u32>)>,
}

impl<'a> Lab<'a> {
    /// A lab that works on `music` and keeps indexes, models and the results of finished units in `cache`.
    pub fn new(music: &'a Music, cache: &Path, watch: &'a dyn Watch) -> Self {
        Self { music, cache: cache.to_owned(), watch }
    }

    /// Runs what has not been run before, and returns all rows.
    ///
    /// # Errors
    /// [`LabError`] from the first unit that fails; those before it are remembered.
    pub fn run(&self, question: &Question) -> Result<Vec<Row>, LabError> {
        let units: Vec<Unit> = question
            .grids
            .iter()
            .map(Grid::units)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|reason| LabError::Setting {
                setting: "a grid".into(),
                found: reason,
                expected: "settings that fit together".into(),
            })?
            .concat();
        // A stranger's place in the library is taken by a further track.
        let largest = units.iter().map(|unit| unit.library.tracks + unit.library.asked).max().unwrap_or(0);
        let shelf = Shelf::new(self.music, &self.cache.join("indexes"), largest, self.watch);
        let mut results: Vec<(Unit, Vec<Done>)> = Vec::new();
        for (place, unit) in units.iter().enumerate() {
            self.watch.note(&format!("[{}/{}] {}", place + 1, units.len(), unit.describe()));
            let done = self.remembered(unit, |unit| self.run_unit(unit, &shelf))?;
            // Folds of one setting are one result.
            let whole = unit.without_fold();
            match results.iter_mut().find(|(other, _)| *other == whole) {
                Some((_, folds)) => folds.push(done),
                None => results.push((whole, vec![done])),
            }
        }
        Ok(results.iter().flat_map(|(unit, folds)| rows(unit, folds)).collect())
    }

    /// The result of a unit, from the cache where it is there.
    fn remembered(&self, unit: &Unit, run: impl FnOnce(&Unit) -> Result<Done, LabError>) -> Result<Done, LabError> {
        let identity = Identity {
            revision: REVISION,
            version: env!("CARGO_PKG_VERSION"),
            recorded: self.music.recorded.fingerprint(),
            disturbances: (self.music.disturbances.names(), self.music.disturbances.seed),
            unit,
        };
        let folder = self.cache.join("units");
        let path = folder.join(format!("{}.json", json(key(&identity), &folder)?));
        if let Ok(text) = fs::read_to_string(&path) {
            return serde_json::from_str(&text).map_err(|error| LabError::Format {
                path: path.clone(),
                reason: format!("{error}; delete the file, and it is made again"),
            });
        }
        let done = run(unit)?;
        fs::create_dir_all(&folder).map_err(LabError::io(&folder, "make"))?;
        let text = json(serde_json::to_string_pretty(&done), &path)?;
        // Written aside and renamed: an interrupted run leaves no half of a result.
        let aside = path.with_extension("part");
        fs::write(&aside, text).map_err(LabError::io(&aside, "write"))?;
        fs::rename(&aside, &path).map_err(LabError::io(&path, "write"))?;
        Ok(done)
    }

    fn run_unit(&self, unit: &Unit, shelf: &Shelf<'_>) -> Result<Done, LabError> {
        let put = shelf.put(&unit.library)?;
        match &unit.system {
            System::Sordino(training) => self.run_model(unit, training, &put),
            System::Baseline(kind) => self.run_baseline(unit, *kind, &put),
        }
    }

    fn disturbances(&self, rate: u32) -> Result<SplitDisturbances, LabError> {
        let loaded = self.music.disturbances.load(rate)?;
        for file in &loaded.rejected {
            self.watch.note(&format!("left out: {}: {}", file.path.display(), file.error));
        }
        Ok(loaded)
    }

    fn run_model(&self, unit: &Unit, training: &Training, put: &Put) -> Result<Done, LabError> {
        let spec = FeatureSpec { query_seconds: unit.asking.seconds, ..put.table.spec().clone() };
        let table = put.table.clone().with_spec(&spec)?;
        let disturbances = self.disturbances(spec.sample_rate)?;
        let hearing = &disturbances.training;
        let models = self.cache.join("models");
        let name = json(key(&(REVISION, table.catalogue().fingerprint(), &spec, &training.config)), &models)?;
        let checkpoints = self.cache.join("checkpoints").join(&name);
        reset_peak();
        let start = Instant::now();
        let watching = self.watch.training();
        let config = &training.config;
        let model = train(&table, &hearing.noise, &hearing.impulses, config, Some(&checkpoints), &*watching)?;
        let training_seconds = start.elapsed().as_secs_f64();
        let training_gigabytes = peak_gigabytes();
        let (client, server) = model.halves(&name, labels(&table))?;
        let card = Card { source: format!("{} tracks, {} recorded", table.len(), put.recorded), ..Card::default() };
        save(&models.join(&name), &client, &server, &card)?;
        remove_checkpoints(&checkpoints)?;
        drop(table);

        let queries = self.queries(&unit.asking, put, &client, &disturbances)?;
        let outcomes = self.answers(unit, &model, &client, &server, &queries)?;
        let stages = server.hierarchy().stages().iter().map(|stage| stage.outputs()).collect();
        Ok(Done {
            recorded: put.recorded,
            stages,
            training_seconds: Some(training_seconds),
            training_gigabytes,
            outcomes,
        })
    }

    /// Base features of every query.
    fn queries(
        &self,
        asking: &Asking,
        put: &Put,
        client: &ClientModel,
        disturbances: &SplitDisturbances,
    ) -> Result<Queries, LabError> {
        let front = client.front();
        let split = Grid::split(asking.heard_seconds);
        let hear = |query: &sordino_corpus::Query| front.features(&query.samples);
        let (heard, rejected) = ask(&put.asked, front.spec(), asking, split, &disturbances.queries, self.watch, hear)?;
        for entry in rejected {
            self.watch.note(&format!("not asked: {}: {}", entry.source, entry.reason));
        }
        let mut asked = Vec::with_capacity(heard.len());
        let mut flat = Vec::with_capacity(heard.len() * front.width());
        for Heard { track, condition, value } in heard {
            match value {
                Ok(features) => {
                    flat.extend(features);
                    asked.push((condition, put.place(track)));
                }
                Err(error) => self.watch.note(&format!("not asked: track {track}: {error}")),
            }
        }
        let shape = (asked.len(), front.width());
        let features = Array2::from_shape_vec(shape, flat).map_err(|error| LabError::Setting {
            setting: "features of the queries".into(),
            found: error.to_string(),
            expected: format!("{} by {}", shape.0, shape.1),
        })?;
        Ok(Queries { features, asked })
    }

    fn answers(
        &self,
        unit: &Unit,
        model: &FloatModel,
        client: &ClientModel,
        server: &ServerModel,
        queries: &Queries,
    ) -> Result<Vec<Outcome>, LabError> {
        let pair = Pair::new(client, server).map_err(sordino_model::PairError::from)?;
        let trips = unit.answering.probes.iter().map(|&probes| Protocol::Trips { probes });
        let trips = trips.filter(|_| server.hierarchy().stages().len() > 1);
        let mut outcomes = Vec::new();
        for protocol in std::iter::once(Protocol::Flat).chain(trips) {
            let price = price::of(server, protocol)?;
            let float = float_answers(model, protocol, queries.features.view())?;
            let integer = integer_answers(&pair, protocol, queries.features.view())?;
            for (precision, answers) in [("float", float), ("integer", integer)] {
                let method = method(protocol, precision);
                outcomes.extend(tally(&unit.asking, queries, &answers, &method, &price));
            }
        }
        Ok(outcomes)
    }

    fn run_baseline(&self, _unit: &Unit, kind: baseline::Kind, _put: &Put) -> Result<Done, LabError> {
        match kind {}
    }
}

fn method(protocol: Protocol, precision: &str) -> Method {
    let (name, probes) = match protocol {
        Protocol::Flat => ("flat", 0),
        Protocol::Trips { probes } => ("two-trip", probes),
    };
    Method { protocol: name.into(), probes, precision: precision.into() }
}

/// One outcome per condition.
fn tally(asking: &Asking, queries: &Queries, answers: &[Answer], method: &Method, price: &Price) -> Vec<Outcome> {
    let mut counts = vec![Counts::default(); asking.conditions.len()];
    for (answer, &(condition, truth)) in answers.iter().zip(&queries.asked) {
        counts[condition].add(answer, truth);
    }
    let outcome = |(condition, counts): (&String, Counts)| Outcome {
        condition: condition.clone(),
        method: method.clone(),
        counts,
        price: price.clone(),
    };
    asking.conditions.iter().zip(counts).map(outcome).collect()
}

/// A unit's rows; folds are added up, and their times too.
fn rows(unit: &Unit, folds: &[Done]) -> Vec<Row> {
    let Some(first) = folds.first() else { return Vec::new() };
    let mut merged: BTreeMap<(usize, Method), (Counts, Price)> = BTreeMap::new();
    for (place, outcome) in folds.iter().flat_map(|fold| fold.outcomes.iter().enumerate()) {
        let entry = merged.entry((place, outcome.method.clone()));
        entry.or_insert_with(|| (Counts::default(), outcome.price.clone())).0.merge(outcome.counts);
    }
    let total = |of: fn(&Done) -> Option<f64>| folds.iter().map(of).sum::<Option<f64>>();
    let largest = |of: fn(&Done) -> Option<f64>| folds.iter().filter_map(of).reduce(f64::max);
    let (effort, stages) = match &unit.system {
        System::Sordino(training) => (format!("{:?}", training.effort).to_lowercase(), first.stages.clone()),
        System::Baseline(_) => (String::new(), Vec::new()),
    };
    let row = |((place, method), (counts, price)): ((usize, Method), (Counts, Price))| {
        let condition = first.outcomes[place].condition.clone();
        let (snr_db, disturbance) = disturbance(&condition);
        let stages: &[usize] = if method.protocol == "flat" { &[] } else { &stages };
        Row {
            grid: unit.grid.clone(),
            system: unit.system.name().into(),
            tracks: unit.library.tracks,
            recorded: first.recorded,
            effort: effort.clone(),
            stages: stages.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x "),
            depth: stages.len().max(1),
            seconds: unit.asking.seconds,
            condition,
            snr_db,
            disturbance,
            method,
            queries: counts.known,
            top_1: percent(counts.top_1, counts.known),
            top_3: percent(counts.top_3, counts.known),
            top_1_error: standard_error(counts.top_1, counts.known),
            lost: percent(counts.lost, counts.known),
            strangers: counts.strangers,
            rejected: percent(counts.rejected, counts.strangers),
            price,
            training_seconds: total(|fold| fold.training_seconds),
            training_gigabytes: largest(|fold| fold.training_gigabytes),
            knobs: unit.knobs.iter().cloned().collect(),
        }
    };
    merged.into_iter().map(row).collect()
}

fn remove_checkpoints(folder: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LabError::io(folder, "remove")(error)),
        _ => Ok(()),
    }
}

fn json<T>(result: Result<T, serde_json::Error>, path: &Path) -> Result<T, LabError> {
    result.map_err(|error| LabError::Format { path: path.to_owned(), reason: error.to_string() })
}
