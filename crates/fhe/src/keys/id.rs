//! [`KeyId`]: the public name of a client's secret keys.

use std::fmt;

use sordino_model::layout::KEY_ID_BYTES;

use crate::SecretKey;

/// Names the secret key to which an evaluation key belongs: random, and drawn apart from the key's bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; KEY_ID_BYTES]);

impl KeyId {
    /// The identifier of a secret key.
    pub fn of(secret: &SecretKey) -> Self {
        Self(secret.name())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
