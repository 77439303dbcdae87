//! [`Key`]: the secret key of a browser.

use std::sync::Arc;

use sordino_fhe::{SecretKey, params};
use wasm_bindgen::prelude::*;

use crate::sentence;

/// A secret key. It encrypts queries and decrypts replies.
#[wasm_bindgen]
pub struct Key {
    pub(crate) secret: Arc<SecretKey>,
}

#[wasm_bindgen]
impl Key {
    /// Draws a key from the browser's randomness.
    pub fn generate() -> Self {
        Self { secret: Arc::new(SecretKey::generate(&params::STANDARD)) }
    }

    /// Reads [`Key::to_bytes`].
    ///
    /// # Errors
    /// For bytes that are no secret key, or a damaged one.
    #[wasm_bindgen(js_name = fromBytes)]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JsError> {
        let secret = SecretKey::from_bytes(bytes).map_err(|error| sentence(&error))?;
        Ok(Self { secret: Arc::new(secret) })
    }

    /// The key as bytes, which are as secret as the key.
    #[wasm_bindgen(js_name = toBytes)]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.secret.to_bytes()
    }
}
