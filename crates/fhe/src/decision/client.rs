//! [`Client`]: integers to a query message, a reply message to tracks.

use std::sync::Arc;

use sordino_model::ModelHash;
use sordino_model::layout::{SEED_BYTES, TournamentLayout};
use sordino_model::stage::HierarchyShape;
use tfhe::core_crypto::prelude::Polynomial;

use super::plan::Plan;
use crate::keys::secret::SecretKey;
use crate::ring::random::Random;
use crate::wire::bits::unpack;
use crate::wire::encoding::Encoding;
use crate::wire::header::{Header, Kind};
use crate::wire::seeded;
use crate::{FheError, KeyId};

/// The client's half of the protocol: a secret key, the server's plan and the shape of the model.
pub struct Client {
    key: Arc<SecretKey>,
    key_id: KeyId,
    plan: Plan,
    digest: ModelHash,
    model: ModelHash,
    shape: HierarchyShape,
    layout: TournamentLayout,
    random: Random,
}

impl Client {
    /// A client of the server half `model`, which has stages of shape `shape` and handed out `plan`, and has the evaluation key of
    /// `key`.
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

    /// [`Client::new`] with masks and noise drawn from `seed`, for tests and benches that must be repeatable. Two clients with
    /// one seed reveal their key to whoever sees both.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn from_insecure_seed(
        key: impl Into<Arc<SecretKey>>,
        plan: Plan,
        model: ModelHash,
        shape: &HierarchyShape,
        seed: u8,
    ) -> Result<Self, FheError> {
        Self::with_random(key, plan, model, shape, Random::new([seed; SEED_BYTES], 0))
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
        let (layout, digest) = (plan.layout(shape)?, plan.digest());
        Ok(Self { key_id: KeyId::of(&key), key, plan, digest, model, shape: shape.clone(), layout, random })
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
        let stages = self.shape.stages();
        if vectors.len() != stages.len() {
            return Err(FheError::Vectors { found: vectors.len(), expected: stages.len() });
        }
        for (x, stage) in vectors.iter().zip(stages) {
            let bound = stage.input();
            if !bound.admits(x) {
                let (width, max_abs, norm_squared) = (bound.width, bound.max_abs, bound.norm_squared);
                return Err(FheError::Vector { width, max_abs, norm_squared });
            }
        }
        let mut out = self.header(Kind::Query).write(self.plan.query_len(&self.layout));
        out.extend(self.key_id.0);
        let zero = vec![0; self.key.parameters().ring()];
        let zero_key_bits = self.plan.envelope().zero_key_bits;
        seeded::encrypt(&self.key, &zero, zero_key_bits, &mut self.random, &mut out);
        for ((x, stage), arranged) in vectors.iter().zip(self.plan.stages()).zip(self.layout.stages()) {
            let (packing, encoding) = (arranged.packing(), Encoding::with_delta(stage.delta));
            let mut plaintexts = vec![0; packing.inputs() * packing.ring()];
            for (i, &value) in x.iter().enumerate() {
                let (ciphertext, coefficient) = packing.feature(i);
                plaintexts[ciphertext * packing.ring() + coefficient] = encoding.encode(value.into());
            }
            seeded::encrypt(&self.key, &plaintexts, stage.body_bits, &mut self.random, &mut out);
        }
        Ok(out)
    }

    /// Decrypts the reply: tracks, the best first, named by their paths (`group * outputs + slot` of the last stage); `None` for
    /// an unknown song.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no reply under this plan, or names no track.
    pub fn answers(&self, reply: &[u8]) -> Result<Vec<Option<usize>>, FheError> {
        let payload = self.header(Kind::Reply).read(reply, self.plan.reply_len(&self.layout))?;
        let ring = self.key.parameters().ring();
        let mut values = vec![0; ring + self.plan.reply_coefficients(&self.layout)];
        unpack(payload, self.plan.envelope().reply_bits, &mut values);
        let (mask, bodies) = values.split_at(ring);
        let pad = self.key.times(&Polynomial::from_container(mask));
        let bits: Vec<bool> = bodies
            .iter()
            .zip(&pad)
            .map(|(body, pad)| {
                // A set bit is half of the torus.
                let phase = body.wrapping_sub(*pad);
                phase.wrapping_add(1 << 62) >> 63 == 1
            })
            .collect();
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

    fn header(&self, kind: Kind) -> Header {
        Header { kind, trip: 0, parameters: self.plan.parameters().id, model: self.model, plan: self.digest }
    }
}
