#![doc = include_str!("../README.md")]
//! Arrows run one way: `music`, [`evaluate`], [`baseline`], [`system`], `question`, `run`; reports stand beside them.

pub mod baseline;
mod error;
pub mod evaluate;
mod key;
mod machine;
mod monitor;
mod music;
mod question;
mod report;
mod run;
pub mod system;

pub use error::LabError;
pub use machine::{Machine, peak_gigabytes, reset_peak};
pub use monitor::{Monitor, Silent};
pub use music::Music;
pub use music::disturbances::{DisturbanceCache, DisturbanceSource, Disturbances, SplitDisturbances};
pub use question::setting::Setting;
pub use question::{Grid, Question, Size};
pub use report::axis::Scale;
pub use report::drawing::Drawing;
pub use report::figure::{Figure, Kind};
pub use report::results::Results;
pub use report::summary::Summary;
pub use run::Lab;
