//! [`ServerModel`]: the half that stays with the library's owner.

use safetensors::SafeTensorError;
use thiserror::Error;

use crate::circuit::{Circuit, Range, RangeError};
use crate::stage::Hierarchy;
use crate::{ModelHash, Protocol, Routing, files};

/// Largest absolute score of a model that may be saved: `2^20`.
///
/// A score and its sign share a 64-bit torus word with the noise: a bound `B` gives a score unit `2^63 / (B + 1)`, here
/// almost `2^43`, so that noise of nearly `2^42` on either side is rounded away. It is also below `2^24`, up to which
/// single-precision sums of products of integers are exact, which is how whole datasets are scored in the clear.
pub const MAX_SCORE: u64 = 1 << 20;

/// Largest absolute score of raw sound: far from where 64-bit integers end, with room for what scores are held against.
const MAX_RAW_SCORE: u64 = 1 << 40;

/// Parts that do not make a [`ServerModel`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A score could leave the message space.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The flat hierarchy has more stages than one.
    #[error("server: the flat hierarchy has {found} stages, expected 1")]
    NotFlat {
        /// Stages given.
        found: usize,
    },
    /// A hierarchy that cannot be fed by encrypted samples.
    #[error("server: the hierarchy for raw sound takes no samples, expected one with a front for them")]
    NotRaw,
    /// The structure has no JSON form.
    #[error("server: {0}")]
    Json(serde_json::Error),
    /// The weights have no safetensors form.
    #[error("server: {0}")]
    Tensors(#[from] SafeTensorError),
}

/// The server half: integer weights per stage, and nothing about who made the music.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerModel {
    name: String,
    spec: ModelHash,
    hierarchy: Hierarchy,
    flat: Option<Hierarchy>,
    raw: Option<Hierarchy>,
    hash: ModelHash,
}

impl ServerModel {
    /// A server half. `spec` is the [`ModelHash::of_input`] of the client's front end; `flat` is a separately trained
    /// hierarchy of one stage over all tracks.
    ///
    /// # Errors
    /// [`ServerError::Range`] where a score of any protocol could exceed [`MAX_SCORE`], [`ServerError::NotFlat`].
    pub fn new(
        name: impl Into<String>,
        spec: ModelHash,
        hierarchy: Hierarchy,
        flat: Option<Hierarchy>,
    ) -> Result<Self, ServerError> {
        let parts = Parts { hierarchy, flat, raw: None };
        Self::from_parts(name.into(), spec, parts, ModelHash([0; 32]))?.hashed()
    }

    /// The same that also hears encrypted samples, with this hierarchy of one stage.
    ///
    /// # Errors
    /// [`ServerError::NotRaw`] for a hierarchy without a front for them, [`ServerError::Range`].
    pub fn with_raw(self, raw: Hierarchy) -> Result<Self, ServerError> {
        let parts = Parts { hierarchy: self.hierarchy, flat: self.flat, raw: Some(raw) };
        Self::from_parts(self.name, self.spec, parts, self.hash)?.hashed()
    }

    fn hashed(mut self) -> Result<Self, ServerError> {
        self.hash = files::server::encode(&self)?.hash();
        Ok(self)
    }

    /// As [`ServerModel::new`], with the hash of the files that the parts were read from.
    pub(crate) fn from_parts(
        name: String,
        spec: ModelHash,
        parts: Parts,
        hash: ModelHash,
    ) -> Result<Self, ServerError> {
        let Parts { hierarchy, flat, raw } = parts;
        let found = flat.as_ref().map_or(1, |flat| flat.stages().len());
        if found != 1 {
            return Err(ServerError::NotFlat { found });
        }
        if raw.as_ref().is_some_and(|raw| raw.raw().is_none()) {
            return Err(ServerError::NotRaw);
        }
        let model = Self { name, spec, hierarchy, flat, raw, hash };
        model.prove(MAX_SCORE)?;
        Ok(model)
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hash of the feature spec that its vectors come from.
    pub fn spec_hash(&self) -> ModelHash {
        self.spec
    }

    /// The stages: clusters, then tracks.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// The separately trained classifier over all tracks, if any.
    pub fn own_flat(&self) -> Option<&Hierarchy> {
        self.flat.as_ref()
    }

    /// What the `flat` protocol evaluates: the separately trained classifier, or else the last stage of the hierarchy.
    pub fn flat(&self) -> &Hierarchy {
        self.flat.as_ref().unwrap_or(&self.hierarchy)
    }

    /// What hears encrypted samples, if anything does.
    pub fn raw(&self) -> Option<&Hierarchy> {
        self.raw.as_ref()
    }

    /// What a protocol evaluates. Of a model that hears no samples, [`Protocol::Raw`] has what `flat` has, and no plan.
    pub fn stages_for(&self, protocol: Protocol) -> &Hierarchy {
        match (protocol, protocol.routing()) {
            (Protocol::Raw, _) => self.raw.as_ref().unwrap_or(self.flat()),
            (_, Routing::None) => self.flat(),
            (_, Routing::Encrypted | Routing::Public) => &self.hierarchy,
        }
    }

    /// What identifies this half: the SHA-256 of its `SHA256SUMS` file, which lists those of its other files.
    pub fn hash(&self) -> ModelHash {
        self.hash
    }

    /// Proves with [`Range`] that no score of any protocol exceeds `limit` in absolute value.
    ///
    /// # Errors
    /// [`RangeError::Overflow`], which says by how much.
    pub fn prove(&self, limit: u64) -> Result<(), RangeError> {
        let prove = |hierarchy: &Hierarchy, circuit: Circuit| Range::new(hierarchy, limit).prove(&circuit);
        for stage in 0..self.hierarchy.stages().len() {
            prove(&self.hierarchy, Circuit::trip(&self.hierarchy, stage, 1)?)?;
        }
        prove(self.flat(), Circuit::flat(self.flat()))?;
        // Of raw sound a query's own scores must stay within a quarter of the torus: that is no matter of all queries, and the plan tells it of each.
        if let Some((raw, input)) = self.raw.as_ref().and_then(|raw| Some((raw, raw.raw()?))) {
            Range::new(raw, MAX_RAW_SCORE).prove(&Circuit::raw(input.front().spec()))?;
        }
        Ok(())
    }
}

/// What a half is made of.
pub(crate) struct Parts {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) flat: Option<Hierarchy>,
    pub(crate) raw: Option<Hierarchy>,
}
