//! [`Client`]: integers to query messages, reply messages to scores.

use std::sync::Arc;

use sordino_model::ModelHash;
use sordino_model::circuit::Circuit;
use sordino_model::layout::IndexLayout;
use sordino_model::stage::HierarchyShape;
use tfhe::core_crypto::prelude::*;

use crate::FheError;
use crate::keys::secret::SecretKey;
use crate::ring::random::Random;
use crate::scores::plan::{Plan, TripPlan};
use crate::scores::reply::{reply_len, returned};
use crate::wire::bits::unpack;
use crate::wire::header::{Header, Kind};
use crate::wire::seeded;

/// The client's half of a protocol: a secret key, the server's plan and the shape of the model.
pub struct Client {
    key: Arc<SecretKey>,
    plan: Plan,
    digest: ModelHash,
    model: ModelHash,
    shape: HierarchyShape,
    random: Random,
}

impl Client {
    /// A client of the server half `model`, which has stages of shape `shape` and handed out `plan`.
    ///
    /// # Errors
    /// [`FheError::Parameters`] for a key of another parameter set, [`FheError::Plan`] for a plan that does not fit the shape.
    pub fn new(
        key: impl Into<Arc<SecretKey>>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
    ) -> Result<Self, FheError> {
        Self::with_random(key, plan, model, shape, Random::from_system())
    }

