//! [`Server`]: a model ready to answer raw queries.

use std::time::Instant;

use sordino_model::ModelHash;
use sordino_model::Resolution;
use sordino_model::circuit::Circuit;
use sordino_model::layout::{NUMBER_BYTES, SparsePacking, TournamentLayout};
use sordino_model::raw::RawInput;
use sordino_model::stage::{Hierarchy, Stage};

use super::correlation::Correlator;
use super::machine::{Heard, RawMachine, RawValue};
use super::plan::{Plan, heard};
use super::samples::BODY_BITS;
use super::work::Work;
use crate::bootstrap::evaluator::Evaluator;
use crate::decision::reply::seal_bits;
use crate::protocol::promise;
use crate::ring::fourier::Fourier;
use crate::ring::zero_key::ZeroKey;
use crate::wire::expansion::{expand, expand_numbers};
use crate::wire::header::{Asked, Header, Kind};
use crate::wire::seeded::seeded_len;
use crate::{FheError, KeyId, ServerKey};

/// The server's half of the protocol. Holds no secret of any client, and answers any number of queries of any number of clients at once.
pub struct Server {
    model: ModelHash,
    plan: Plan,
    digest: ModelHash,
    layout: TournamentLayout,
    circuit: Circuit,
    input: RawInput,
    stage: Stage,
    correlator: Correlator,
    fourier: Fourier,
}

impl Server {
    /// Prepares the part of a model that hears samples for `plan`. `model` is the hash of the server half, which queries must carry.
    ///
    /// # Errors
    /// [`FheError::Plan`] if the plan was made for another model, or its bounds are below the model's.
    pub fn new(model: ModelHash, hierarchy: &Hierarchy, plan: Plan) -> Result<Self, FheError> {
        promise(plan.failure_log2(hierarchy.shape())?)?;
        plan.check_model(hierarchy)?;
        let (input, stage) = heard(hierarchy)?;
        let layout = plan.layout(hierarchy.shape())?;
        let (ring, found) = (plan.parameters().of_samples().ring(), plan.spec().cell);
        let correlator = Correlator::new(ring, plan.spec().product_log2).ok_or(FheError::Cell { found, ring })?;
        Ok(Self {
            model,
            digest: plan.digest(),
            layout,
            circuit: plan.circuit(),
            input: input.clone(),
            stage: stage.clone(),
            correlator,
            fourier: Fourier::new(plan.parameters().ring()),
            plan,
        })
    }

    /// The plan, to hand out to clients.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of the weights: of rows, of bands, and of directions.
    pub fn weight_bytes(&self) -> usize {
        let spec = self.plan.spec();
        self.stage.weights().len() + 4 * spec.bands * spec.taps + self.input.length().directions().weights().len()
    }

    /// The evaluation key that a query asks for.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no query for this model under this plan.
    pub fn key_of(&self, query: &[u8]) -> Result<KeyId, FheError> {
        self.asked(query).map(|asked| asked.key)
    }

    fn asked<'q>(&self, query: &'q [u8]) -> Result<Asked<'q>, FheError> {
        self.header(Kind::Query).asked(query, self.plan.query_len())
    }

    /// Answers one query message with one reply message, under the client's evaluation key. Runs on the rayon pool it is called in.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no query for this model under this plan and key, [`FheError::NoSamplesKey`] for a key without a part for samples. Every
    /// length is checked against the plan before anything is allocated.
    pub fn answer(&self, key: &ServerKey, query: &[u8]) -> Result<Vec<u8>, FheError> {
        self.answer_and_measure(key, query).map(|(reply, _)| reply)
    }

    /// [`Server::answer`], as long as `wanted` says so. It is asked before every batch of bootstraps, and never again once it has said
    /// no: then the evaluation stops.
    ///
    /// # Errors
    /// As [`Server::answer`], and [`FheError::Stopped`].
    pub fn answer_while(
        &self,
        key: &ServerKey,
        query: &[u8],
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, FheError> {
        self.evaluate(key, query, wanted).map(|(reply, _)| reply)
    }

    /// [`Server::answer`], with the operations and the time that it took.
    ///
    /// # Errors
    /// As [`Server::answer`].
    pub fn answer_and_measure(&self, key: &ServerKey, query: &[u8]) -> Result<(Vec<u8>, Work), FheError> {
        self.evaluate(key, query, &|| true)
    }

    fn evaluate(
        &self,
        key: &ServerKey,
        query: &[u8],
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Vec<u8>, Work), FheError> {
        let start = Instant::now();
        let Asked { payload, checksum, .. } = self.asked(query)?.under(key, self.plan.parameters().id)?;
        let raw = key.raw.as_ref().ok_or(FheError::NoSamplesKey)?;
        let (ring, envelope) = (self.plan.parameters().ring(), self.plan.envelope());
        let (zero_key, rest) = payload.split_at(seeded_len(1, ring, envelope.zero_key_bits));
        let zero_key = ZeroKey::new(&expand(zero_key, 1, ring, envelope.zero_key_bits)[0], &self.fourier);
        let (above, samples) = rest.split_at(NUMBER_BYTES);
        let above = expand_numbers(above, SparsePacking::new(ring, 1), ring)[0].extract(0);
        let samples = expand(samples, self.plan.spec().cells, raw.fourier.size(), BODY_BITS);
        let read = start.elapsed();

        let evaluator = Evaluator::new(key, Resolution::Standard).while_wanted(wanted);
        let mut machine = RawMachine::new(self.heard(), raw, evaluator, above);
        let answer = match self.circuit.run(&mut machine, vec![RawValue::Samples(samples)])?.pop() {
            Some(RawValue::Answer(answer)) => answer,
            _ => return Err(FheError::Kind { op: "reply", found: "no answer", expected: "an answer" }),
        };
        let mut work = Work { read, ..machine.into_work() };
        let start = Instant::now();
        let message = self.header(Kind::Reply).write(&checksum, self.plan.reply_len(&self.layout));
        let (count, parameters) = (self.layout.answer_bits(), self.plan.parameters());
        let reply = seal_bits(message, answer, count, (&zero_key, envelope), parameters, &self.fourier);
        work.reply = start.elapsed();
        Ok((reply, work))
    }

    pub(crate) fn heard(&self) -> Heard<'_> {
        let Self { input, stage, layout, correlator, .. } = self;
        Heard { input, stage, layout, correlator, delta: self.plan.delta() }
    }

    fn header(&self, kind: Kind) -> Header {
        Header { kind, trip: 0, parameters: self.plan.parameters().id, model: self.model, plan: self.digest }
    }
}
