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
        let mut model = Self::from_parts(name.into(), spec, hierarchy, flat, ModelHash([0; 32]))?;
        model.hash = files::server::encode(&model)?.hash();
        Ok(model)
    }

    /// As [`ServerModel::new`], with the hash of the files that the parts were read from.
    pub(crate) fn from_parts(
        name: String,
        spec: ModelHash,
        hierarchy: Hierarchy,
        flat: Option<Hierarchy>,
        hash: ModelHash,
    ) -> Result<Self, ServerError> {
        let found = flat.as_ref().map_or(1, |flat| flat.stages().len());
        if found != 1 {
            return Err(ServerError::NotFlat { found });
        }
        let model = Self { name, spec, hierarchy, flat, hash };
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

    /// What a protocol evaluates.
    pub fn stages_for(&self, protocol: Protocol) -> &Hierarchy {
        match protocol.routing() {
            Routing::None => self.flat(),
            Routing::Encrypted | Routing::Public => &self.hierarchy,
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
        prove(self.flat(), Circuit::flat(self.flat())).map(|_| ())
    }
}
