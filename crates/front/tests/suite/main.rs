//! What a user of the crate relies on, one file per noun.

mod fronts;
mod known_answers;
mod quantisers;
mod sample;
