//! [`Server`]: a model ready to answer encrypted queries.

use std::time::Instant;

use sordino_model::ModelHash;
use sordino_model::circuit::{Circuit, Input};
use sordino_model::cost::{Counts, WeightForm};
use sordino_model::stage::Hierarchy;

use crate::FheError;
use crate::linear::LinearStage;
use crate::protocol::promise;
use crate::ring::fourier::Fourier;
use crate::ring::random::Random;
use crate::ring::zero_key::ZeroKey;
use crate::scores::machine::{ScoreMachine, ScoreValue};
use crate::scores::plan::{Plan, TripPlan};
use crate::scores::planner::{largest_norm, row_norms};
use crate::scores::reply::{self, Returned};
use crate::scores::seal::Seal;
use crate::scores::select;
use crate::scores::work::Work;
use crate::wire::checksum;
use crate::wire::expansion::expand;
use crate::wire::header::{Header, Kind};
use crate::wire::seeded::seeded_len;

/// The server's half of a protocol: every trip's weights in the Fourier domain. Holds no secret of any client and can answer
/// any number of queries at once.
pub struct Server {
    model: ModelHash,
    plan: Plan,
    digest: ModelHash,
    trips: Vec<PreparedTrip>,
    fourier: Fourier,
}

struct PreparedTrip {
    plan: TripPlan,
    circuit: Circuit,
    linear: LinearStage,
    returned: Vec<Vec<Returned>>,
}

impl Server {
    /// Prepares the stages of `hierarchy` that `plan` uses. `model` is the hash of the server half, which queries must carry.
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
        promise(plan.failure_log2())?;
        Self::of_any_plan(model, hierarchy, plan, form)
    }

    /// [`Server::new`] for a plan that need not keep its promise.
    pub(crate) fn of_any_plan(
        model: ModelHash,
        hierarchy: &Hierarchy,
        plan: Plan,
        form: WeightForm,
    ) -> Result<Self, FheError> {
        plan.check_shape(hierarchy.shape())?;
        let fourier = Fourier::new(plan.parameters().ring());
        let trips = plan.trips().iter().map(|trip| {
            let stage = &hierarchy.stages()[trip.stage];
            if stage.score_bound() > trip.score_bound {
                return Err(FheError::Plan { what: "the model's scores exceed its bound" });
            }
            if largest_norm(&trip.layout.packing, &row_norms(stage)) > trip.norm_squared {
                return Err(FheError::Plan { what: "the model's weights exceed its bound on their norm" });
            }
            Ok(PreparedTrip {
                plan: *trip,
                circuit: trip.circuit(hierarchy.shape())?,
                linear: LinearStage::new(stage, trip.layout.packing, trip.encoding(), form, &fourier),
                returned: reply::returned(trip, stage.counts()),
            })
        });
        let trips = trips.collect::<Result<_, _>>()?;
        Ok(Self { model, digest: plan.digest(), plan, trips, fourier })
    }

    /// The plan, to hand out to clients.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of the prepared weights.
    pub fn weight_bytes(&self) -> usize {
        self.trips.iter().map(|trip| trip.linear.bytes()).sum()
    }

    /// Answers one query message, which names its trip, with one reply message. Runs on the rayon pool it is called in.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no query for a trip of this model under this plan. Every length is checked against
    /// the plan before anything is allocated.
    pub fn answer(&self, query: &[u8]) -> Result<Vec<u8>, FheError> {
        self.answer_and_measure(query).map(|(reply, _)| reply)
    }

    /// [`Server::answer`], with the operations and the time that it took.
    ///
    /// # Errors
    /// As [`Server::answer`].
    pub fn answer_and_measure(&self, query: &[u8]) -> Result<(Vec<u8>, Work), FheError> {
        let start = Instant::now();
        let trip = Header::trip(Kind::Query, query)?;
        self.plan.trip(trip)?;
        let prepared = &self.trips[trip];
        let parameters = self.plan.parameters();
        let length = prepared.plan.query_len(parameters, &prepared.circuit);
        let query = self.header(trip, Kind::Query).read(query, length)?;
        let (zero_key, inputs, counts) = self.read(prepared, query.payload);
        let read = start.elapsed();
        let mut machine = ScoreMachine::new(&prepared.plan, &prepared.linear, &self.fourier);
        let values = prepared.circuit.run(&mut machine, inputs)?;
        let mut work = Work { read, ..machine.work() };
        work.counts += counts;
        let start = Instant::now();
        let mut ciphertexts = Vec::new();
        for value in values {
            let (ScoreValue::Scores(scores) | ScoreValue::Selected(scores)) = value else {
                return Err(FheError::Kind { op: "reply", found: "an input", expected: "scores" });
            };
            ciphertexts.extend(scores);
        }
        work.counts += Counts::reply().times(ciphertexts.len());
        let (plan, returned) = (&prepared.plan, &prepared.returned);
        let mut out = self.header(trip, Kind::Reply).write(&query.checksum, reply::reply_len(plan, returned));
        let seal = Seal { plan, parameters, zero_key: &zero_key, fourier: &self.fourier };
        seal.write(ciphertexts, returned, Random::from_system().seed(), &mut out);
        checksum::seal(&mut out);
        work.reply = start.elapsed();
        Ok((out, work))
    }

    fn header(&self, trip: usize, kind: Kind) -> Header {
        // A plan has at most 64 trips.
        Header { kind, trip: trip as u16, parameters: self.plan.parameters().id, model: self.model, plan: self.digest }
    }

    /// Splits a payload of the right length into the zero key and the circuit's inputs.
    fn read(&self, trip: &PreparedTrip, payload: &[u8]) -> (ZeroKey, Vec<ScoreValue>, Counts) {
        let ring = self.plan.parameters().ring();
        let TripPlan { layout, envelope, .. } = trip.plan;
        let mut rest = payload;
        let mut next = |count: usize, bits: u32| {
            let (list, tail) = rest.split_at(seeded_len(count, ring, bits));
            rest = tail;
            expand(list, count, ring, bits)
        };
        let zero_key = ZeroKey::new(&next(1, envelope.zero_key_bits)[0], &self.fourier);
        let mut counts = Counts::zero_key();
        let inputs = trip.circuit.inputs.iter().map(|input| match (input, layout.index) {
            (Input::Index { .. }, Some(index)) => {
                let rows = next(layout.packing.index_bits() * index.rows(), index.body_bits);
                ScoreValue::Index(select::transform(&rows, index, &self.fourier))
            }
            _ => {
                counts += Counts::vector(layout.packing.inputs());
                ScoreValue::Vector(LinearStage::transform(
                    &next(layout.packing.inputs(), layout.body_bits),
                    &self.fourier,
                ))
            }
        });
        let inputs = inputs.collect();
        (zero_key, inputs, counts)
    }
}
