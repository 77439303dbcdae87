//! *Distractors*: rows of songs that do not exist, for libraries larger than there is music.
//!
//! Whether a song is still told apart among millions cannot be asked of a few thousand. So the rows of a library are taken for a sample of a
//! density over the whitened space, and as many further rows as are wanted are drawn from it. Every one of them has examples of its
//! own, which scatter like those of the real row that it is most alike. They are clustered, routed to and scored like real
//! ones. `experiments/distractors` says how well they stand for them.

pub(crate) mod crowd;
pub(crate) mod density;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sordino_model::Label;

use crate::LearnError;

/// How many rows are drawn, and from what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistractorSettings {
    /// Rows that are drawn, each a label of its own; 0 for a library of real ones alone.
    pub rows: usize,
    /// Normal distributions in the mixture that they are drawn from; 0 for as many as make songs likeliest that it was not fitted to.
    pub components: usize,
}

impl DistractorSettings {
    /// Nobody clusters more rows than this.
    const MOST: usize = 1 << 25;

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.rows == 0
    }

    pub(crate) fn validate(&self) -> Result<(), LearnError> {
        if self.rows > Self::MOST {
            let (found, expected) = (self.rows.to_string(), format!("at most {}", Self::MOST));
            return Err(LearnError::Setting { setting: "distractors.rows", found, expected });
        }
        Ok(())
    }
}

/// Descriptions of so many drawn rows, with ids that no label has yet.
pub(crate) fn labels(count: usize, taken: &[Label]) -> Vec<Label> {
    let taken: BTreeSet<u32> = taken.iter().map(|label| label.track_id).collect();
    let free = (0..=u32::MAX).rev().filter(|id| !taken.contains(id)).take(count);
    let label = |(place, track_id): (usize, u32)| Label {
        track_id,
        artist: String::new(),
        title: format!("distractor {}", place + 1),
        album: String::new(),
        licence: String::new(),
    };
    free.enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_rows_have_ids_of_their_own() {
        let mut taken = labels(2, &[]);
        assert_eq!(taken.iter().map(|label| label.track_id).collect::<Vec<_>>(), [u32::MAX, u32::MAX - 1]);
        taken.remove(0);
        let ids: Vec<u32> = labels(3, &taken).iter().map(|label| label.track_id).collect();
        assert_eq!(ids, [u32::MAX, u32::MAX - 2, u32::MAX - 3]);
        assert_eq!(labels(3, &taken)[2].title, "distractor 3");
    }

    #[test]
    fn too_many_are_refused() {
        let settings = |rows| DistractorSettings { rows, components: 0 };
        assert!(settings(DistractorSettings::MOST).validate().is_ok());
        assert!(
            settings(DistractorSettings::MOST + 1).validate().unwrap_err().to_string().contains("distractors.rows")
        );
    }
}
