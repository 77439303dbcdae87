//! [`RawSettings`]: how a library learns to hear encrypted samples.

use serde::{Deserialize, Serialize};
use sordino_model::raw::RawSpec;

use crate::LearnError;

/// How a library learns to hear encrypted samples. What is not named here is as in the rest of the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSettings {
    /// Every constant of the front.
    pub spec: RawSpec,
    /// Directions along which a query's length is measured: one table each.
    pub directions: usize,
    /// Deviation of what a table gets wrong of an energy, as a share of what a band can hold. Clips are learned with it.
    pub table_noise: f32,
    /// Share of unknown songs that may be taken for known, 0 to 0.5.
    pub accepted: f32,
    /// Largest share of those disturbed clips that would be named rightly which may be called unknown for it, 0 to 0.5.
    pub lost: f32,
}

impl Default for RawSettings {
    /// The usual front, and a threshold that is asked to refuse 97 strangers in a hundred.
    fn default() -> Self {
        Self { spec: RawSpec::default(), directions: 96, table_noise: RawSpec::TABLE_NOISE, accepted: 0.03, lost: 0.25 }
    }
}

impl RawSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        self.spec.validate()?;
        if !(0.0..=0.5).contains(&self.accepted) || !(0.0..=0.5).contains(&self.lost) {
            let found = format!("accepted {}, lost {}", self.accepted, self.lost);
            return Err(LearnError::Setting {
                setting: "raw",
                found,
                expected: "accepted and lost from 0 to 0.5".into(),
            });
        }
        if !(1..=1_024).contains(&self.directions) || !(0.0..=0.1).contains(&self.table_noise) {
            let found = format!("{} directions, table noise {}", self.directions, self.table_noise);
            let expected = "1 to 1,024 directions, and table noise of 0 to 0.1".into();
            return Err(LearnError::Setting { setting: "raw", found, expected });
        }
        Ok(())
    }
}
