//! [`ServiceError`]: why a query was not answered.

use sordino_fhe::FheError;
use sordino_model::{CircuitError, ClientError};
use thiserror::Error;

/// Why a query was not answered. No variant carries anything decrypted.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The client's half of the model, or the features, do not fit.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A key, a plan or a message was refused.
    #[error(transparent)]
    Fhe(#[from] FheError),
    /// A circuit that is not well formed.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A query under an evaluation key that the server does not have.
    #[error("the server has no evaluation key of this client; register one first")]
    NoEvaluationKey,
    /// The message could not be carried to the server, or the server refused it.
    #[error("the server could not be asked: {reason}")]
    Transport {
        /// What the transport says.
        reason: String,
    },
}

/// What carrying a message to the server gives: its reply message.
pub type Carried = Result<Vec<u8>, ServiceError>;
