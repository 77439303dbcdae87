//! [`StageShape`] and [`HierarchyShape`]: what both halves of a model know of its stages, without the weights.

use serde::{Deserialize, Serialize};
use sordino_front::VectorBound;
use thiserror::Error;

/// Parts that do not make a stage or a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StageError {
    /// A table has the wrong number of entries.
    #[error("stage: {table} has {found} entries, expected {expected}")]
    Length {
        /// Which table.
        table: &'static str,
        /// Entries given.
        found: usize,
        /// Entries needed.
        expected: usize,
    },
    /// A group uses more slots than the stage has.
    #[error("stage: group {group} uses {found} slots, expected at most {slots}")]
    Count {
        /// The group.
        group: usize,
        /// Slots it claims.
        found: usize,
        /// Slots there are.
        slots: usize,
    },
    /// The groups of a stage do not follow from the stage before it.
    #[error(
        "hierarchy: stage {stage} has {found} groups, expected {expected} (one per path through the stages before it)"
    )]
    Groups {
        /// The stage, counted from 0.
        stage: usize,
        /// Groups it has.
        found: usize,
        /// Groups it needs.
        expected: usize,
    },
    /// Stages that cannot get their vector from encrypted samples.
    #[error("hierarchy: samples lead to one stage of one group that takes {expected:?}")]
    Raw {
        /// What the features keep to.
        expected: VectorBound,
    },
    /// A group that no used slot leads to has used slots itself.
    #[error("hierarchy: group {group} of stage {stage} uses {found} slots below a padding slot, expected 0")]
    Orphan {
        /// The stage, counted from 0.
        stage: usize,
        /// The group.
        group: usize,
        /// Slots it uses.
        found: usize,
    },
    /// A bound on the input that no useful vector keeps.
    #[error("stage: input bound has {field} {found}, expected {expected}")]
    Bound {
        /// The field.
        field: &'static str,
        /// What it held.
        found: i64,
        /// What it may hold.
        expected: &'static str,
    },
    /// No stages, a stage without groups or slots, or a first stage that uses none of its slots.
    #[error("hierarchy: no stages, or a stage without groups or slots; expected at least one of each")]
    Empty,
}

/// The shape of a [`crate::stage::Stage`]: `groups` classifiers of up to `outputs` classes over one input vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawStageShape", into = "RawStageShape")]
pub struct StageShape {
    outputs: usize,
    input: VectorBound,
    counts: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStageShape {
    outputs: usize,
    input: VectorBound,
    counts: Vec<usize>,
}

impl TryFrom<RawStageShape> for StageShape {
    type Error = StageError;
    fn try_from(raw: RawStageShape) -> Result<Self, StageError> {
        Self::new(raw.outputs, raw.input, raw.counts)
    }
}

impl From<StageShape> for RawStageShape {
    fn from(shape: StageShape) -> Self {
        let StageShape { outputs, input, counts } = shape;
        Self { outputs, input, counts }
    }
}

impl StageShape {
    /// A stage of `counts.len()` groups with `outputs` slots each, of which group `g` uses the first `counts[g]`.
    ///
    /// # Errors
    /// [`StageError::Empty`], [`StageError::Bound`] or [`StageError::Count`].
    pub fn new(outputs: usize, input: VectorBound, counts: Vec<usize>) -> Result<Self, StageError> {
        if counts.is_empty() || outputs == 0 || input.width == 0 {
            return Err(StageError::Empty);
        }
        if input.max_abs < 1 {
            let found = i64::from(input.max_abs);
            return Err(StageError::Bound { field: "max_abs", found, expected: "at least 1" });
        }
        let over = counts.iter().enumerate().find(|&(_, &used)| used > outputs);
        if let Some((group, &found)) = over {
            return Err(StageError::Count { group, found, slots: outputs });
        }
        Ok(Self { outputs, input, counts })
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.counts.len()
    }

    /// Number of slots of every group, used or not.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Used slots of every group.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Used slots of all groups together.
    pub fn used(&self) -> usize {
        self.counts.iter().fold(0, |sum, &used| sum.saturating_add(used))
    }

    /// What the input vector keeps to.
    pub fn input(&self) -> VectorBound {
        self.input
    }
}

/// The shapes of a [`crate::stage::Hierarchy`]'s stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<StageShape>", into = "Vec<StageShape>")]
pub struct HierarchyShape(Vec<StageShape>);

impl TryFrom<Vec<StageShape>> for HierarchyShape {
    type Error = StageError;
    fn try_from(stages: Vec<StageShape>) -> Result<Self, StageError> {
        Self::new(stages)
    }
}

impl From<HierarchyShape> for Vec<StageShape> {
    fn from(shape: HierarchyShape) -> Self {
        shape.0
    }
}

impl HierarchyShape {
    /// Checks that each stage has one group per path through the stages before it.
    ///
    /// Group `g` of stage `s + 1` belongs to slot `g % outputs` of group `g / outputs` of stage `s`. A group that
    /// hangs below a padding slot uses no slots itself.
    ///
    /// # Errors
    /// [`StageError::Empty`], [`StageError::Groups`] or [`StageError::Orphan`].
    pub fn new(stages: Vec<StageShape>) -> Result<Self, StageError> {
        let first = stages.first().filter(|first| first.used() > 0).ok_or(StageError::Empty)?;
        if first.groups() != 1 {
            return Err(StageError::Groups { stage: 0, found: first.groups(), expected: 1 });
        }
        for (above, pair) in stages.windows(2).enumerate() {
            let (parent, child, stage) = (&pair[0], &pair[1], above + 1);
            let expected = parent.groups().saturating_mul(parent.outputs);
            if child.groups() != expected {
                return Err(StageError::Groups { stage, found: child.groups(), expected });
            }
            let reached = |group: usize| group % parent.outputs < parent.counts[group / parent.outputs];
            let orphan = child.counts.iter().enumerate().find(|&(group, &used)| used > 0 && !reached(group));
            if let Some((group, &found)) = orphan {
                return Err(StageError::Orphan { stage, group, found });
            }
        }
        Ok(Self(stages))
    }

    /// The stages.
    pub fn stages(&self) -> &[StageShape] {
        &self.0
    }

    /// The last stage, whose slots are tracks.
    pub fn last(&self) -> &StageShape {
        // A hierarchy is never empty.
        &self.0[self.0.len() - 1]
    }
}

impl AsRef<HierarchyShape> for HierarchyShape {
    fn as_ref(&self) -> &HierarchyShape {
        self
    }
}
