//! Arithmetic that everything stands on: matrix products and the grid of integers.

pub(crate) mod grid;
pub(crate) mod product;

pub use grid::{Grid, GridError};
