//! [`Client`]: samples to a query message, a reply message to a track.

use sordino_model::ModelHash;
use sordino_model::layout::TournamentLayout;
use sordino_model::stage::HierarchyShape;

use super::plan::Plan;
use super::samples::{BODY_BITS, plaintexts};
use crate::decision::reply::{number, open_bits};
use crate::keys::id::ClientKey;
use crate::protocol::promise;
use crate::wire::encoding::Encoding;
use crate::wire::sender::Sender;
use crate::{FheError, KeyId, SecretKey};

/// The client's half of the protocol: a secret key, the server's plan and the number of rows.
pub struct Client {
    sender: Sender,
    /// The key of samples.
    samples: SecretKey,
    evaluation: KeyId,
    plan: Plan,
    shape: HierarchyShape,
    layout: TournamentLayout,
}

impl Client {
    /// A client of the server half `model`, whose part for samples has the shape `shape`, which handed out `plan`, and holds the evaluation key that `key` names.
    ///
    /// # Errors
    /// [`FheError::Unregistered`] for a key without an evaluation key, [`FheError::Parameters`] for one of another parameter set, [`FheError::Plan`] for a plan
    /// that does not fit the shape or fails too often.
    pub fn new(
        key: impl Into<ClientKey>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
    ) -> Result<Self, FheError> {
        let ClientKey { secret, evaluation } = key.into();
        let evaluation = evaluation.ok_or(FheError::Unregistered)?;
        let samples = secret.for_samples();
        let sender = Sender::new(secret, plan.parameters(), model, plan.digest())?;
        promise(plan.failure_log2(shape)?)?;
        let layout = plan.layout(shape)?;
        Ok(Self { sender, samples, evaluation, plan, shape: shape.clone(), layout })
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

    /// Writes the query for the integers that [`sordino_model::raw::RawSpec::samples`] made of a sound.
    ///
    /// A track is known whose score is more than `above` beyond what the model holds it against; 0 is the model's own threshold. It travels encrypted, too.
    ///
    /// # Errors
    /// [`FheError::Raw`] for another number of samples, or larger ones.
    pub fn query(&mut self, samples: &[i32], above: i64) -> Result<Vec<u8>, FheError> {
        let spec = self.plan.spec();
        spec.admits(samples)?;
        let mut draft = self.sender.draft(0, self.plan.query_len());
        draft.public(&self.evaluation.0);
        draft.zero_key(self.plan.envelope().zero_key_bits);
        let most = self.plan.spread() as i64;
        draft.numbers(vec![Encoding::with_delta(self.plan.delta()).encode(above.clamp(-most, most))]);
        let plaintexts = plaintexts(spec, self.samples.parameters().ring(), samples);
        draft.encrypt_under(&self.samples, plaintexts, BODY_BITS);
        Ok(draft.finish())
    }

    /// Decrypts the reply to the last query: the row that was found, `None` for an unknown song.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no reply to that query, or names no row; [`FheError::OtherQuery`] for the reply to an earlier one.
    pub fn answer(&self, reply: &[u8]) -> Result<Option<usize>, FheError> {
        let (count, length) = (self.layout.answer_bits(), self.plan.reply_len(&self.layout));
        let bits = open_bits(&self.sender, reply, length, self.plan.envelope(), count)?;
        let Some((true, position)) = bits.split_first() else { return Ok(None) };
        let row = self.layout.slot(0, number(position)).filter(|&row| row < self.shape.last().counts()[0]);
        row.map(Some).ok_or(FheError::NoTrack)
    }
}
