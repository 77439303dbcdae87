//! [`Classes`]: which label every class has.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sordino_corpus::Part;

/// The label of every class. Classes of one label stand together, labels in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes(Vec<u32>);

impl Classes {
    /// One class for each of `labels` labels.
    pub fn one_per_label(labels: usize) -> Self {
        Self((0..labels as u32).collect())
    }

    /// So many classes of every label, labels in order.
    pub fn per_label(counts: impl IntoIterator<Item = usize>) -> Self {
        Self(counts.into_iter().enumerate().flat_map(|(label, count)| vec![label as u32; count]).collect())
    }

    /// The same with so many further labels of one class each.
    pub(crate) fn with_labels(mut self, more: usize) -> Self {
        let first = self.labels() as u32;
        self.0.extend(first..first + more as u32);
        self
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.0.last().map_or(0, |&label| label as usize + 1)
    }

    /// The label of a class.
    pub fn label(&self, class: usize) -> u32 {
        self.0[class]
    }

    /// All classes of the label that `class` has.
    pub fn siblings(&self, class: usize) -> Range<usize> {
        let label = self.0[class] as usize;
        self.of_labels(label..label + 1)
    }

    /// All classes of a part's labels.
    pub(crate) fn of_part(&self, part: Part) -> Range<usize> {
        self.of_labels(part.range(self.labels()))
    }

    /// All classes of some neighbouring labels.
    pub(crate) fn of_labels(&self, labels: Range<usize>) -> Range<usize> {
        let first = |label: usize| self.0.partition_point(|&other| (other as usize) < label);
        first(labels.start)..first(labels.end)
    }

    /// The labels of all classes, in order.
    pub fn all(&self) -> &[u32] {
        &self.0
    }

    /// So many rounds of one example of every class give every label `per_label` examples or a few more, and every class `least`.
    pub(crate) fn rounds(&self, per_label: usize, least: usize) -> usize {
        (per_label * self.labels()).div_ceil(self.len().max(1)).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_shared_between_a_labels_classes() {
        let classes = Classes::per_label([3, 3, 1]);
        assert_eq!((classes.len(), classes.labels(), classes.label(5)), (7, 3, 1));
        assert_eq!([0, 2, 3, 6].map(|class| classes.siblings(class)), [0..3, 0..3, 3..6, 6..7]);
        assert_eq!((classes.rounds(20, 4), classes.rounds(4, 4)), (9, 4));
        assert_eq!(Classes::one_per_label(4).rounds(20, 4), 20);
        assert_eq!(Classes::per_label([2, 1]).with_labels(2), Classes::per_label([2, 1, 1, 1]));
        let classes = Classes::per_label([2; 200]);
        assert_eq!(
            ("2/2".parse().map(|part| classes.of_part(part)), classes.of_part(Part::WHOLE)),
            (Ok(256..400), 0..400)
        );
    }
}
