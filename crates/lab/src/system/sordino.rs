//! [`Sordino`]: a model of this project, asked in every protocol and precision.

use std::sync::PoisonError;

use sordino_fhe::Plan;
use sordino_fhe::params::STANDARD;
use sordino_front::{Crop, FeatureSpec};
use sordino_learn::sound::labels;
use sordino_learn::unknown::Cut;
use sordino_learn::{Answer, FloatModel, TrainConfig, float_answers, integer_answers, train};
use sordino_model::{
    Card, ClientHierarchy, ClientModel, Decider, Learns, Pair, PairError, Protocol, ServerModel, save,
};

use super::Construction;
use super::cost;
use crate::LabError;
use crate::evaluate::encrypted::Comparison;
use crate::evaluate::features::Features;
use crate::evaluate::{
    AnswerSettings, Answers, Cost, Evaluation, Method, Promise, Queries, Query, Record, Response, Sample, System, named,
};
use crate::key::key;

/// Both halves of a model, and the floating-point model they were rounded from, where it was trained here.
pub struct Sordino {
    /// What it was before it was rounded.
    float: Option<FloatModel>,
    client: ClientModel,
    server: ServerModel,
}

impl Sordino {
    /// Its name in questions and results.
    pub const NAME: &'static str = "sordino";

    /// A model that was trained elsewhere, or the same as it was trained.
    ///
    /// # Errors
    /// [`LabError::Pair`] for halves of different models.
    pub fn new(client: ClientModel, server: ServerModel, float: Option<FloatModel>) -> Result<Self, LabError> {
        Pair::new(&client, &server).map_err(PairError::from)?;
        Ok(Self { float, client, server })
    }

    /// Trains a model for a library and keeps it in the cache; a run that was stopped goes on where it was.
    ///
    /// # Errors
    /// [`LabError::Learn`] where training stops, [`LabError::File`] where the model cannot be kept.
    pub fn train(library: &Construction<'_>, config: &TrainConfig) -> Result<Self, LabError> {
        let spec = FeatureSpec { query_seconds: library.seconds, ..library.table.spec().clone() };
        let table = library.table.clone().with_spec(&spec)?;
        let name = key(&(library.origin, table.catalogue().fingerprint(), &spec, config))?;
        let checkpoints = library.cache.join("checkpoints").join(&name);
        let progress = library.monitor.training();
        let (noise, impulses) = (&library.training.noise, &library.training.impulses);
        let model = train(&table, noise, impulses, config, Some(&checkpoints), &*progress)?;
        drop(progress);
        let (client, server) = model.halves(&name, labels(&table))?;
        let card = Card { source: library.source.clone(), ..Card::default() };
        save(&library.cache.join("models").join(&name), &client, &server, &card)?;
        library.leftovers.lock().unwrap_or_else(PoisonError::into_inner).push(checkpoints);
        Ok(Self { float: Some(model), client, server })
    }

    /// What the client holds.
    pub fn client(&self) -> &ClientModel {
        &self.client
    }

    /// What the server holds.
    pub fn server(&self) -> &ServerModel {
        &self.server
    }

    fn pair(&self) -> Result<Pair<'_>, LabError> {
        Ok(Pair::new(&self.client, &self.server).map_err(PairError::from)?)
    }

    /// In which protocols it answers, and how many queries of each are asked encrypted. A flat model has but one, most keep their routing
    /// layers to themselves, and for thousands of clusters the server has no plan to decide among them.
    fn protocols(&self, settings: &AnswerSettings) -> Vec<(Protocol, usize)> {
        let staged = self.server.hierarchy().stages().len() > 1;
        let probes = || settings.probes.iter().copied().filter(|_| staged);
        let routed = probes().map(|probes| Protocol::Routed { probes });
        let picked = probes().map(|probes| Protocol::Picked { probes });
        let scores = std::iter::once(Protocol::Flat).chain(routed).chain(picked);
        let scores = scores.map(|protocol| (protocol, settings.encrypted));
        let decided = settings.decided.iter().map(|&protocol| (protocol, settings.decided_queries));
        let planned = |protocol: Protocol| {
            let plan = || Plan::new(&STANDARD, protocol, self.server.stages_for(protocol));
            self.client.speaks(protocol).is_ok() && (protocol.decider() == Decider::Client || plan().is_ok())
        };
        let raw = Some((Protocol::Raw, settings.raw)).filter(|_| settings.raw > 0);
        scores.chain(decided).chain(raw).filter(|&(protocol, _)| planned(protocol)).collect()
    }

    /// Answers in one protocol: in the clear, and to a sample encrypted.
    fn answers(&self, comparison: &Comparison<'_>, protocol: Protocol) -> Result<Vec<Answers>, LabError> {
        let features = comparison.features.rows.view();
        let cost = cost::of(&self.server, protocol)?;
        let mut all = Vec::new();
        if let Some(model) = self.float.as_ref().filter(|_| protocol.decider() == Decider::Client) {
            let float = float_answers(model, protocol, features)?;
            all.push(clear(comparison, method(protocol, "float"), &cost, &float));
        }
        let integer = integer_answers(&self.pair()?, protocol, features)?;
        let mut integer = clear(comparison, method(protocol, "integer"), &cost, &integer);
        if protocol.decider() == Decider::Server {
            comparison.hold(protocol, &mut integer)?;
        }
        all.push(integer);
        if comparison.sample.queries > 0 {
            all.push(comparison.ask(protocol, method(protocol, "encrypted"), cost)?);
        }
        all.iter_mut().for_each(|answers| answers.promises.extend(self.promise(protocol)));
        Ok(all)
    }

    /// What the model promised of its unknown test, where it was trained here.
    fn promise(&self, protocol: Protocol) -> Option<Promise> {
        let (_, threshold) = self.float.as_ref()?.last(protocol == Protocol::Flat);
        let Cut { lost, accepted, .. } = match protocol.decider() {
            Decider::Client => threshold.of_client(),
            Decider::Server => threshold.score,
        };
        Some(Promise { lost, rejected: 1.0 - accepted })
    }
}

