//! Running a question, unit by unit: all at once, or in parts that several machines run.

mod lab;
mod part;
mod plan;
mod rates;

pub use lab::Lab;
pub use part::Part;
pub use plan::{Plan, Planned};
