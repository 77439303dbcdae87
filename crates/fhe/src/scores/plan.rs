//! [`Plan`]: how the trips of a protocol are packed and written, agreed between client and server.
//!
//! The server makes it from its model and hands it out; it is public, and tells of the weights only the largest score and
//! the largest norm of an output ciphertext.

use serde::{Deserialize, Serialize};
use sordino_model::ModelHash;
use sordino_model::circuit::{Circuit, Input, StageId};
use sordino_model::cost::{Cost, CostReport, Schedule};
use sordino_model::layout::{Envelope, StageLayout};
use sordino_model::stage::{HierarchyShape, StageShape};

use crate::FheError;
use crate::noise::formula::{Noise, NoiseBudget, TAIL_LOG2, sum_log2};
use crate::params::{ParameterId, ParameterSet};
use crate::wire::encoding::Encoding;
use crate::wire::seeded::seeded_len;

pub(crate) const MAGIC: &[u8; 8] = b"SRDNPLN\x01";

/// Largest serialised plan: one trip is below 200 bytes.
const MAX_BYTES: usize = 1 << 14;

/// Most slots of a stage: a trillion tracks.
const MAX_SLOTS: u64 = 1 << 40;

/// Most coefficients of a message, 1 GiB of torus elements: what a machine of 32 bits can still hold and count.
const MAX_COEFFICIENTS: u64 = 1 << 27;

/// How one trip is packed and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TripPlan {
    /// The stage that the trip evaluates.
    pub stage: usize,
    /// Groups selected by encrypted indices; `None` returns every group.
    pub probes: Option<usize>,
    /// Packing of the stage and bits of the query.
    pub layout: StageLayout,
    /// Bits of the zero key and of the reply.
    pub envelope: Envelope,
    /// Largest absolute score of the stage.
    pub score_bound: u64,
    /// Largest squared norm of the weights in one output ciphertext.
    pub norm_squared: u64,
    /// The flooding noise is uniform on `[-flood, flood)`.
    pub flood: u64,
}

/// How every trip of a protocol is packed and written.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    parameters: &'static ParameterSet,
    trips: Vec<TripPlan>,
}

#[derive(Serialize, Deserialize)]
struct RawPlan {
    parameters: u16,
    trips: Vec<TripPlan>,
}

impl TripPlan {
    /// How scores are written on the torus.
    pub fn encoding(&self) -> Encoding {
        Encoding::new(self.score_bound)
    }

    /// Scores in a reply.
    pub fn scores(&self) -> usize {
        self.probes.map_or(self.layout.used, |probes| probes.saturating_mul(self.layout.packing.outputs()))
    }

    /// Ciphertexts in a reply.
    pub(crate) fn replies(&self) -> usize {
        let packing = &self.layout.packing;
        self.probes.map_or(packing.ciphertexts(), |probes| probes.saturating_mul(packing.lanes()))
    }

    /// Bytes of a query's payload.
    pub(crate) fn query_len(&self, parameters: &ParameterSet, circuit: &Circuit) -> usize {
        let (layout, envelope, ring) = (self.layout, self.envelope, parameters.ring());
        let inputs = circuit.inputs.iter().map(|input| match (input, layout.index) {
            (Input::Index { .. }, Some(index)) => {
                seeded_len(layout.packing.index_bits() * index.rows(), ring, index.body_bits)
            }
            _ => seeded_len(layout.packing.inputs(), ring, layout.body_bits),
        });
        seeded_len(1, ring, envelope.zero_key_bits) + inputs.sum::<usize>()
    }

    /// Where the noise of a returned score comes from.
    pub fn noise(&self, parameters: &ParameterSet) -> NoiseBudget {
        let noise = Noise::new(parameters);
        noise.budget(self.layout, self.envelope, self.norm_squared, self.flood, self.encoding())
    }

    /// What the server runs.
    ///
    /// # Errors
    /// [`FheError::Circuit`] for a stage that the model does not have.
    pub fn circuit(&self, shape: &HierarchyShape) -> Result<Circuit, FheError> {
        Ok(match self.probes {
            None if self.is_last(shape) => Circuit::flat(shape),
            probes => Circuit::trip(shape, self.stage, probes.unwrap_or(0))?,
        })
    }

