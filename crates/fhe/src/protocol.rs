//! [`Plan`] and [`Server`] of any protocol: the one place that knows which family a protocol belongs to.
//!
//! The families [`crate::scores`], [`crate::decision`] and [`crate::raw`] are built alike, file by file. A new family gets a folder beside them and
//! a variant here.

use std::time::Duration;

use sordino_model::cost::{CostReport, Schedule, Timings, WeightForm};
use sordino_model::stage::{Hierarchy, HierarchyShape};
use sordino_model::{ModelHash, Protocol};

use crate::params::ParameterSet;
use crate::{FheError, decision, raw, scores};
#[cfg(feature = "server")]
use crate::{KeyId, ServerKey};

/// How the messages of a protocol are packed and written, agreed between client and server. It is public.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Plan {
    /// The server returns scores.
    Scores(scores::Plan),
    /// The server decides.
    Decision(decision::Plan),
    /// The server hears samples and decides.
    Raw(raw::Plan),
}

impl Plan {
    /// Plans `protocol` for the stages that it evaluates (`ServerModel::stages_for`), with the usual failure probability.
    ///
    /// # Errors
    /// [`FheError::NoPlan`] for scores that noise would drown, [`FheError::Circuit`] for options that do not fit the model,
    /// [`FheError::Packing`] for stages that fit no ciphertext.
    pub fn new(parameters: &'static ParameterSet, protocol: Protocol, hierarchy: &Hierarchy) -> Result<Self, FheError> {
        let usual = scores::PlannerOptions::default();
        Ok(match protocol {
            Protocol::Flat => Self::Scores(scores::Plan::flat(parameters, hierarchy, usual)?),
            Protocol::Routed { probes } => Self::Scores(scores::Plan::routed(parameters, hierarchy, probes, usual)?),
            Protocol::Decided { probes, answers, resolution } => {
                let options = decision::Options::new(probes, answers, resolution);
                Self::Decision(decision::Plan::new(parameters, hierarchy, options)?)
            }
            Protocol::Picked { probes } => Self::Scores(scores::Plan::picked(parameters, hierarchy, probes, usual)?),
            Protocol::PickedDecided { probes, answers, resolution } => {
                let options = decision::Options::new(probes, answers, resolution).picked();
                Self::Decision(decision::Plan::new(parameters, hierarchy, options)?)
            }
            Protocol::Raw => Self::Raw(raw::Plan::new(parameters, hierarchy)?),
            _ => return Err(FheError::Plan { what: "the protocol has no plan in this version" }),
        })
    }

    /// The parameter set of every message.
    pub fn parameters(&self) -> &'static ParameterSet {
        match self {
            Self::Scores(plan) => plan.parameters(),
            Self::Decision(plan) => plan.parameters(),
            Self::Raw(plan) => plan.parameters(),
        }
    }

    /// Trips of a query.
    pub fn trips(&self) -> usize {
        match self {
            Self::Scores(plan) => plan.trips().len(),
            Self::Decision(_) | Self::Raw(_) => 1,
        }
    }

    /// Whether the plan is one for `protocol` and a model of this shape.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`].
    pub fn check(&self, protocol: Protocol, shape: &HierarchyShape) -> Result<(), FheError> {
        let other = FheError::Plan { what: "it was made for another protocol" };
        let serves = match (self, protocol) {
            (Self::Scores(plan), Protocol::Flat) => plan.is_flat(shape),
            (Self::Scores(plan), Protocol::Routed { probes }) => plan.is_routed(shape, probes),
            (Self::Scores(plan), Protocol::Picked { probes }) => plan.is_picked(shape, probes),
            (Self::Raw(_), protocol) => protocol == Protocol::Raw,
            (Self::Decision(plan), protocol) => {
                let options = plan.options();
                let decision = Some((options.answers, options.resolution));
                (options.routing, options.probes, decision)
                    == (protocol.routing(), protocol.probes(), protocol.decision())
            }
            _ => false,
        };
        match self {
            _ if !serves => Err(other),
            Self::Scores(plan) => plan.check_shape(shape),
            Self::Decision(plan) => plan.check_shape(shape),
            Self::Raw(plan) => plan.check_shape(shape),
        }
    }

    /// What one trip takes, and in what order.
    ///
    /// # Errors
    /// [`FheError::NoTrip`], or [`FheError`] for a shape that the plan does not fit.
    pub fn schedule(&self, trip: usize, shape: &HierarchyShape) -> Result<Schedule, FheError> {
        match self {
            Self::Scores(plan) => plan.schedule(trip, shape),
            Self::Decision(plan) if trip == 0 => plan.schedule(shape),
            Self::Raw(plan) if trip == 0 => plan.schedule(shape),
            Self::Decision(_) | Self::Raw(_) => Err(FheError::NoTrip { found: trip, trips: 1 }),
        }
    }

    /// What each trip takes, in order.
    ///
    /// # Errors
    /// As [`Plan::schedule`].
    pub fn costs(&self, shape: &HierarchyShape) -> Result<Vec<CostReport>, FheError> {
        (0..self.trips()).map(|trip| Ok(self.schedule(trip, shape)?.report)).collect()
    }

    /// How long a server that holds its weights as `form` says will work on a query, all trips together, on `threads` threads of the machine
    /// that was measured.
    ///
    /// # Errors
    /// As [`Plan::schedule`].
    pub fn predict(
        &self,
        shape: &HierarchyShape,
        timings: &Timings,
        threads: usize,
        form: WeightForm,
    ) -> Result<Duration, FheError> {
        let schedule = |trip| Ok::<_, FheError>(self.schedule(trip, shape)?.holding(form, self.parameters().ring()));
        (0..self.trips()).map(|trip| Ok(schedule(trip)?.predict(timings, threads))).sum()
    }

    /// Base-2 logarithm of a bound on the probability that a query is answered wrongly; where the server decides, one whose winners
    /// lead by their [`decision::Margins`].
    ///
    /// # Errors
    /// [`FheError`] for a shape that the plan does not fit.
    pub fn failure_log2(&self, shape: &HierarchyShape) -> Result<f64, FheError> {
        match self {
            Self::Scores(plan) => Ok(plan.failure_log2()),
            Self::Decision(plan) => plan.failure_log2(shape),
            Self::Raw(plan) => plan.failure_log2(shape),
        }
    }

    /// SHA-256 of the serialised plan, which every message carries.
    pub fn digest(&self) -> ModelHash {
        ModelHash::of(&self.to_bytes())
    }

    /// The plan as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Scores(plan) => plan.to_bytes(),
            Self::Decision(plan) => plan.to_bytes(),
            Self::Raw(plan) => plan.to_bytes(),
        }
    }

    /// Reads [`Plan::to_bytes`]; the first bytes tell the family.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::UnknownParameters`]; never a panic, and never an allocation larger than the message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        if bytes.starts_with(decision::plan::MAGIC) {
            return decision::Plan::from_bytes(bytes).map(Self::Decision);
        }
        if bytes.starts_with(raw::plan::MAGIC) {
            return raw::Plan::from_bytes(bytes).map(Self::Raw);
        }
        scores::Plan::from_bytes(bytes).map(Self::Scores)
    }
}

