//! [`key`]: names for what follows from values.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::LabError;

/// SHA-256 of what a value says, as 16 hexadecimal digits: a file name for what follows from it.
///
/// # Errors
/// [`LabError::Setting`] for a value that has no form as JSON.
pub(crate) fn key<T: Serialize>(value: &T) -> Result<String, LabError> {
    let bytes = serde_json::to_vec(value).map_err(|error| LabError::Setting {
        setting: "a setting".into(),
        found: error.to_string(),
        expected: "numbers, texts and lists".into(),
    })?;
    Ok(Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