    /// Whether it evaluates the last stage. A plan that was received may name any stage.
    fn is_last(&self, shape: &HierarchyShape) -> bool {
        self.stage.checked_add(1) == Some(shape.stages().len())
    }

    /// Coefficients of the longer of query and reply.
    fn coefficients(&self) -> u64 {
        let packing = &self.layout.packing;
        let selector = self.layout.index.map_or(0, |index| (packing.index_bits() * index.rows()) as u64);
        let selectors = selector.saturating_mul(self.probes.unwrap_or(0) as u64);
        let query = selectors.saturating_add(packing.inputs() as u64 + 1);
        // A ciphertext of a reply has its mask and at most as many scores.
        let reply = (self.replies() as u64).saturating_mul(2);
        query.max(reply).saturating_mul(packing.ring() as u64)
    }

    fn check(&self, parameters: &ParameterSet) -> Result<(), FheError> {
        let refuse = |what| Err(FheError::Plan { what });
        let Self { layout, envelope, .. } = self;
        let bits = |b: u32| (1..=64).contains(&b);
        if layout.packing.ring() != parameters.ring() {
            return refuse("its packing is for another ring");
        }
        let slots = layout.packing.groups().saturating_mul(layout.packing.outputs()).max(layout.used);
        if slots as u64 > MAX_SLOTS {
            return refuse("it has more scores than any model");
        }
        if ![layout.body_bits, envelope.zero_key_bits, envelope.reply_bits].into_iter().all(bits) {
            return refuse("a number of bits is not between 1 and 64");
        }
        if let Some(index) = layout.index {
            let total = index.base_log.checked_mul(index.levels);
            if !bits(index.body_bits) || !total.is_some_and(|total| (1..64).contains(&total)) {
                return refuse("the digits of its indices do not fit 64 bits");
            }
        }
        match self.probes {
            None => {}
            Some(0) => return refuse("no group is selected"),
            Some(_) if layout.index.is_none() => return refuse("groups are selected without a layout for indices"),
            Some(probes) if probes > layout.packing.groups() => {
                return refuse("more groups are selected than there are");
            }
            Some(_) => {}
        }
        if self.coefficients() > MAX_COEFFICIENTS {
            return refuse("its messages would be longer than any machine of 32 bits can hold");
        }
        if self.score_bound > 1 << 60 || self.flood >= 1 << 62 {
            return refuse("its scores or its flooding do not fit 64 bits");
        }
        Ok(())
    }
}

impl Plan {
    /// Trips as given.
    ///
    /// # Errors
    /// [`FheError::Plan`] for numbers that do not fit together.
    pub fn new(parameters: &'static ParameterSet, trips: Vec<TripPlan>) -> Result<Self, FheError> {
        if trips.is_empty() || trips.len() > 64 {
            return Err(FheError::Plan { what: "it has no trips, or more than 64" });
        }
        trips.iter().try_for_each(|trip| trip.check(parameters))?;
        Ok(Self { parameters, trips })
    }

