//! [`LearnError`]: why training stopped.

use std::path::PathBuf;

use thiserror::Error;

use crate::GridError;

/// Why training stopped.
#[derive(Debug, Error)]
pub enum LearnError {
    /// A setting outside its range.
    #[error("training setting {setting} is {found}, expected {expected}")]
    Setting {
        /// The setting's name in the configuration.
        setting: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: String,
    },
    /// Not enough to learn from.
    #[error("training needs at least {expected} {what}, found {found}")]
    TooFew {
        /// What there is too little of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// A matrix of the wrong shape.
    #[error("{what}: shape {found:?}, expected {expected:?}")]
    Shape {
        /// The matrix.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },
    /// Numbers that are not finite.
    #[error("{what} is not finite after {steps} steps; use a lower learning rate, or look for broken audio")]
    Diverged {
        /// What went wrong.
        what: &'static str,
        /// Training steps done.
        steps: usize,
    },
    /// A grid that cannot be.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A checkpoint that cannot be read or written.
    #[error("checkpoint {path}: {source}")]
    CheckpointFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint that does not hold what it should.
    #[error("checkpoint {path}: {reason}; delete it to train from the start")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