impl System for Sordino {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn learns(&self) -> Learns {
        Protocol::Flat.learns()
    }

    fn rate(&self) -> u32 {
        // A model that takes no sound says so when it is asked.
        self.client.front().spec().map_or(0, |spec| spec.sample_rate)
    }

    fn resolves(&self) -> f32 {
        resolves(&self.client)
    }

    fn stages(&self) -> Vec<usize> {
        self.server.hierarchy().stages().iter().map(|stage| stage.outputs()).collect()
    }

    fn rows(&self) -> Option<usize> {
        Some(self.server.flat().last().counts().iter().sum())
    }

    /// The answer in integers, flat.
    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        let features = self.client.front().features(samples)?;
        let found = self.pair()?.identify(Protocol::Flat, &features)?;
        Ok(Answer::from(found).into())
    }

    fn evaluate(&self, queries: &Queries<'_>, settings: &AnswerSettings) -> Result<Evaluation, LabError> {
        let front = self.client.front();
        let monitor = queries.monitor;
        let heard = |protocol: Protocol, width: usize| -> Result<Features, LabError> {
            let hear = |samples: &[f32]| self.client.heard(protocol, samples, Crop::Middle);
            let rendered = queries.render(front.spec()?, hear)?;
            for (Query { track, start, .. }, features) in &rendered {
                if let Err(error) = features {
                    monitor.note(&format!("not named: track {track} at {start:.1} s: {error}"));
                }
            }
            Features::stack(rendered, width)
        };
        let features = heard(Protocol::Flat, front.width())?;
        // Its own, which are more than those of the library where rows were drawn beside it.
        let ids: Vec<u32> = self.client.labels().iter().map(|label| label.track_id).collect();
        let mut answers = Vec::new();
        for (protocol, queried) in self.protocols(settings) {
            let samples = self.client.raw().filter(|_| protocol == Protocol::Raw).and_then(ClientHierarchy::samples);
            let samples = samples.map(|spec| heard(protocol, spec.query_samples())).transpose()?;
            let comparison = Comparison {
                client: &self.client,
                server: &self.server,
                ids: &ids,
                features: samples.as_ref().unwrap_or(&features),
                fold: queries.fold,
                sample: Sample { queries: queried, keys: settings.keys, seed: settings.seed },
                monitor,
            };
            answers.extend(self.answers(&comparison, protocol)?);
        }
        Ok(Evaluation { answers })
    }
}

/// Half a query, in seconds: a passage told within that covers half of what was heard, or more.
fn resolves(client: &ClientModel) -> f32 {
    client.front().spec().map_or(0.0, |spec| spec.query_seconds / 2.0)
}

/// Answers in the clear as records; what the front end refused was asked and is not named.
fn clear(comparison: &Comparison<'_>, method: Method, cost: &Cost, answers: &[Answer]) -> Answers {
    let resolves = resolves(comparison.client);
    let record = |(query, answer): (&Query, &Answer)| {
        let mut record = Record {
            top: named(answer, comparison.ids),
            reported_known: answer.known,
            doubt: answer.doubt,
            ..Record::new(comparison.fold, query, &method)
        }
        .with_copies(comparison.client, comparison.ids);
        record.locate(query, answer.start, resolves);
        record
    };
    let mut records: Vec<Record> = comparison.features.queries.iter().zip(answers).map(record).collect();
    records.extend(comparison.features.refused.iter().map(|query| Record::new(comparison.fold, query, &method)));
    Answers { method, cost: cost.clone(), margins: None, promises: Vec::new(), records }
}

fn method(protocol: Protocol, precision: &str) -> Method {
    let (answers, resolution) = protocol.decision().unzip();
    Method {
        protocol: protocol.name().into(),
        probes: protocol.probes(),
        answers,
        resolution: resolution.map(|resolution| resolution.name().into()),
        precision: precision.into(),
    }
}
