//! [`FheError`]: what can go wrong with keys, messages and models.

use std::io;

use sordino_model::CircuitError;
use thiserror::Error;

/// Why a key, a message or a model is refused. No variant carries secret or personal data.
#[derive(Debug, Error)]
pub enum FheError {
    /// A parameter set that this version does not have.
    #[error("parameter set {found} is unknown; update sordino, or make new keys")]
    UnknownParameters {
        /// The identifier found.
        found: u16,
    },
    /// A file that is no secret key, or a damaged one.
    #[error("secret key file: {what}; expected a file written by `keygen`")]
    KeyFile {
        /// What is wrong with it.
        what: &'static str,
    },
    /// Reading or writing a file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The program is not well formed.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
}
