//! Running a question, unit by unit: all at once, or in parts that several machines run.

mod lab;
mod plan;
mod rates;

pub use lab::Lab;
pub use plan::{Plan, Planned};
