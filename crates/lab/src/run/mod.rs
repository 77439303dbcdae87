//! Running a question, unit by unit.

pub(crate) mod bench;
pub(crate) mod lab;
pub(crate) mod machine;
pub(crate) mod watch;
