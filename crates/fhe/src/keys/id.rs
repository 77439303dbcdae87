//! [`KeyId`]: the public name of an evaluation key. [`ClientKey`]: what a client holds of its keys.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sordino_model::{HashError, ModelHash};

use crate::SecretKey;
use crate::wire::checksum::Checksum;

/// Names an evaluation key: the SHA-256 with which it ends, of everything before it. Whoever holds the key can compute its name, and
/// nobody can make another key of that name.
///
/// It links all queries under that evaluation key. A new evaluation key of the same secret key has another name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub Checksum);

impl KeyId {
    /// All of the name, in hexadecimal; what is displayed is its beginning.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl FromStr for KeyId {
    type Err = HashError;

    /// Reads [`KeyId::hex`].
    fn from_str(text: &str) -> Result<Self, HashError> {
        text.parse().map(|hash: ModelHash| Self(hash.0))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex()[..16])
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A secret key, and the name of the evaluation key that the server holds for it, where the server decides.
#[derive(Clone, Debug)]
pub struct ClientKey {
    pub(crate) secret: Arc<SecretKey>,
    pub(crate) evaluation: Option<KeyId>,
}

impl ClientKey {
    /// A secret key that was registered under `evaluation`.
    pub fn registered(secret: impl Into<Arc<SecretKey>>, evaluation: KeyId) -> Self {
        Self { secret: secret.into(), evaluation: Some(evaluation) }
    }

    /// The secret key alone.
    pub fn secret(&self) -> &Arc<SecretKey> {
        &self.secret
    }
}

impl From<SecretKey> for ClientKey {
    fn from(secret: SecretKey) -> Self {
        Arc::new(secret).into()
    }
}

impl From<Arc<SecretKey>> for ClientKey {
    fn from(secret: Arc<SecretKey>) -> Self {
        Self { secret, evaluation: None }
    }
}
