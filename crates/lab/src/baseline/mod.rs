//! Systems that this project is compared with, built on the same libraries and asked the same queries.

use sordino_learn::Answer;

use crate::LabError;

/// What a system keeps from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Privacy {
    /// What the server learns about the query and its answer.
    pub server_learns: &'static str,
    /// What the client learns beyond its answer.
    pub client_learns: &'static str,
}

/// A system that names clips.
pub trait Baseline: Sync {
    /// What it keeps from whom.
    fn privacy(&self) -> Privacy;

    /// The best tracks, by their place in the library it was built from, for a clip of mono samples at the rate of that
    /// library's front end.
    ///
    /// # Errors
    /// [`LabError`] where the clip cannot be used, for instance silence.
    fn answer(&self, samples: &[f32]) -> Result<Answer, LabError>;
}
