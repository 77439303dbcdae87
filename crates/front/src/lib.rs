#![doc = include_str!("../README.md")]

mod bound;
mod error;
mod front;
mod head;
mod layer;
mod mel;
mod network;
mod quantiser;
mod spec;
mod statistics;
pub mod threads;

pub use bound::VectorBound;
pub use error::FrontError;
pub use front::{Crop, Front};
pub use head::Head;
pub use layer::{Activation, Layer, UNIT_NORM_FLOOR};
pub use mel::{MelFrontEnd, MelPower, MelScratch, log_mel, mfcc};
pub use network::{Conv1d, Network, POOL_EPSILON, Pool, Step};
pub use quantiser::Quantiser;
pub use spec::{FeatureSpec, MelScale, SpecError};
pub use statistics::Statistics;
