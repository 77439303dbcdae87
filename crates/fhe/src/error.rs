//! [`FheError`]: what can go wrong with keys, plans, messages and models.

use std::io;

use sordino_model::ModelHash;
use sordino_model::circuit::CircuitError;
use sordino_model::layout::PackingError;
use sordino_model::raw::RawError;
use thiserror::Error;

use crate::KeyId;

/// Why a key, a plan, a message or a model is refused. No variant carries secret or personal data.
#[derive(Debug, Error)]
#[non_exhaustive]
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
    /// Bytes that are no evaluation key, or a damaged one.
    #[error("evaluation key: {what}; expected what `keygen` wrote for the same parameter set")]
    EvaluationKey {
        /// What is wrong with it.
        what: &'static str,
    },
    /// An evaluation key of other secret keys.
    #[error("evaluation key {found} given, expected {expected}; keygen makes an evaluation key for every secret key")]
    Key {
        /// The key given.
        found: KeyId,
        /// The key that the query asks for.
        expected: KeyId,
    },
    /// A query that needs an evaluation key, and none at hand.
    #[error(
        "the server has no evaluation key of this client; send it the one that `keygen --evaluation` wrote for this secret key"
    )]
    NoEvaluationKey,
    /// A client of `decided` that does not know the name of its evaluation key.
    #[error(
        "the secret key came without the name of an evaluation key; make one, register it with the server, and name it"
    )]
    Unregistered,
    /// A message that is not as it was sent.
    #[error("{what}: its checksum does not fit it, so it was damaged on its way; send it again")]
    Damaged {
        /// Query or reply.
        what: &'static str,
    },
    /// A reply to another query than the last one.
    #[error("reply: it answers another query than the last one of this client; ask again")]
    OtherQuery,
    /// A secret key that others than its owner can read.
    #[error(
        "{path}: others than its owner can read this secret key (mode {mode:o}, expected 600); chmod 600 it, or make a new one"
    )]
    Exposed {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// The wrong number of vectors.
    #[error("query: {found} vectors given, expected {expected}, one per stage")]
    Vectors {
        /// Vectors given.
        found: usize,
        /// Stages of the model.
        expected: usize,
    },
    /// Cells of samples that do not fit their ring.
    #[error("raw: a cell and its lags have {found} samples, expected at most the ring degree {ring}, a power of two")]
    Cell {
        /// Samples of a cell, and lags.
        found: usize,
        /// Ring degree.
        ring: usize,
    },
    /// Samples or constants of raw sound that do not fit.
    #[error(transparent)]
    Raw(#[from] RawError),
    /// An evaluation key without a part for encrypted samples.
    #[error("the evaluation key has no part for encrypted samples; make one with `keygen --samples`")]
    NoSamplesKey,
    /// An answer that names no track.
    #[error("reply: it names no track of this model; the key or the server is not the one that the query was for")]
    NoTrack,
    /// An evaluation that was told to stop.
    #[cfg(feature = "server")]
    #[error("the evaluation was stopped, since nobody waits for its reply; ask again")]
    Stopped,
    /// A share of a model that is spread over several machines.
    #[error("shares of the model: {what}")]
    Share {
        /// What is wrong, and what was expected.
        what: String,
    },
    /// Reading or writing a file failed.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// The system's reason.
        reason: io::Error,
    },
    /// A key file that was refused.
    #[error("{path}: {reason}")]
    InFile {
        /// The file.
        path: String,
        /// Why.
        reason: Box<FheError>,
    },
    /// The program is not well formed.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A stage that cannot be packed.
    #[error(transparent)]
    Packing(#[from] PackingError),
    /// A plan whose numbers do not fit together, or not this model.
    #[error("plan: {what}; expected the plan that the server hands out for this model")]
    Plan {
        /// What is wrong with it.
        what: &'static str,
    },
    /// No packing keeps the failure probability.
    #[error(
        "stage {stage}: no plan keeps the failure probability and the hiding asked for with scores of up to {bound}; use fewer \
         input or weight bits, or ask for less hiding"
    )]
    NoPlan {
        /// The stage.
        stage: usize,
        /// Its largest absolute score.
        bound: u64,
    },
    /// A trip that the plan does not have.
    #[error("trip {found} asked for, the plan has {trips}")]
    NoTrip {
        /// The trip asked for.
        found: usize,
        /// Trips there are.
        trips: usize,
    },
    /// Bytes that are no message of this version.
    #[error("message: {what}; expected a {expected} written by this version of sordino")]
    NotAMessage {
        /// What is wrong with them.
        what: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// A message of the wrong length.
    #[error("message: {found} bytes, expected {expected}")]
    Length {
        /// Bytes received.
        found: usize,
        /// Bytes of every such message.
        expected: usize,
    },
    /// A message for another trip.
    #[error("message: written for trip {found}, expected trip {expected}")]
    Trip {
        /// The trip it names.
        found: usize,
        /// The trip expected.
        expected: usize,
    },
    /// A message, key or plan under another parameter set.
    #[error("parameter set {found} found, expected {expected}; keys, plan and model must share one")]
    Parameters {
        /// The set found.
        found: u16,
        /// The set expected.
        expected: u16,
    },
    /// A message for another model.
    #[error("message: written for model {found}, expected {expected}; client and server halves must belong together")]
    Model {
        /// The model it names.
        found: ModelHash,
        /// The model expected.
        expected: ModelHash,
    },
    /// A message under another plan of the same model.
    #[error("message: written under plan {found}, expected {expected}; fetch the server's plan again")]
    OtherPlan {
        /// The plan it names.
        found: ModelHash,
        /// The plan expected.
        expected: ModelHash,
    },
    /// A vector that breaks the bound on which the encoding rests.
    #[error("query: the vector breaks its bound (width {width}, |x_i| <= {max_abs}, |x|^2 <= {norm_squared})")]
    Vector {
        /// Features expected.
        width: usize,
        /// Largest absolute value expected.
        max_abs: i32,
        /// Largest squared norm expected.
        norm_squared: u64,
    },
    /// The wrong number of groups asked for.
    #[error("query: {found} groups asked for, expected {expected}")]
    Groups {
        /// Groups given.
        found: usize,
        /// Groups that the trip selects.
        expected: usize,
    },
    /// A group that the stage does not have.
    #[error("query: a group past the last of {groups} asked for")]
    Group {
        /// Groups there are.
        groups: usize,
    },
    /// A register of the circuit holds another kind of value.
    #[error("circuit: {op} was given {found}, expected {expected}")]
    Kind {
        /// The op.
        op: &'static str,
        /// What the register held.
        found: &'static str,
        /// What the op takes.
        expected: &'static str,
    },
}
