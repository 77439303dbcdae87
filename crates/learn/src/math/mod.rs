//! Arithmetic that everything else stands on: matrix products, affine maps, the grid of integers, streams of random numbers, exact sums.

pub(crate) mod affine;
pub(crate) mod grid;
pub(crate) mod matrix;
pub(crate) mod random;
pub(crate) mod sums;
