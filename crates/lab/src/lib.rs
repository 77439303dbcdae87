//! The experiments: questions as data, the systems that are compared, and what is written down.
//!
//! Comes in: a question (`run.toml`) and music. Goes out: a folder of results with raw rows, the machine, and a report.
//! Systems that this project answers to are built in [`baseline`]. This crate refuses to know how anything is
//! learned or encrypted.

pub mod baseline;
mod error;

pub use error::LabError;
