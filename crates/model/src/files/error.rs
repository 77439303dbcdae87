//! [`FileError`]: why a model cannot be written or opened.

use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use sordino_front::FrontError;
use thiserror::Error;

use crate::circuit::RangeError;
use crate::raw::RawError;
use crate::stage::StageError;
use crate::{ClientError, ModelHash, ServerError};

/// A model that cannot be saved or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A byte string that holds no files.
    #[error("byte {at}: the archive {found}; fetch the model again")]
    Archive {
        /// Where.
        at: usize,
        /// What is wrong with it.
        found: &'static str,
    },
    /// A file is not among those given.
    #[error("{path} is missing")]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// The list of checksums is not what this version writes.
    #[error("{path} is no list of checksums of {expected}: the model is damaged, or from another version")]
    Sums {
        /// The file.
        path: PathBuf,
        /// The files it should list.
        expected: String,
    },
    /// A file is not the one that was saved.
    #[error("{path} is damaged or was altered: its SHA-256 is {found}, expected {expected}; copy the model again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Hash of what is there.
        found: ModelHash,
        /// Hash of what was saved.
        expected: ModelHash,
    },
    /// A file of another kind.
    #[error(
        "{file} has format {found:?}, expected {expected:?}: is this the other half of a model, or another file of it?"
    )]
    Format {
        /// The file.
        file: &'static str,
        /// The format it names.
        found: String,
        /// The format needed.
        expected: &'static str,
    },
    /// A file of arrays that says nothing of a network.
    #[error(
        "its metadata have no entry {key:?}, expected the description of a network: save it with the package's Network.save"
    )]
    NoNetwork {
        /// The key.
        key: &'static str,
    },
    /// A model from another version of this program.
    #[error(
        "{file} has format version {found}, this program reads version {expected}: use the program that wrote it, or train again"
    )]
    Version {
        /// The file.
        file: &'static str,
        /// Its version.
        found: u64,
        /// The version that this program reads.
        expected: u64,
    },
    /// A front end that takes both sound and vectors, or neither.
    #[error(
        "model.json: a front end takes sound, with `spec`, or `vectors` of a width, and not both: the model is damaged"
    )]
    Input,
    /// Text that is not the expected JSON.
    #[error("{file}: {source}")]
    Json {
        /// The file.
        file: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Bytes that are no safetensors file.
    #[error("weights.safetensors: {0}")]
    Tensors(#[from] SafeTensorError),
    /// A tensor claims bytes past the end of the file.
    #[error("weights.safetensors: tensor {name} ends at byte {found}, the file holds {expected}")]
    TensorEnd {
        /// The tensor.
        name: String,
        /// Where it claims to end.
        found: u64,
        /// Bytes of all tensors together.
        expected: u64,
    },
    /// A tensor that the model needs is not there.
    #[error("weights.safetensors: tensor {name} is missing")]
    NoTensor {
        /// The tensor.
        name: String,
    },
    /// A tensor has another type or shape.
    #[error("weights.safetensors: tensor {name} is {found}, expected {expected}")]
    Tensor {
        /// The tensor.
        name: String,
        /// Its type and shape.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// The clips that training held out cannot be read.
    #[error("held-out.safetensors: it is damaged; remove it to go on without, or train the model again")]
    HeldOut,
    /// Tensors that no part of the model claims.
    #[error("weights.safetensors: {found} tensors that the model does not name, such as {name}; expected none")]
    Unclaimed {
        /// How many.
        found: usize,
        /// One of them.
        name: String,
    },
    /// The stages do not fit together.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The part that hears encrypted samples does not fit together.
    #[error(transparent)]
    Raw(#[from] RawError),
    /// The front end does not fit together.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// The client half does not fit together, or not with the server half.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server half is refused.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The folder holds something else, which would be lost.
    #[error("{path} exists and is no model; it was left as it is, choose another folder")]
    Occupied {
        /// The folder, or file.
        path: PathBuf,
    },
    /// A path that a model cannot be named by, such as `..`.
    #[error("{path} ends in no name; give the model's folder one, such as models/mine")]
    Unnamed {
        /// The path.
        path: PathBuf,
    },
    /// What was written does not read back as it was.
    #[error("the {half} half does not read back as it was written; nothing was saved")]
    ReadBack {
        /// Which half.
        half: &'static str,
    },
}

impl From<RangeError> for FileError {
    fn from(error: RangeError) -> Self {
        Self::Server(error.into())
    }
}

impl FileError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn json(file: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { file, source }
    }
}
