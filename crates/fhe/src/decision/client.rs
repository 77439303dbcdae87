//! [`Client`]: integers to a query message, a reply message to tracks.

use sordino_model::ModelHash;
use sordino_model::layout::TournamentLayout;
use sordino_model::stage::HierarchyShape;

use super::plan::{Plan, SELECTOR};
use super::reply::{number, open_bits};
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

    /// Writes the query for one vector per stage that is evaluated, and for those of its groups that the client picked, where it picks
    /// them. Neither they nor their number tell the server anything: their numbers travel encrypted, and the plan says how many.
    ///
    /// Tracks are those whose score, in integer units, is above `above`, where 0 is the model's own threshold. It travels encrypted, too.
    /// Beyond the scores that the model can give it is taken for the nearest of them.
    ///
    /// # Errors
    /// [`FheError::Vectors`], [`FheError::Vector`], [`FheError::Groups`] or [`FheError::Group`].
    pub fn query(&mut self, vectors: &[Vec<i32>], groups: &[usize], above: i64) -> Result<Vec<u8>, FheError> {
        self.plan.check_groups(&self.shape, groups)?;
        let stages = &self.shape.stages()[self.plan.first(&self.shape)..];
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
            draft.numbers(vec![Encoding::with_delta(last.delta).encode(above.clamp(-most, most))]);
        }
        if !groups.is_empty() {
            let stage = self.layout.stage(0);
            let bits = groups.iter().flat_map(|&group| {
                let index = stage.index(group);
                (0..stage.index_bits()).rev().map(move |bit| (index >> bit & 1) as u64)
            });
            let rows = bits.flat_map(|bit| (1..=SELECTOR.levels).map(move |level| bit * SELECTOR.weight(level)));
            draft.numbers(rows.collect());
        }
        Ok(draft.finish())
    }

    /// Decrypts the reply to the last query, which was for these groups: tracks, the best first, named by their paths (`group * outputs + slot` of the last
    /// stage); `None` for an unknown song.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no reply to that query, or names no track; [`FheError::OtherQuery`] for the reply to an
    /// earlier one.
    pub fn answers(&self, reply: &[u8], groups: &[usize]) -> Result<Vec<Option<usize>>, FheError> {
        self.plan.check_groups(&self.shape, groups)?;
        let coefficients = self.plan.reply_coefficients(&self.layout);
        let length = self.plan.reply_len(&self.layout);
        let bits = open_bits(&self.sender, reply, length, self.plan.envelope(), coefficients)?;
        bits.chunks_exact(self.layout.answer_bits()).map(|bits| self.track(bits, groups)).collect()
    }

    fn track(&self, bits: &[bool], groups: &[usize]) -> Result<Option<usize>, FheError> {
        let Some((known, mut rest)) = bits.split_first().filter(|(known, _)| **known) else { return Ok(None) };
        debug_assert!(known);
        let mut next = |count: usize| {
            let (bits, tail) = rest.split_at(count);
            rest = tail;
            number(bits)
        };
        if !groups.is_empty() {
            let found = self.layout.entry_and_slot(next(self.layout.position_bits(0)));
            let group = |(entry, slot): (usize, usize)| Some((*groups.get(entry)?, slot));
            let last = self.shape.last();
            let (group, slot) =
                found.and_then(group).filter(|&(group, slot)| slot < last.counts()[group]).ok_or(FheError::NoTrack)?;
            return Ok(Some(group * last.outputs() + slot));
        }
        let mut path = 0;
        for (s, stage) in self.shape.stages().iter().enumerate() {
            let position = next(self.layout.position_bits(s));
            let slot = self.layout.slot(s, position).filter(|&slot| slot < stage.counts()[path]);
            path = path * stage.outputs() + slot.ok_or(FheError::NoTrack)?;
        }
        Ok(Some(path))
    }
}