    /// [`Client::new`] with masks and noise drawn from `seed`, for tests and benches that must be repeatable. Two clients
    /// with one seed reveal their key to whoever sees both.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn from_insecure_seed(
        key: impl Into<Arc<SecretKey>>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
        seed: u128,
    ) -> Result<Self, FheError> {
        let halves = [seed.to_le_bytes(), [0; 16]];
        let random = Random::new(std::array::from_fn(|i| halves[i / 16][i % 16]), 0);
        Self::with_random(key, plan, model, shape, random)
    }

    fn with_random(
        key: impl Into<Arc<SecretKey>>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
        random: Random,
    ) -> Result<Self, FheError> {
        let key = key.into();
        let (found, expected) = (key.parameters().id.0, plan.parameters().id.0);
        if found != expected {
            return Err(FheError::Parameters { found, expected });
        }
        plan.check_shape(shape)?;
        Ok(Self { key, digest: plan.digest(), plan, model, shape: shape.clone(), random })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes the query of one trip: the vector `x`, and the groups to select where the trip selects (as many as the plan
    /// says; empty otherwise).
    ///
    /// # Errors
    /// [`FheError::NoTrip`], [`FheError::Vector`], [`FheError::Groups`] or [`FheError::Group`].
    pub fn query(&mut self, trip: usize, x: &[i32], groups: &[usize]) -> Result<Vec<u8>, FheError> {
        let plan = *self.plan.trip(trip)?;
        let stage = &self.shape.stages()[plan.stage];
        let bound = stage.input();
        if !bound.admits(x) {
            let (width, max_abs, norm_squared) = (bound.width, bound.max_abs, bound.norm_squared);
            return Err(FheError::Vector { width, max_abs, norm_squared });
        }
        let expected = plan.probes.unwrap_or(0);
        if groups.len() != expected {
            return Err(FheError::Groups { found: groups.len(), expected });
        }
        if groups.iter().any(|&group| group >= stage.groups()) {
            return Err(FheError::Group { groups: stage.groups() });
        }
        let parameters = self.plan.parameters();
        let circuit: Circuit = plan.circuit(&self.shape)?;
        let mut out = self.header(trip, Kind::Query).write(plan.query_len(parameters, &circuit));
        let zero = vec![0; parameters.ring()];
        let random = &mut self.random;
        seeded::encrypt(&self.key, &zero, plan.envelope.zero_key_bits, random, &mut out);
        seeded::encrypt(&self.key, &vector_plaintexts(&plan, x), plan.layout.body_bits, random, &mut out);
        if let Some(index) = plan.layout.index {
            for &group in groups {
                let rows = index_plaintexts(&plan, &self.key, group);
                seeded::encrypt(&self.key, &rows, index.body_bits, random, &mut out);
            }
        }
        Ok(out)
    }

    /// Decrypts the reply to one trip: the used slots' scores of every group of `groups`, the groups asked for; of all groups in
    /// order, where the trip does not select.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no reply to this trip under this plan.
    pub fn scores(&self, trip: usize, reply: &[u8], groups: &[usize]) -> Result<Vec<Vec<i64>>, FheError> {
        let plan = self.plan.trip(trip)?;
        let counts = self.shape.stages()[plan.stage].counts();
        let expected = plan.probes.unwrap_or(0);
        if groups.len() != expected {
            return Err(FheError::Groups { found: groups.len(), expected });
        }
        if groups.iter().any(|&group| group >= counts.len()) {
            return Err(FheError::Group { groups: counts.len() });
        }
        let returned = returned(plan, counts);
        let payload = self.header(trip, Kind::Reply).read(reply, reply_len(plan, &returned))?;
        let ring = self.plan.parameters().ring();
        let mut values = vec![0; returned.iter().map(|scores| ring + scores.len()).sum()];
        unpack(payload, plan.envelope.reply_bits, &mut values);
        let encoding = plan.encoding();
        let mut rest = &values[..];
        let mut scores: Vec<Vec<i64>> = match plan.probes {
            Some(probes) => vec![vec![0; plan.layout.packing.outputs()]; probes],
            None => counts.iter().map(|&count| vec![0; count]).collect(),
        };
        for ciphertext in &returned {
            let (mask, tail) = rest.split_at(ring);
            let (bodies, tail) = tail.split_at(ciphertext.len());
            rest = tail;
            let pad = self.key.times(&Polynomial::from_container(mask));
            for (score, body) in ciphertext.iter().zip(bodies) {
                let phase = body.wrapping_sub(pad[score.coefficient]);
                scores[score.group][score.slot] = encoding.decode(phase);
            }
        }
        // The slots past a selected group's own are padding.
        for (scores, &group) in scores.iter_mut().zip(groups) {
            scores.truncate(counts[group]);
        }
        Ok(scores)
    }

    fn header(&self, trip: usize, kind: Kind) -> Header {
        // A plan has at most 64 trips.
        Header { kind, trip: trip as u16, parameters: self.plan.parameters().id, model: self.model, plan: self.digest }
    }
}

/// The plaintexts of a query vector: feature `i` times the score unit, where the packing puts it.
fn vector_plaintexts(plan: &TripPlan, x: &[i32]) -> Vec<u64> {
    let (packing, encoding) = (plan.layout.packing, plan.encoding());
    let mut out = vec![0; packing.inputs() * packing.ring()];
    for (i, &value) in x.iter().enumerate() {
        let (ciphertext, coefficient) = packing.feature(i);
        out[ciphertext * packing.ring() + coefficient] = encoding.encode(value.into());
    }
    out
}

/// The plaintexts of the rows of a group's index, bit after bit.
fn index_plaintexts(plan: &TripPlan, key: &SecretKey, group: usize) -> Vec<u64> {
    let Some(index) = plan.layout.index else { return Vec::new() };
    let bits = plan.layout.packing.index(group).into_iter();
    bits.flat_map(|bit| bit_plaintexts(bit, index, key)).collect()
}

/// The plaintexts of the rows of a bit `m`: for every level `l`, most significant first, `-s m q/B^l` and `m q/B^l`.
pub(crate) fn bit_plaintexts(bit: bool, index: IndexLayout, key: &SecretKey) -> Vec<u64> {
    let ring = key.parameters().ring();
    let mut out = Vec::with_capacity(index.rows() * ring);
    for level in 1..=index.levels {
        let weight = u64::from(bit) << (64 - index.base_log * level);
        out.extend(key.glwe().as_ref().iter().map(|s| s.wrapping_mul(weight).wrapping_neg()));
        out.push(weight);
        out.resize(out.len() + ring - 1, 0);
    }
    out
}
