//! [`Places`]: some of very many examples, evenly spread.

use std::ops::Range;

use ndarray::{Array2, Axis};

/// Places of examples that are drawn in rounds: the round and the class of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places(Vec<(usize, usize)>);

impl Places {
    /// At most `most` of the examples of `rounds` rounds of these classes, evenly spread.
    pub(crate) fn spread(rounds: usize, classes: &[usize], most: usize) -> Self {
        let all = rounds * classes.len();
        let count = all.min(most);
        let place = |i: usize| i * all / count.max(1);
        Self((0..count).map(place).map(|i| (i / classes.len(), classes[i % classes.len()])).collect())
    }

    /// Number of places.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Round and class of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.0.iter().copied()
    }

    /// Those of some neighbouring classes, in order.
    pub(crate) fn within(&self, classes: &Range<usize>) -> Self {
        Self(self.iter().filter(|(_, class)| classes.contains(class)).collect())
    }

    /// One array of a row for every place, from arrays that each have a row for every place within some classes.
    pub(crate) fn joined<'a>(
        &self,
        width: usize,
        parts: impl Iterator<Item = (&'a Range<usize>, &'a Array2<f32>)>,
    ) -> Array2<f32> {
        let mut all = Array2::zeros((self.len(), width));
        for (classes, part) in parts {
            let own = self.iter().enumerate().filter(|(_, (_, class))| classes.contains(class));
            for ((place, _), row) in own.zip(part.axis_iter(Axis(0))) {
                all.row_mut(place).assign(&row);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread() {
        assert_eq!(Places::spread(2, &[3, 5], 9).iter().collect::<Vec<_>>(), [(0, 3), (0, 5), (1, 3), (1, 5)]);
        assert_eq!(Places::spread(2, &[], 9).len() + Places::spread(0, &[1], 9).len(), 0);
        let classes: Vec<usize> = (0..1_000).collect();
        let some = Places::spread(100, &classes, 16_384);
        let places: Vec<usize> = some.iter().map(|(round, class)| 1_000 * round + class).collect();
        assert_eq!((some.len(), places[0]), (16_384, 0));
        assert!(places.windows(2).all(|pair| (6..=7).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn parts_are_joined_in_order() {
        let places = Places::spread(3, &[0, 1, 2, 4], 7);
        let row = |(round, class): (usize, usize)| [round as f32, class as f32];
        let rows = |places: &Places| Array2::from_shape_fn((places.len(), 2), |(i, j)| row(places.0[i])[j]);
        let parts = [0..2, 2..5].map(|classes| (classes.clone(), rows(&places.within(&classes))));
        assert_eq!(places.joined(2, parts.iter().map(|(classes, rows)| (classes, rows))), rows(&places));
    }
}