/// The largest failure probability, as a power of two, under which a client asks or a server answers: 2^-40 and rounding.
const MOST_FAILURE_LOG2: f64 = -39.99;

/// Refuses a plan that, by its own numbers, fails more often than anybody promises.
pub(crate) fn promise(failure_log2: f64) -> Result<(), FheError> {
    // Not a number is no promise.
    if failure_log2 <= MOST_FAILURE_LOG2 {
        Ok(())
    } else {
        Err(FheError::Plan { what: "it fails more often than 2^-40" })
    }
}

/// A model ready to answer the queries of one protocol. Holds no secret of any client, and answers any number of queries at once.
#[cfg(feature = "server")]
pub enum Server {
    /// It returns scores.
    Scores(scores::Server),
    /// It decides.
    Decision(decision::Server),
    /// It hears samples and decides.
    Raw(Box<raw::Server>),
}

#[cfg(feature = "server")]
impl Server {
    /// Prepares `hierarchy` for `plan`. `model` is the hash of the server half, which queries must carry.
    ///
    /// # Errors
    /// [`FheError::Plan`] if the plan was made for another model, or its bounds are below the model's.
    pub fn new(model: ModelHash, hierarchy: &Hierarchy, plan: Plan) -> Result<Self, FheError> {
        Self::holding(model, hierarchy, plan, WeightForm::default())
    }

    /// [`Server::new`] with the form in which weights are held.
    ///
    /// # Errors
    /// Those of [`Server::new`].
    pub fn holding(model: ModelHash, hierarchy: &Hierarchy, plan: Plan, form: WeightForm) -> Result<Self, FheError> {
        Ok(match plan {
            Plan::Scores(plan) => Self::Scores(scores::Server::holding(model, hierarchy, plan, form)?),
            Plan::Decision(plan) => Self::Decision(decision::Server::holding(model, hierarchy, plan, form)?),
            Plan::Raw(plan) => Self::Raw(raw::Server::new(model, hierarchy, plan)?.into()),
        })
    }

    /// The plan, to hand out to clients.
    pub fn plan(&self) -> Plan {
        match self {
            Self::Scores(server) => Plan::Scores(server.plan().clone()),
            Self::Decision(server) => Plan::Decision(server.plan().clone()),
            Self::Raw(server) => Plan::Raw(server.plan().clone()),
        }
    }

    /// Bytes of the prepared weights.
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Scores(server) => server.weight_bytes(),
            Self::Decision(server) => server.weight_bytes(),
            Self::Raw(server) => server.weight_bytes(),
        }
    }

    /// The evaluation key that a query asks for; `None` where it needs none.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no query for this model under this plan.
    pub fn key_of(&self, query: &[u8]) -> Result<Option<KeyId>, FheError> {
        match self {
            Self::Scores(_) => Ok(None),
            Self::Decision(server) => server.key_of(query).map(Some),
            Self::Raw(server) => server.key_of(query).map(Some),
        }
    }

    /// Answers one query message, which names its trip, with one reply message. `key` is the one that [`Server::key_of`] names.
    /// Runs on the rayon pool it is called in.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no query for this model under this plan and key. Every length is checked against the plan
    /// before anything is allocated.
    pub fn answer(&self, key: Option<&ServerKey>, query: &[u8]) -> Result<Vec<u8>, FheError> {
        match (self, key) {
            (Self::Scores(server), _) => server.answer(query),
            (Self::Decision(server), Some(key)) => server.answer(key, query),
            (Self::Raw(server), Some(key)) => server.answer(key, query),
            (Self::Decision(_) | Self::Raw(_), None) => Err(FheError::NoEvaluationKey),
        }
    }

    /// [`Server::answer`], as long as `wanted` says so, which is asked again and again. Scores, a matter of milliseconds, are finished.
    ///
    /// # Errors
    /// As [`Server::answer`], and [`FheError::Stopped`].
    pub fn answer_while(
        &self,
        key: Option<&ServerKey>,
        query: &[u8],
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, FheError> {
        match (self, key) {
            (Self::Decision(server), Some(key)) => server.answer_while(key, query, wanted),
            (Self::Raw(server), Some(key)) => server.answer_while(key, query, wanted),
            _ => self.answer(key, query),
        }
    }
}
