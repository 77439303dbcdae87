//! Running a question, unit by unit.

mod lab;

pub use lab::Lab;
