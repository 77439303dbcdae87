//! The classifiers that are evaluated encrypted, and the public trunks before them.

pub(crate) mod cosine;
pub(crate) mod hubness;
pub(crate) mod last_stage;
pub(crate) mod matched;
pub(crate) mod nearest;
pub(crate) mod noise;
pub(crate) mod routing;
pub(crate) mod stage;
pub(crate) mod trunk;

pub use crate::math::grid::{GridError, UniformGrid};
pub use last_stage::LastStageSettings;
pub use routing::RouterSettings;
pub use stage::FloatStage;
