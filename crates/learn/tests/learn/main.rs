//! Training end to end, on a small library that needs no files.

mod distractors;
mod embedding;
mod parts;
mod patterns;
mod raw;
mod resume;
mod training;
mod vectors;
