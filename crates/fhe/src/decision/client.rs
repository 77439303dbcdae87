//! [`Client`]: integers to a query message, a reply message to tracks.

use sordino_model::ModelHash;
use sordino_model::layout::TournamentLayout;
use sordino_model::stage::HierarchyShape;

use super::plan::Plan;
use crate::keys::id::ClientKey;
use crate::protocol::promise;
use crate::wire::encoding::Encoding;
use crate::wire::sender::{Sender, admit};
use crate::{FheError, KeyId};

/// The client's half of the protocol: a secret key, the server's plan and the shape of the model.
pub struct Client {
    sender: Sender,
    evaluation: KeyId,
    plan: Plan,
    shape: HierarchyShape,
    layout: TournamentLayout,
}

impl Client {
    /// A client of the server half `model`, which has stages of shape `shape`, handed out `plan`, and holds the evaluation key that
    /// `key` names.
    ///
    /// # Errors
    /// [`FheError::Unregistered`] for a key without an evaluation key, [`FheError::Parameters`] for one of another parameter set,
    /// [`FheError::Plan`] for a plan that does not fit the shape or fails too often.
    pub fn new(
        key: impl Into<ClientKey>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
    ) -> Result<Self, FheError> {
        let ClientKey { secret, evaluation } = key.into();
        let evaluation = evaluation.ok_or(FheError::Unregistered)?;
        let sender = Sender::new(secret, plan.parameters(), model, plan.digest())?;
        promise(plan.failure_log2(shape)?)?;
        let layout = plan.layout(shape)?;
        Ok(Self { sender, evaluation, plan, shape: shape.clone(), layout })
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

    /// Writes the query for one vector per stage.
    ///
    /// # Errors
    /// [`FheError::Vectors`] or [`FheError::Vector`].
    pub fn query(&mut self, vectors: &[Vec<i32>]) -> Result<Vec<u8>, FheError> {
        self.query_above(vectors, 0)
    }

    /// [`Client::query`] for tracks whose score, in integer units, is above another threshold than the model's own, which is 0. The
    /// threshold travels encrypted, and every query has one. Beyond the scores that the model can give it is taken for the nearest
    /// of them.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub fn query_above(&mut self, vectors: &[Vec<i32>], above: i64) -> Result<Vec<u8>, FheError> {
        let stages = self.shape.stages();
        if vectors.len() != stages.len() {
            return Err(FheError::Vectors { found: vectors.len(), expected: stages.len() });
        }
        vectors.iter().zip(stages).try_for_each(|(x, stage)| admit(x, stage.input()))?;
        let mut draft = self.sender.draft(0, self.plan.query_len(&self.layout));
        draft.public(&self.evaluation.0);
        draft.zero_key(self.plan.envelope().zero_key_bits);
        for ((x, stage), arranged) in vectors.iter().zip(self.plan.stages()).zip(self.layout.stages()) {
            draft.vector(x, &arranged.packing(), Encoding::with_delta(stage.delta), stage.body_bits);
        }
        if let Some(last) = self.plan.stages().last() {
            // A difference is below 2^62.
            let most = last.difference as i64;
            draft.number(above.clamp(-most, most), Encoding::with_delta(last.delta));
        }
        Ok(draft.finish())
    }

    /// Decrypts the reply to the last query: tracks, the best first, named by their paths (`group * outputs + slot` of the last
    /// stage); `None` for an unknown song.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no reply to that query, or names no track; [`FheError::OtherQuery`] for the reply to an
    /// earlier one.
    pub fn answers(&self, reply: &[u8]) -> Result<Vec<Option<usize>>, FheError> {
        let (length, bits) = (self.plan.reply_len(&self.layout), self.plan.envelope().reply_bits);
        let coefficients = self.plan.reply_coefficients(&self.layout);
        let phases = self.sender.open(0, reply, length, bits, std::iter::once(coefficients))?;
        // A set bit is half of the torus.
        let set = |i: usize| phases.iter().all(|phases| phases.at(i, i).wrapping_add(1 << 62) >> 63 == 1);
        let bits: Vec<bool> = (0..coefficients).map(set).collect();
        bits.chunks_exact(self.layout.answer_bits()).map(|bits| self.track(bits)).collect()
    }

    fn track(&self, bits: &[bool]) -> Result<Option<usize>, FheError> {
        let Some((known, mut rest)) = bits.split_first().filter(|(known, _)| **known) else { return Ok(None) };
        debug_assert!(known);
        let mut path = 0;
        for (s, stage) in self.shape.stages().iter().enumerate() {
            let (position, tail) = rest.split_at(self.layout.position_bits(s));
            rest = tail;
            let position = position.iter().fold(0, |position, &bit| 2 * position + usize::from(bit));
            let slot = self.layout.slot(s, position).filter(|&slot| slot < stage.counts()[path]);
            path = path * stage.outputs() + slot.ok_or(FheError::NoTrack)?;
        }
        Ok(Some(path))
    }
}
