//! Queries asked for real, under fresh keys, and their answers beside the clear ones.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use sordino_fhe::{ClientKey, EvaluationKey, Plan, SecretKey, decision, params, raw};
use sordino_model::{Answer, ClientModel, Pair, PairError, Protocol, ServerModel};
use sordino_service::{Client, Exchange, Server, exchange, leads};

use super::features::Features;
use super::record::thousandths;
use super::{Answers, Cost, Margins, Method, Race, Record};
use crate::{LabError, Monitor};

/// Tracks kept of every answer.
const TOP: usize = 3;

/// Which queries are asked: so many, drawn from all, and divided among so many fresh keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Number of queries; all, where there are fewer.
    pub queries: usize,
    /// Number of keys.
    pub keys: usize,
    /// Seed of the draw.
    pub seed: u64,
}

impl Sample {
    /// For every key, the places among `all` queries that it asks, ascending. Drawn, because queries come track by track and condition by
    /// condition, and a stride would fall in step with them.
    pub fn places(self, all: usize) -> Vec<Vec<usize>> {
        let count = self.queries.min(all);
        let mut drawn = sample(&mut ChaCha8Rng::seed_from_u64(self.seed), all, count).into_vec();
        drawn.sort_unstable();
        let keys = self.keys.clamp(1, count.max(1));
        (0..keys).map(|key| drawn.iter().copied().skip(key).step_by(keys).collect()).collect()
    }
}

/// Who is asked, and what.
pub(crate) struct Comparison<'a> {
    pub(crate) client: &'a ClientModel,
    pub(crate) server: &'a ServerModel,
    /// Ids of the library's tracks by their label.
    pub(crate) ids: &'a [u32],
    pub(crate) features: &'a Features,
    pub(crate) fold: usize,
    pub(crate) sample: Sample,
    pub(crate) monitor: &'a dyn Monitor,
}

