//! [`Header`]: what every message starts with, and every message is checked against before anything else is read.
//!
//! Layout, little-endian: magic `SRDN` (4 bytes), format version (1), kind (1), trip (2), parameter set (2), SHA-256 of the
//! server half of the model (32), SHA-256 of the plan (32), reference (32); then the payload, whose length follows from the plan; then
//! SHA-256 of everything before it (32). A message holds no length of its own: there is nothing in it to believe.
//!
//! The reference of a query is a nonce. That of a reply is the checksum of the query that it answers, which covers the nonce, the
//! model, the plan and, where there is one, the evaluation key's name.

use sordino_model::ModelHash;
#[cfg(feature = "server")]
use sordino_model::layout::KEY_ID_BYTES;
use sordino_model::layout::{CHECKSUM_BYTES, MESSAGE_HEADER};

use crate::FheError;
use crate::params::ParameterId;
use crate::wire::checksum::{self, Checksum};
#[cfg(feature = "server")]
use crate::{KeyId, ServerKey};

const MAGIC: &[u8; 4] = b"SRDN";
const VERSION: u8 = 2;

const _: () = assert!(MESSAGE_HEADER == 4 + 1 + 1 + 2 + 2 + 32 + 32 + CHECKSUM_BYTES);

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Client to server.
    Query = 1,
    /// Server to client.
    Reply = 2,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Reply => "reply",
        }
    }
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) trip: u16,
    pub(crate) parameters: ParameterId,
    pub(crate) model: ModelHash,
    pub(crate) plan: ModelHash,
}

/// A message that was checked: it is whole, and what its reader expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    /// What follows the header.
    pub(crate) payload: &'a [u8],
    /// The nonce of a query, the query's checksum in a reply.
    pub(crate) reference: Checksum,
    /// The message's own checksum, by which a reply refers to it.
    pub(crate) checksum: Checksum,
}

/// A query to a server that decides, which starts with the name of the evaluation key that it is under.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The name.
    pub(crate) key: KeyId,
    /// What follows its name.
    pub(crate) payload: &'a [u8],
    pub(crate) checksum: Checksum,
}

#[cfg(feature = "server")]
impl Asked<'_> {
    /// Refuses to be answered under another key, or one of other parameters.
    ///
    /// # Errors
    /// [`FheError::Parameters`] or [`FheError::Key`].
    pub(crate) fn under(self, key: &ServerKey, parameters: ParameterId) -> Result<Self, FheError> {
        let (found, expected) = (key.parameters().id.0, parameters.0);
        if found != expected {
            return Err(FheError::Parameters { found, expected });
        }
        if self.key != key.id() {
            return Err(FheError::Key { found: key.id(), expected: self.key });
        }
        Ok(self)
    }
}

impl Header {
    /// Starts a message whose payload will have `payload` bytes. [`checksum::seal`] ends it.
    pub(crate) fn write(&self, reference: &Checksum, payload: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(MESSAGE_HEADER + payload + CHECKSUM_BYTES);
        out.extend(MAGIC);
        out.extend([VERSION, self.kind as u8]);
        out.extend(self.trip.to_le_bytes());
        out.extend(self.parameters.0.to_le_bytes());
        out.extend(self.model.0);
        out.extend(self.plan.0);
        out.extend(reference);
        out
    }

    /// The trip that a message of this kind names, before anything else of it is believed.
    ///
    /// # Errors
    /// [`FheError::NotAMessage`].
    #[cfg(feature = "server")]
    pub(crate) fn trip(kind: Kind, message: &[u8]) -> Result<usize, FheError> {
        Self::fields(kind, message).map(|(header, _)| usize::from(u16::from_le_bytes([header[2], header[3]])))
    }

    /// What follows the magic number of a message of this version and kind, and what follows its header.
    fn fields(kind: Kind, message: &[u8]) -> Result<(&[u8], &[u8]), FheError> {
        let refuse = |what| FheError::NotAMessage { what, expected: kind.name() };
        let (header, rest) = message.split_at_checked(MESSAGE_HEADER).ok_or(refuse("it is shorter than a header"))?;
        let (magic, header) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(refuse("it does not start with SRDN"));
        }
        if header[0] != VERSION {
            return Err(refuse("it has another format version"));
        }
        if header[1] != kind as u8 {
            return Err(refuse("it is of another kind"));
        }
        Ok((header, rest))
    }

    /// Checks that `message` starts with this header, has a payload of `payload` bytes, and arrived as it was sent.
    pub(crate) fn read<'a>(&self, message: &'a [u8], payload: usize) -> Result<Opened<'a>, FheError> {
        let (header, rest) = Self::fields(self.kind, message)?;
        let half = |i: usize| u16::from_le_bytes([header[i], header[i + 1]]);
        let (parameters, trip) = (half(4), half(2));
        if parameters != self.parameters.0 {
            return Err(FheError::Parameters { found: parameters, expected: self.parameters.0 });
        }
        let hash = |i: usize| ModelHash(std::array::from_fn(|j| header[i + j]));
        let (model, plan) = (hash(6), hash(38));
        if model != self.model {
            return Err(FheError::Model { found: model, expected: self.model });
        }
        if plan != self.plan {
            return Err(FheError::OtherPlan { found: plan, expected: self.plan });
        }
        if trip != self.trip {
            return Err(FheError::Trip { found: trip.into(), expected: self.trip.into() });
        }
        if rest.len() != payload + CHECKSUM_BYTES {
            let expected = MESSAGE_HEADER + payload + CHECKSUM_BYTES;
            return Err(FheError::Length { found: message.len(), expected });
        }
        let (_, checksum) = checksum::open(message).ok_or(FheError::Damaged { what: self.kind.name() })?;
        Ok(Opened { payload: &rest[..payload], reference: hash(70).0, checksum })
    }

    /// [`Header::read`], of a query whose payload starts with the name of a key.
    #[cfg(feature = "server")]
    pub(crate) fn asked<'a>(&self, query: &'a [u8], payload: usize) -> Result<Asked<'a>, FheError> {
        let opened = self.read(query, payload)?;
        let (name, payload) = opened.payload.split_at(KEY_ID_BYTES);
        Ok(Asked { key: KeyId(std::array::from_fn(|i| name[i])), payload, checksum: opened.checksum })
    }
}
