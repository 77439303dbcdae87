//! The `sordino` program.
fn main() {}
