//! [`CorpusError`]: what stops a whole library from being read. One bad file never does: it is [`crate::Rejected`].

use std::path::{Path, PathBuf};

use sordino_front::SpecError;
use thiserror::Error;

/// Why a library, an index or a query set could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// The operating system refused.
    #[error("{}: could not {action}: {source}", crate::printable(&path.display().to_string()))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what its name says.
    #[error("{}: expected {expected}, found {found}; {advice}", crate::printable(&path.display().to_string()))]
    Format {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The catalogue breaks one of its rules.
    #[error("catalogue: expected {expected}, found {found}")]
    Catalogue {
        /// The rule.
        expected: &'static str,
        /// The entry that breaks it.
        found: String,
    },
    /// A setting is outside its range.
    #[error("{setting} is {found}, expected {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What it held.
        found: String,
        /// What it may hold.
        expected: String,
    },
    /// A track that should give a query cannot.
    #[error("track {id}: {reason}")]
    Track {
        /// The track's id.
        id: u32,
        /// Why not.
        reason: String,
    },
    /// The feature spec describes no usable front end.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Noise or impulse responses could not be read.
    #[error("{0}")]
    Bank(String),
}

impl CorpusError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    pub(crate) fn format(
        path: &Path,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self::Format { path: path.to_owned(), expected: expected.into(), found: found.into(), advice }
    }
}
