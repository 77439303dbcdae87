//! [`Hello`]: what a server says first, and all that a client needs to know of it.
//!
//! Layout, little-endian: magic `SRDNHLO` and format version (8 bytes), SHA-256 of the server half of the model (32), protocol (1: `flat`
//! 0, `routed` 1, `decided` 2), probes (2), answers (2), resolution (1: `standard` 0, `fine` 1, `finest` 2), then the plan. Options that a
//! protocol does not have are zero.

use sordino_fhe::Plan;
use sordino_model::{ModelHash, Protocol, Resolution};

use crate::ServiceError;

const MAGIC: &[u8; 8] = b"SRDNHLO\x01";
const OPTIONS: usize = 6;
/// Largest hello: a plan is below 16 KiB.
const MOST_BYTES: usize = 1 << 15;

/// The protocol that a server speaks, the model that it speaks of, and the plan of their messages. It is public.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// The protocol.
    pub protocol: Protocol,
    /// Hash of the server half of the model.
    pub model: ModelHash,
    /// How messages are packed and written.
    pub plan: Plan,
}

impl Hello {
    /// The hello as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, probes, answers, resolution) = match self.protocol {
            Protocol::Routed { probes } => (1, probes, 0, Resolution::Standard),
            Protocol::Decided { probes, answers, resolution } => (2, probes, answers, resolution),
            _ => (0, 0, 0, Resolution::Standard),
        };
        let mut out = MAGIC.to_vec();
        out.extend(self.model.0);
        out.push(kind);
        // Plans follow at most 64 groups where the server decides, and at most as many as there are where the client does.
        out.extend(u16::try_from(probes).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(u16::try_from(answers).unwrap_or(u16::MAX).to_le_bytes());
        out.push(resolution.extension_log2() as u8);
        out.extend(self.plan.to_bytes());
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
        let rest =
            bytes.strip_prefix(MAGIC).ok_or(refuse("its first bytes are not those of a hello of this version"))?;
        let (model, rest) = rest.split_first_chunk::<32>().ok_or(refuse("it is cut short"))?;
        let (options, plan) = rest.split_first_chunk::<OPTIONS>().ok_or(refuse("it is cut short"))?;
        let [kind, p0, p1, a0, a1, resolution] = *options;
        let (probes, answers) = (u16::from_le_bytes([p0, p1]).into(), u16::from_le_bytes([a0, a1]).into());
        let resolution =
            Resolution::ALL.get(usize::from(resolution)).copied().ok_or(refuse("its resolution is unknown"))?;
        let protocol = match kind {
            0 => Protocol::Flat,
            1 => Protocol::Routed { probes },
            2 => Protocol::Decided { probes, answers, resolution },
            _ => return Err(refuse("its protocol is unknown; update sordino")),
        };
        let hello = Self { protocol, model: ModelHash(*model), plan: Plan::from_bytes(plan)? };
        // One message for every meaning: options that the protocol does not have are zero.
        if hello.to_bytes() == bytes { Ok(hello) } else { Err(refuse("it says more than its protocol has to say")) }
    }
}
