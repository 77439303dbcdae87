//! [`Hello`]: what a server says first, and all that a client needs to know of it.
//!
//! Layout: magic `SRDNHLO` and format version (8 bytes), SHA-256 of the server half of the model (32), protocol ([`Protocol::to_bytes`],
//! 10), plan, SHA-256 of everything before it (32).

use sordino_fhe::Plan;
use sordino_model::{ModelHash, Protocol};

use crate::ServiceError;

const MAGIC: &[u8; 8] = b"SRDNHLO\x02";
/// Largest hello: a plan is below 16 KiB.
const MOST_BYTES: usize = 1 << 15;

/// The protocol that a server speaks, the model that it speaks of, and the plan of their messages. It is public.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hello {
    /// The protocol.
    pub protocol: Protocol,
    /// Hash of the server half of the model.
    pub model: ModelHash,
    /// How messages are packed and written.
    pub plan: Plan,
}

impl Hello {
    /// What a server of this model says.
    pub fn new(protocol: Protocol, model: ModelHash, plan: Plan) -> Self {
        Self { protocol, model, plan }
    }

    /// The hello as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = [&MAGIC[..], &self.model.0, &self.protocol.to_bytes(), &self.plan.to_bytes()].concat();
        let checksum = ModelHash::of(&out);
        out.extend(checksum.0);
        out
    }

    /// Reads [`Hello::to_bytes`].
    ///
    /// # Errors
    /// [`ServiceError::Hello`], or [`ServiceError::Fhe`] for a plan that cannot be read; never a panic, and never an allocation
    /// larger than the message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ServiceError> {
        let refuse = |what| ServiceError::Hello { what };
        if bytes.len() > MOST_BYTES {
            return Err(refuse("it is longer than any hello"));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(refuse("its first bytes are not those of a hello of this version"));
        }
        let (content, checksum) = bytes.split_last_chunk::<32>().ok_or(refuse("it is cut short"))?;
        if ModelHash::of(content).0 != *checksum {
            return Err(refuse("its checksum does not fit it, so it was damaged on its way"));
        }
        let rest = content.strip_prefix(MAGIC).ok_or(refuse("it is cut short"))?;
        let (model, rest) = rest.split_first_chunk::<32>().ok_or(refuse("it is cut short"))?;
        let (protocol, plan) = rest.split_first_chunk::<{ Protocol::BYTES }>().ok_or(refuse("it is cut short"))?;
        let protocol = Protocol::from_bytes(*protocol).ok_or(refuse("its protocol is unknown; update sordino"))?;
        Ok(Self { protocol, model: ModelHash(*model), plan: Plan::from_bytes(plan)? })
    }
}
