//! The experiments: questions as data, the systems that are compared, and what is written down.
//!
//! Comes in: a question (`run.toml`) and music. Goes out: a folder of results with raw rows, the machine, and a report.
//! Systems that this project answers to are built in [`baseline`]. This crate refuses to know how anything is
//! learned or encrypted.

pub mod baseline;
mod error;
mod evaluate;
mod music;
mod question;
mod report;
mod run;
mod system;

pub use error::LabError;
pub use evaluate::encrypted::{Asked, Encrypted, Sample, ask, encrypted};
pub use evaluate::row::{Counts, Method, Price, Row};
pub use evaluate::stacked::{Stacked, stacked};
pub use music::Music;
pub use music::disturbances::{DisturbanceSource, Disturbances, SplitDisturbances};
pub use question::knob::Knob;
pub use question::unit::{Answering, Asking, Library, System, Training, Unit};
pub use question::{Grid, Question, Size};
pub use report::axis::Scale;
pub use report::figure::{Figure, Kind};
pub use report::results::Results;
pub use run::lab::Lab;
pub use run::machine::Machine;
pub use run::watch::{Silent, Watch};
pub use system::ours::protocols;
