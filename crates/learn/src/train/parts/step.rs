//! [`Step`]: the steps of training in parts, and which files each of them reads and writes.

use std::fmt;

use sordino_corpus::Part;

/// A step of training in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Examples are drawn.
    Clips,
    /// How they scatter is added up.
    Covariance,
    /// They are put into the space.
    Projection,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Clips, Self::Covariance, Self::Projection];

    /// The first step that is not merged yet, where `there` says which files are.
    pub fn due(there: impl Fn(&str) -> bool) -> Self {
        let merged = |step: &Self| step.merged().is_some_and(&there);
        Self::ALL.into_iter().find(|step| !merged(step)).unwrap_or(Self::Projection)
    }

    /// Files that the merge reads, of those that there are.
    pub fn merges<'a>(self, there: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let earlier: &[&str] = match self {
            Self::Clips => &[],
            Self::Covariance => &[STANDARDS],
            Self::Projection => &[STANDARDS, SPACES, CLIPS, ROWS],
        };
        let wanted = |name: &&String| {
            earlier.contains(&name.as_str())
                || name.split_once('-').is_some_and(|(what, _)| what == self.shared() || earlier.contains(&what))
        };
        there.into_iter().filter(wanted).cloned().collect()
    }

    /// Files that a part reads, of those in the folder: first those of the merge before, then its own of earlier steps.
    pub fn reads(self, part: Part) -> Vec<String> {
        let (merged, own) = match self {
            Self::Clips => (&[][..], &[][..]),
            Self::Covariance => (&[STANDARDS][..], &[FEATURES][..]),
            Self::Projection => (&[STANDARDS, SPACES][..], &[FEATURES][..]),
        };
        merged.iter().map(|&name| name.into()).chain(own.iter().map(|name| own_name(name, part))).collect()
    }

    /// Files that a part writes: first those that merges read, then those that only the part itself does. `rows` says whether the last merge
    /// learns anything from all examples.
    pub fn writes(self, part: Part, rows: bool) -> (Vec<String>, Vec<String>) {
        let merged = [self.shared()].into_iter().chain((self == Self::Projection && rows).then_some(ROWS));
        let own = (self == Self::Clips).then_some(FEATURES);
        let name = |name| own_name(name, part);
        (merged.map(name).collect(), own.map(name).into_iter().collect())
    }

    /// What a part's file is called that its merge reads.
    pub(super) fn shared(self) -> &'static str {
        match self {
            Self::Clips => CLIPS,
            Self::Covariance => COVARIANCE,
            Self::Projection => PROJECTION,
        }
    }

    /// The file that the merge writes behind it; none behind the last.
    pub fn merged(self) -> Option<&'static str> {
        match self {
            Self::Clips => Some(STANDARDS),
            Self::Covariance => Some(SPACES),
            Self::Projection => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clips => "clips",
            Self::Covariance => "covariance",
            Self::Projection => "projection",
        })
    }
}

pub(super) const FEATURES: &str = "features";
pub(super) const CLIPS: &str = "clips";
pub(super) const STANDARDS: &str = "standards.part";
pub(super) const COVARIANCE: &str = "covariance";
pub(super) const SPACES: &str = "spaces.part";
pub(super) const PROJECTION: &str = "projection";
pub(super) const ROWS: &str = "rows";

/// What the file of some kind of a part is called.
pub(super) fn own_name(name: &str, part: Part) -> String {
    format!("{name}-{}.part", part.to_string().replace('/', "-of-"))
}
