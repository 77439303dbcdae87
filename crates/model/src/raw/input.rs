//! [`RawInput`]: where the vector of a hierarchy comes from that hears encrypted samples.

use super::{Length, RawError, RawFront};

/// How a server makes the vector of a hierarchy's only stage from encrypted samples, and what it holds the best score against.
#[derive(Clone, Debug, PartialEq)]
pub struct RawInput {
    front: RawFront,
    length: Length,
    spread: u64,
}

impl RawInput {
    /// Puts a front and a length together. `spread` is how far the scores of one query lie apart, of all but a few, and at most the numbers along a direction.
    /// The room for them on the torus follows from it. For all queries that there could be it would have to be some thirty times as large, and would leave
    /// nothing for the noise; what a query does that goes further is said where it is asked.
    ///
    /// # Errors
    /// [`RawError`] for directions on another vector than the front's features, or no spread.
    pub fn new(front: RawFront, length: Length, spread: u64) -> Result<Self, RawError> {
        if spread == 0 {
            return Err(RawError { field: "spread", found: "0".into(), expected: "at least 1".into() });
        }
        let (found, expected) = (length.directions().input(), front.spec().bound());
        if found != expected {
            let (found, expected) = (format!("{found:?}"), format!("{expected:?}, the bound of the front's features"));
            return Err(RawError { field: "length", found, expected });
        }
        Ok(Self { front, length, spread })
    }

    /// From samples to features.
    pub fn front(&self) -> &RawFront {
        &self.front
    }

    /// How far the scores of one query lie apart, of all but a few.
    pub fn spread(&self) -> u64 {
        self.spread
    }

    /// What the best score is held against.
    pub fn length(&self) -> &Length {
        &self.length
    }
}
