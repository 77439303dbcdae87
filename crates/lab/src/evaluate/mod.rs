//! Asking a system, and what is made of its answers.

pub(crate) mod encrypted;
pub(crate) mod price;
pub(crate) mod row;
pub(crate) mod stacked;
pub(crate) mod tally;
