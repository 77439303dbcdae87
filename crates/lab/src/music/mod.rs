//! [`Music`]: where an experiment's tracks, noise and impulse responses come from.

pub(crate) mod disturbances;
pub(crate) mod library;

use sordino_corpus::Catalogue;

use crate::DisturbanceSource;

/// Where tracks and disturbances come from.
#[derive(Clone, Debug, Default)]
pub struct Music {
    /// Recorded tracks; none where everything is composed.
    pub recorded: Catalogue,
    /// What those are, for tables.
    pub name: String,
    /// Noise and impulse responses.
    pub disturbances: DisturbanceSource,
}

impl Music {
    /// What the recorded tracks, the noise and the impulse responses are, for tables.
    pub fn sources(&self) -> [String; 3] {
        let [noise, rooms] = self.disturbances.names();
        [self.name.clone(), noise, rooms]
    }
}
