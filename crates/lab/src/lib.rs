#![doc = include_str!("../README.md")]
//! Arrows run one way: `music`, [`evaluate`], [`baseline`], [`system`], `question`, `run`; `report` draws what a question asks for.

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
pub use question::figure::{Figure, Kind, Scale};
pub use question::setting::Setting;
pub use question::{Grid, Question, Size};
pub use report::comparison::{Chosen, Comparison, Difference};
pub use report::drawing::Drawing;
pub use report::export::{Format, export};
pub use report::results::Results;
pub use report::summary::Summary;
pub use run::{Lab, Plan, Planned};
