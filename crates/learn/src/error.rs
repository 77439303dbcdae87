//! [`LearnError`]: why training stopped.

use std::path::PathBuf;

use thiserror::Error;

use crate::math::grid::GridError;

/// Why training stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
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
    /// A track whose sound cannot be read.
    #[error("track {track}: {reason}; expected a file that is as it was when the index was made")]
    Unread {
        /// Its id.
        track: u32,
        /// Why.
        reason: String,
    },
    /// Constants of raw sound that do not fit.
    #[error(transparent)]
    Raw(#[from] sordino_model::raw::RawError),
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
    /// Input that is not finite.
    #[error("{what} {row} holds a number that is not finite")]
    NotFinite {
        /// What holds it.
        what: &'static str,
        /// Which one, counted from 0.
        row: usize,
    },
    /// A label that nothing is an example of.
    #[error("label {label} has no example; number labels from 0 without a gap")]
    Empty {
        /// The label.
        label: usize,
    },
    /// Numbers that do not stay finite.
    #[error("{what} is not finite after {steps} steps; use a lower learning rate, or look for broken audio")]
    Diverged {
        /// What went wrong.
        what: &'static str,
        /// Training steps done.
        steps: usize,
    },
    /// Whoever watched the training stopped it.
    #[error("training was stopped in phase {phase} after {step} steps; run it again to go on from its last checkpoint")]
    Interrupted {
        /// The phase.
        phase: String,
        /// Steps done.
        step: usize,
    },
    /// The training device failed.
    #[error("training device: {reason}")]
    Device {
        /// What it said.
        reason: String,
    },
    /// A grid that cannot be.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// Sound that cannot be used.
    #[error(transparent)]
    Audio(#[from] sordino_audio::AudioError),
    /// Tracks whose ids do not fit beside those of the library.
    #[error(transparent)]
    Corpus(#[from] sordino_corpus::CorpusError),
    /// Weights that make no front end.
    #[error(transparent)]
    Front(#[from] sordino_front::FrontError),
    /// Weights that make no stage.
    #[error(transparent)]
    Stage(#[from] sordino_model::stage::StageError),
    /// A server half that cannot be saved.
    #[error(transparent)]
    Server(#[from] sordino_model::ServerError),
    /// A client half that does not fit together.
    #[error(transparent)]
    Client(#[from] sordino_model::ClientError),
    /// A library that does not take a change.
    #[error(transparent)]
    Library(#[from] sordino_model::LibraryError),
    /// The two halves do not identify together.
    #[error(transparent)]
    Pair(#[from] sordino_model::PairError),
    /// A file that is no network.
    #[error("network {path}: {source}")]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<sordino_model::files::FileError>,
    },
    /// A checkpoint that cannot be read or written.
    #[error("checkpoint {path}: {source}")]
    CheckpointFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of training in parts that cannot be read or written.
    #[error("training in parts: {path}: {source}")]
    PartFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Parts that do not fit together.
    #[error("training in parts: {path}: {reason}")]
    Part {
        /// The file, or what it is of.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
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