    /// The parameter set of every trip.
    pub fn parameters(&self) -> &'static ParameterSet {
        self.parameters
    }

    /// The trips, in order.
    pub fn trips(&self) -> &[TripPlan] {
        &self.trips
    }

    /// One trip.
    ///
    /// # Errors
    /// [`FheError::NoTrip`].
    pub fn trip(&self, trip: usize) -> Result<&TripPlan, FheError> {
        self.trips.get(trip).ok_or(FheError::NoTrip { found: trip, trips: self.trips.len() })
    }

    /// Whether every trip fits a model of this shape.
    ///
    /// # Errors
    /// [`FheError::Plan`].
    pub fn check_shape(&self, shape: &HierarchyShape) -> Result<(), FheError> {
        self.trips.iter().try_for_each(|trip| {
            let packing = trip.layout.packing;
            let stage = shape.stages().get(trip.stage);
            let found = (packing.width(), packing.groups(), packing.outputs(), trip.layout.used);
            let fits = stage.is_some_and(|s| found == (s.input().width, s.groups(), s.outputs(), s.used()));
            if fits { Ok(()) } else { Err(FheError::Plan { what: "a trip does not fit the model's stages" }) }
        })
    }

    /// Whether this is one trip that returns every score of the last stage.
    pub(crate) fn is_flat(&self, shape: &HierarchyShape) -> bool {
        matches!(self.trips[..], [trip @ TripPlan { probes: None, .. }] if trip.is_last(shape))
    }

    /// Whether this is one trip per stage, each but the first for `probes` groups, or all there are where that is fewer.
    pub(crate) fn is_routed(&self, shape: &HierarchyShape, probes: usize) -> bool {
        let trip = |(s, (trip, stage)): (usize, (&TripPlan, &StageShape))| {
            trip.stage == s && trip.probes == (s > 0).then(|| probes.clamp(1, stage.groups()))
        };
        self.trips.len() == shape.stages().len() && self.trips.iter().zip(shape.stages()).enumerate().all(trip)
    }

    /// Whether this is one trip for `probes` groups of the last stage, or all there are where that is fewer.
    pub(crate) fn is_picked(&self, shape: &HierarchyShape, probes: usize) -> bool {
        let expected = Some(probes.clamp(1, shape.last().groups()));
        matches!(self.trips[..], [trip] if trip.is_last(shape) && trip.probes == expected)
    }

    /// What one trip costs.
    ///
    /// # Errors
    /// As [`Plan::schedule`].
    pub fn cost(&self, trip: usize, shape: &HierarchyShape) -> Result<CostReport, FheError> {
        self.schedule(trip, shape).map(|schedule| schedule.report)
    }

    /// What one trip costs, and in what order.
    ///
    /// # Errors
    /// [`FheError::NoTrip`], or [`FheError::Circuit`] for a plan of another model.
    pub fn schedule(&self, trip: usize, shape: &HierarchyShape) -> Result<Schedule, FheError> {
        let plan = self.trip(trip)?;
        let stages = [(StageId(plan.stage), plan.layout)];
        Ok(Cost::new(&stages, plan.envelope).schedule(&plan.circuit(shape)?)?)
    }

    /// Base-2 logarithm of a bound on the probability that any score of a query, over all trips, is decoded wrongly.
    pub fn failure_log2(&self) -> f64 {
        let trips = self.trips.iter().map(|trip| trip.noise(self.parameters).failure_log2(trip.scores()));
        let blindings: usize = self.trips.iter().map(TripPlan::replies).sum();
        sum_log2(trips.chain([TAIL_LOG2 + (1.0 + blindings as f64).log2()]))
    }

    /// SHA-256 of the serialised plan, which every message carries.
    pub fn digest(&self) -> ModelHash {
        ModelHash::of(&self.to_bytes())
    }

    /// The plan as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let raw = RawPlan { parameters: self.parameters.id.0, trips: self.trips.clone() };
        let mut bytes = MAGIC.to_vec();
        // A struct of numbers always has a bincode form.
        bytes.extend(bincode::serialize(&raw).unwrap_or_default());
        bytes
    }

    /// Reads [`Plan::to_bytes`].
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::UnknownParameters`]; never a panic, and never an allocation larger than the message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FheError> {
        use bincode::Options as _;
        let refuse = |what| FheError::Plan { what };
        let body =
            bytes.strip_prefix(MAGIC).ok_or(refuse("its first bytes are not those of a plan of this version"))?;
        if body.len() > MAX_BYTES {
            return Err(refuse("it is longer than any plan"));
        }
        let options = bincode::options().with_fixint_encoding().with_limit(MAX_BYTES as u64);
        let raw: RawPlan = options.deserialize(body).map_err(|_| refuse("its fields cannot be read"))?;
        Self::new(ParameterSet::by_id(ParameterId(raw.parameters))?, raw.trips)
    }
}
