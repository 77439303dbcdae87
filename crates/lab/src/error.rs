//! [`LabError`]: why an experiment stopped.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why an experiment stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// A setting of an experiment or of a baseline outside its range.
    #[error("{setting} is {found}, expected {expected}")]
    Setting {
        /// What is set.
        setting: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: String,
    },
    /// A program that a question names as a system.
    #[error("the system {name} ({command}) {reason}")]
    Program {
        /// What results call it.
        name: String,
        /// How it is started.
        command: String,
        /// What it did, and what was expected.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Music could not be had.
    #[error(transparent)]
    Corpus(#[from] sordino_corpus::CorpusError),
    /// Sound could not be analysed.
    #[error(transparent)]
    Audio(#[from] sordino_audio::AudioError),
    /// A front end could not be applied.
    #[error(transparent)]
    Front(#[from] sordino_front::FrontError),
    /// Training stopped.
    #[error(transparent)]
    Learn(#[from] sordino_learn::LearnError),
    /// The two halves of a model do not fit.
    #[error(transparent)]
    Pair(#[from] sordino_model::PairError),
    /// A model could not be kept.
    #[error(transparent)]
    File(#[from] sordino_model::FileError),
    /// A plan, a key or a message was refused.
    #[error(transparent)]
    Fhe(#[from] sordino_fhe::FheError),
    /// An encrypted query was not answered.
    #[error(transparent)]
    Service(#[from] sordino_service::ServiceError),
}

impl LabError {
    /// Turns an I/O error into one that names the file and what was tried.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
