//! The experiments: questions as data, the systems that are compared, and what is written down.
//!
//! Comes in: a question (`run.toml`) and music. Goes out: a folder of results with raw rows, the machine, and a report.
//! Systems that this project answers to are built in [`baseline`]. This crate refuses to know how anything is
//! learned or encrypted.

mod axis;
pub mod baseline;
mod bench;
mod disturbances;
mod encrypted;
mod error;
mod figure;
mod html;
mod knob;
mod lab;
mod machine;
mod music;
mod opponent;
mod ours;
mod price;
mod question;
mod results;
mod row;
mod stacked;
mod tally;
mod unit;
mod watch;

pub use axis::Scale;
pub use disturbances::{DisturbanceSource, Disturbances, SplitDisturbances};
pub use encrypted::{Decision, Encrypted, Sample, client_decides, server_decides, verdicts};
pub use error::LabError;
pub use figure::{Figure, Kind};
pub use knob::Knob;
pub use lab::Lab;
pub use machine::Machine;
pub use music::Music;
pub use ours::protocols;
pub use question::{Grid, Question, Size};
pub use results::Results;
pub use row::{Counts, Method, Price, Row};
pub use stacked::{Stacked, stacked};
pub use unit::{Answering, Asking, Library, System, Training, Unit};
pub use watch::{Silent, Watch};