impl Comparison<'_> {
    /// Asks in one protocol and compares whole answers, every score of them where the client sees scores, with the clear. Where the server
    /// decides, every race is held against its margins too.
    pub(crate) fn ask(&self, protocol: Protocol, method: Method, cost: Cost) -> Result<Answers, LabError> {
        let pair = Pair::new(self.client, self.server).map_err(PairError::from)?;
        let host = Server::new(self.server, protocol, &params::STANDARD)?;
        let races = self.races(protocol, host.plan())?;
        let margins = races.as_ref().map(Races::told);
        let mut answers = Answers { method, cost, margins, promises: Vec::new(), records: Vec::new() };
        let (model, hello) = (Arc::new(self.client.clone()), host.hello());
        let places = self.sample.places(self.features.queries.len());
        let bar = self.monitor.bar(places.iter().map(Vec::len).sum::<usize>() as u64, protocol.name());
        for (number, places) in places.into_iter().enumerate() {
            let key = Arc::new(SecretKey::generate(&params::STANDARD));
            let evaluation = EvaluationKey::generate_for(protocol, &key);
            let registered = evaluation.map(|evaluation| host.register(evaluation.expand())).transpose()?;
            let key = registered.map_or(key.clone().into(), |id| ClientKey::registered(key, id));
            let mut client = Client::new(model.clone(), key, &hello)?;
            for place in places {
                let features = self.features.rows.row(place).to_vec();
                let found = exchange(&mut client, &features, &mut |message| host.answer(message))?;
                let clear = pair.identify(protocol, &features)?;
                let race = races.as_ref().map(|races| self.race(protocol, races, &features)).transpose()?;
                let (up, down) = found.bytes();
                (answers.cost.bytes_up, answers.cost.bytes_down) = (Some(up), Some(down));
                let new = Record::new(self.fold, &self.features.queries[place], &answers.method);
                answers.records.push(self.record(new, number, &found, &clear, race));
                bar.inc(1);
            }
            registered.into_iter().for_each(|id| host.forget(id));
        }
        bar.finish_and_clear();
        Ok(answers)
    }

    /// Holds answers of a protocol in which the server decides, given in the clear to all queries, against its margins: which of them would be
    /// certain.
    pub(crate) fn hold(&self, protocol: Protocol, answers: &mut Answers) -> Result<(), LabError> {
        let plan = Plan::new(&params::STANDARD, protocol, self.server.stages_for(protocol))?;
        let Some(races) = self.races(protocol, &plan)? else { return Ok(()) };
        for (record, features) in answers.records.iter_mut().zip(self.features.rows.rows()) {
            record.race = Some(self.race(protocol, &races, &features.to_vec())?);
        }
        answers.margins = Some(races.told());
        Ok(())
    }

    /// The margins of a plan by which the server decides.
    fn races<'p>(&self, protocol: Protocol, plan: &'p Plan) -> Result<Option<Races<'p>>, LabError> {
        let shape = self.server.stages_for(protocol).shape();
        Ok(match plan {
            Plan::Decision(plan) => Some(Races::Decided(plan, plan.margins(shape)?)),
            Plan::Raw(plan) => Some(Races::Raw(plan, plan.margins(shape)?)),
            _ => None,
        })
    }

    /// How close a query's decision is in the clear.
    fn race(&self, protocol: Protocol, races: &Races<'_>, features: &[f32]) -> Result<Race, LabError> {
        let (plan, margins) = match races {
            Races::Decided(plan, margins) => (plan, margins),
            Races::Raw(plan, margins) => return self.raw_race(plan, margins, features),
        };
        let pair = Pair::new(self.client, self.server).map_err(PairError::from)?;
        let leads = leads(&pair, protocol, plan, features)?;
        let (margin, threshold) = margins.last_stage(leads.siblings);
        let routing = margins.stages.iter().take(leads.stages.len().saturating_sub(1));
        Ok(Race {
            certain: leads.are_certain(margins),
            // An infinite margin becomes the largest number.
            margins: routing.chain([&margin]).map(|margin| margin.round() as u64).collect(),
            siblings: leads.siblings,
            threshold_distance: Some(leads.threshold).filter(|distance| distance.is_finite()),
            threshold_margin: Some(threshold.round()).filter(|margin| margin.is_finite()),
            leads: leads.stages,
        })
    }

    /// The same of encrypted samples.
    fn raw_race(&self, plan: &raw::Plan, margins: &raw::Margins, sound: &[f32]) -> Result<Race, LabError> {
        let outline = self.client.stages_for(Protocol::Raw);
        let samples = self.client.samples(sound).map_err(PairError::from)?;
        let hierarchy = self.server.stages_for(Protocol::Raw);
        let leads = plan.leads(hierarchy, margins, &samples, |row| outline.label_at(row))?;
        Ok(Race {
            certain: leads.are_certain(),
            leads: vec![leads.lead.round() as u64],
            margins: vec![leads.margin.round() as u64],
            siblings: 0,
            threshold_distance: Some(leads.threshold),
            threshold_margin: Some(leads.threshold_margin.round()),
        })
    }

    fn record(&self, new: Record, key: usize, found: &Exchange, clear: &Answer, race: Option<Race>) -> Record {
        let ids = |answer: &Answer| answer.top(TOP).map(|label| self.ids[label]).collect();
        let milliseconds = |time: Duration| Some(thousandths(1e3 * time.as_secs_f64()));
        Record {
            top: ids(&found.answer),
            reported_known: found.answer.known,
            key: Some(key),
            clear: ids(clear),
            equal: Some(found.answer.agrees_with(clear)),
            race,
            server_milliseconds: milliseconds(found.total(|trip| trip.wait)),
            client_milliseconds: milliseconds(found.total(|trip| trip.encrypt + trip.decrypt)),
            ..new
        }
        .with_copies(self.client, self.ids)
    }
}

/// A plan by which the server decides, and its margins.
enum Races<'p> {
    Decided(&'p decision::Plan, decision::Margins),
    Raw(&'p raw::Plan, raw::Margins),
}

impl Races<'_> {
    /// What a result tells of margins.
    fn told(&self) -> Margins {
        match self {
            Self::Decided(_, margins) => Margins {
                stages: margins.stages.clone(),
                relative: margins.relative.clone(),
                threshold: margins.threshold,
                failure_log2: margins.failure_log2,
            },
            Self::Raw(plan, margins) => Margins {
                stages: vec![margins.lead],
                relative: vec![margins.lead / plan.spread() as f64],
                threshold: margins.threshold,
                failure_log2: margins.failure_log2,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_asks_nothing_twice_and_falls_in_step_with_no_condition() {
        let sample = |queries, keys, seed| Sample { queries, keys, seed };
        let places = sample(40, 3, 1).places(1_340);
        assert_eq!(places.iter().map(Vec::len).collect::<Vec<_>>(), [14, 13, 13]);
        let mut all = places.concat();
        all.sort_unstable();
        all.dedup();
        assert!(all.len() == 40 && all.iter().all(|&place| place < 1_340));
        // A stride of 1,340 / 4 hits the same of five conditions every time.
        assert!((0..5).all(|condition| all.iter().any(|place| place % 5 == condition)));
        assert_eq!(places, sample(40, 3, 1).places(1_340));
        assert_ne!(places, sample(40, 3, 2).places(1_340));
        assert_eq!(sample(9, 20, 1).places(4).concat().len(), 4);
        assert_eq!(sample(0, 2, 1).places(4), [Vec::<usize>::new()]);
    }
}
