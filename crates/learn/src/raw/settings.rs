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
        Self { spec: RawSpec::default(), directions: 96, table_noise: RawSpec::TABLE_NOISE, accepted: 0.03, lost: 0.12 }
    }
}

impl RawSettings {
    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        self.spec.validate()?;
        let shares = [("raw.accepted", self.accepted, 0.5), ("raw.lost", self.lost, 0.5)];
        for (setting, found, most) in shares.into_iter().chain([("raw.table_noise", self.table_noise, 0.1)]) {
            if !(0.0..=most).contains(&found) {
                return Err(LearnError::Setting {
                    setting,
                    found: found.to_string(),
                    expected: format!("0 to {most}"),
                });
            }
        }
        if !(1..=1_024).contains(&self.directions) {
            let (setting, found) = ("raw.directions", self.directions.to_string());
            return Err(LearnError::Setting { setting, found, expected: "1 to 1,024".into() });
        }
        Ok(())
    }
}
