//! [`ServiceError`]: why a query was not answered.

use sordino_fhe::FheError;
use sordino_model::circuit::CircuitError;
use sordino_model::{ClientError, ModelHash, PairError};
use thiserror::Error;

/// Why a query was not answered. No variant carries anything decrypted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The client's half of the model, or the features, do not fit.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A clip cannot be identified in the clear.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// A key, a plan or a message was refused.
    #[error(transparent)]
    Fhe(#[from] FheError),
    /// A circuit that is not well formed.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// Bytes that are no hello.
    #[error("hello: {what}; expected what the server says first")]
    Hello {
        /// What is wrong with them.
        what: &'static str,
    },
    /// A server that holds as many evaluation keys as it may.
    #[error("the server holds {limit} evaluation keys and takes no more; forget one, or ask later")]
    TooManyKeys {
        /// Keys that it may hold.
        limit: usize,
    },
    /// A server that speaks of another model.
    #[error("the server holds model {found}, this client half belongs to {expected}; fetch the client half again")]
    OtherModel {
        /// The server's model.
        found: ModelHash,
        /// The model that the client half belongs to.
        expected: ModelHash,
    },
    /// A model without what is needed to be stricter than it is.
    #[error(
        "the model does not say how far unknown songs reach, by which another strictness is found: train it with this version"
    )]
    NoReach,
    /// A reply to no question.
    #[error("a reply was given to a client that asked nothing; start a query first")]
    NothingAsked,
    /// The message could not be carried to the server, or the server refused it.
    #[error("the server could not be asked: {reason}")]
    Transport {
        /// What the transport says.
        reason: String,
    },
}

/// What carrying a message to the server gives: its reply message.
pub type Carried = Result<Vec<u8>, ServiceError>;
