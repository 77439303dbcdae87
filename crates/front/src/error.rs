//! [`FrontError`]: what the public front end refuses.

use thiserror::Error;

use crate::SpecError;

/// A front end that cannot be built, or a clip it cannot turn into integers.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum FrontError {
    /// The feature spec describes no usable front end.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Two parts do not fit together.
    #[error("front: {part} has {what} {found}, expected {expected}")]
    Shape {
        /// Where, e.g. `heads.tracks.layers.2`.
        part: String,
        /// Which size.
        what: &'static str,
        /// The size given.
        found: usize,
        /// The size needed.
        expected: usize,
    },
    /// A setting is outside its range.
    #[error("front: {part} has {what} {found}, expected {expected}")]
    Setting {
        /// Where.
        part: String,
        /// Which setting.
        what: &'static str,
        /// What it held.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// A weight is NaN or infinite.
    #[error("front: {part} holds a number that is not finite; the training diverged or the file is damaged")]
    WeightNotFinite {
        /// Where.
        part: String,
    },
    /// The clip is shorter than a query.
    #[error("clip: {found:.2} s long, expected at least {expected:.2} s")]
    Short {
        /// Seconds given.
        found: f32,
        /// Seconds needed.
        expected: f32,
    },
    /// The asked window leaves the clip.
    #[error("clip: a window of {length:.2} s at {start:.2} s leaves the clip of {found:.2} s")]
    Outside {
        /// Where the window was asked to start, in seconds.
        start: f32,
        /// Length of the window in seconds.
        length: f32,
        /// Length of the clip in seconds.
        found: f32,
    },
    /// The clip holds no sound, or samples that are not numbers.
    #[error("clip: {stage} is not finite; the clip is silent or holds samples that are not numbers")]
    NotFinite {
        /// What came out not finite.
        stage: &'static str,
    },
    /// Sound for a model that takes vectors.
    #[error("front: this model takes vectors of {width} numbers, not sound; hand them in as features")]
    NotSound {
        /// Numbers in a vector.
        width: usize,
    },
    /// No head of that number.
    #[error("front: head {found} asked for, expected below {heads}")]
    NoHead {
        /// The head asked for.
        found: usize,
        /// Heads there are.
        heads: usize,
    },
}

impl FrontError {
    pub(crate) fn shape(part: impl Into<String>, what: &'static str, found: usize, expected: usize) -> Self {
        Self::Shape { part: part.into(), what, found, expected }
    }

    pub(crate) fn setting(part: &str, what: &'static str, found: impl ToString, expected: &'static str) -> Self {
        Self::Setting { part: part.into(), what, found: found.to_string(), expected }
    }
}

/// Refuses a weight that is not a number.
pub(crate) fn finite<'a>(part: &str, values: impl IntoIterator<Item = &'a f32>) -> Result<(), FrontError> {
    if values.into_iter().all(|v| v.is_finite()) {
        Ok(())
    } else {
        Err(FrontError::WeightNotFinite { part: part.into() })
    }
}

/// Refuses a size other than the one needed.
pub(crate) fn same(part: &str, what: &'static str, found: usize, expected: usize) -> Result<(), FrontError> {
    if found == expected { Ok(()) } else { Err(FrontError::shape(part, what, found, expected)) }
}
