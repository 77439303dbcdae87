//! A library that is heard through encrypted samples: rows on the features of [`sordino_model::raw`], and what tells a stranger.

mod clips;
mod model;
mod settings;
mod space;
mod train;

pub use model::RawModel;
pub use settings::RawSettings;
pub use train::{Hearing, train_raw};
