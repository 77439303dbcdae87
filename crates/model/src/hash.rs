//! [`ModelHash`]: SHA-256, by which the two halves of a model know each other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sordino_front::{FeatureSpec, Front};
use thiserror::Error;

/// A SHA-256 digest (FIPS 180-4), written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelHash(pub [u8; 32]);

/// Text that is no [`ModelHash`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a hash of {found} characters, expected 64 lower-case hexadecimal digits")]
pub struct HashError {
    /// Characters given.
    pub found: usize,
}

impl ModelHash {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of a spec: of its JSON, fields in declaration order.
    pub fn of_spec(spec: &FeatureSpec) -> Self {
        // A struct of numbers and unit variants always has a JSON form.
        Self::of(&serde_json::to_vec(spec).unwrap_or_default())
    }

    /// The digest of what a front end takes: of its spec, or for vectors of `{"vectors":width}`.
    pub fn of_input(front: &Front) -> Self {
        match front.spec() {
            Ok(spec) => Self::of_spec(spec),
            Err(_) => Self::of(format!("{{\"vectors\":{}}}", front.width()).as_bytes()),
        }
    }
}

impl fmt::Display for ModelHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ModelHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelHash({self})")
    }
}

impl FromStr for ModelHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let error = || HashError { found: text.chars().count() };
        let digit = |c: u8| match c {
            b'0'..=b'9' => Ok(c - b'0'),
            b'a'..=b'f' => Ok(c - b'a' + 10),
            _ => Err(error()),
        };
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| error())?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for ModelHash {
    type Error = HashError;
    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}

impl From<ModelHash> for String {
    fn from(hash: ModelHash) -> Self {
        hash.to_string()
    }
}
