//! [`Client`]: integers to query messages, reply messages to scores.

use std::sync::Arc;

use sordino_model::ModelHash;
use sordino_model::circuit::Circuit;
use sordino_model::layout::IndexLayout;
use sordino_model::stage::HierarchyShape;

use crate::FheError;
use crate::keys::secret::SecretKey;
use crate::protocol::promise;
use crate::scores::plan::{Plan, TripPlan};
use crate::scores::reply::{reply_len, returned};
use crate::wire::sender::{Sender, admit};

/// The client's half of a protocol: a secret key, the server's plan and the shape of the model.
pub struct Client {
    sender: Sender,
    plan: Plan,
    shape: HierarchyShape,
}

impl Client {
    /// A client of the server half `model`, which has stages of shape `shape` and handed out `plan`.
    ///
    /// # Errors
    /// [`FheError::Parameters`] for a key of another parameter set, [`FheError::Plan`] for a plan that does not fit the shape or
    /// fails too often.
    pub fn new(
        key: impl Into<Arc<SecretKey>>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
    ) -> Result<Self, FheError> {
        promise(plan.failure_log2())?;
        Self::of_any_plan(key, plan, model, shape)
    }

    /// [`Client::new`] for a plan that need not keep its promise.
    pub(crate) fn of_any_plan(
        key: impl Into<Arc<SecretKey>>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
    ) -> Result<Self, FheError> {
        let sender = Sender::new(key.into(), plan.parameters(), model, plan.digest())?;
        plan.check_shape(shape)?;
        Ok(Self { sender, plan, shape: shape.clone() })
    }

    /// The same, with masks and noise drawn from `seed`, for tests that must be repeatable. Two clients with one seed reveal their
    /// key to whoever sees both.
    #[cfg(any(test, feature = "insecure"))]
    #[must_use]
    pub fn with_insecure_seed(self, seed: u64) -> Self {
        Self { sender: self.sender.with_insecure_seed(seed), ..self }
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
        admit(x, stage.input())?;
        check_groups(&plan, groups, stage.groups())?;
        let circuit: Circuit = plan.circuit(&self.shape)?;
        let mut draft = self.sender.draft(trip, plan.query_len(self.plan.parameters(), &circuit));
        draft.zero_key(plan.envelope.zero_key_bits);
        draft.vector(x, &plan.layout.packing, plan.encoding(), plan.layout.body_bits);
        if let Some(index) = plan.layout.index {
            for &group in groups {
                let bits = plan.layout.packing.index(group).into_iter();
                let rows = bits.flat_map(|bit| bit_plaintexts(bit, index, draft.key())).collect();
                draft.encrypt(rows, index.body_bits);
            }
        }
        Ok(draft.finish())
    }

    /// Decrypts the reply to the last query, which was of this trip and for these groups: the used slots' scores of every group of
    /// `groups`; of all groups in order, where the trip does not select.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no reply to that query, [`FheError::OtherQuery`] for the reply to an earlier one.
    pub fn scores(&self, trip: usize, reply: &[u8], groups: &[usize]) -> Result<Vec<Vec<i64>>, FheError> {
        let plan = self.plan.trip(trip)?;
        let counts = self.shape.stages()[plan.stage].counts();
        check_groups(plan, groups, counts.len())?;
        let returned = returned(plan, counts);
        let (length, bits) = (reply_len(plan, &returned), plan.envelope.reply_bits);
        let phases = self.sender.open(trip, reply, length, bits, returned.iter().map(Vec::len))?;
        let encoding = plan.encoding();
        let mut scores: Vec<Vec<i64>> = match plan.probes {
            Some(probes) => vec![vec![0; plan.layout.packing.outputs()]; probes],
            None => counts.iter().map(|&count| vec![0; count]).collect(),
        };
        for (phases, ciphertext) in phases.iter().zip(&returned) {
            for (place, score) in ciphertext.iter().enumerate() {
                scores[score.group][score.slot] = encoding.decode(phases.at(place, score.coefficient));
            }
        }
        // The slots past a selected group's own are padding.
        for (scores, &group) in scores.iter_mut().zip(groups) {
            scores.truncate(counts[group]);
        }
        Ok(scores)
    }
}

/// Refuses groups that a trip does not ask for, or that a stage of so many does not have.
fn check_groups(plan: &TripPlan, groups: &[usize], all: usize) -> Result<(), FheError> {
    let expected = plan.probes.unwrap_or(0);
    if groups.len() != expected {
        return Err(FheError::Groups { found: groups.len(), expected });
    }
    if groups.iter().any(|&group| group >= all) {
        return Err(FheError::Group { groups: all });
    }
    Ok(())
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
