//! What a user of the crate relies on, one file per noun.

mod bundles;
mod cards;
mod choices;
mod circuits;
mod decisions;
mod files;
mod fixture;
mod hostile;
mod libraries;
mod networks;
mod pairs;
mod raw;
mod sample;
mod stages;
