//! [`Tree`]: which classes hang below which choices, for any number of stages.

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::clusters::kmeans::{ClusterSettings, Clusters, assign, capacity};

/// A tree of choices: `branching[s]` slots in every group of stage `s`, and a list of classes at each leaf. Leaf
/// `l` is reached by the digits of `l` in the mixed radix `branching`, first stage first. Without branching there
/// is one leaf with all classes: `flat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    branching: Vec<usize>,
    leaves: Vec<Vec<u32>>,
}

impl Tree {
    /// Clusters unit vectors of classes, shape `[classes, width]`, into `branching[0]` balanced clusters, each of those
    /// into `branching[1]`, and so on.
    ///
    /// # Errors
    /// [`LearnError::Setting`] where a cluster has fewer classes than it must be divided into.
    pub fn grow(
        classes: ArrayView2<f32>,
        branching: &[usize],
        settings: ClusterSettings,
        seed: u64,
    ) -> Result<Self, LearnError> {
        let mut leaves = vec![(0..classes.nrows() as u32).collect::<Vec<_>>()];
        for (depth, &count) in branching.iter().enumerate() {
            let mut next = Vec::with_capacity(leaves.len() * count);
            for (parent, members) in leaves.iter().enumerate() {
                let rows: Vec<usize> = members.iter().map(|&class| class as usize).collect();
                let points = classes.select(Axis(0), &rows);
                let seed = seed ^ ((depth as u64) << 48) ^ ((parent as u64) << 16);
                let clusters = Clusters::fit(points.view(), count, settings, seed)?;
                next.extend(
                    clusters
                        .members()
                        .into_iter()
                        .map(|m| m.into_iter().map(|i| members[i as usize]).collect::<Vec<_>>()),
                );
            }
            leaves = next;
        }
        Ok(Self { branching: branching.to_vec(), leaves })
    }

    /// Slots in a group of every routing stage.
    pub fn branching(&self) -> &[usize] {
        &self.branching
    }

    /// Classes at every leaf.
    pub fn leaves(&self) -> &[Vec<u32>] {
        &self.leaves
    }

    /// Classes in the fullest leaf: the slots of every group of the last stage.
    pub fn slots(&self) -> usize {
        self.leaves.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Groups of routing stage `stage`.
    pub fn groups(&self, stage: usize) -> usize {
        self.branching[..stage].iter().product()
    }

    /// Group and slot that routing stage `stage` must choose to reach `leaf`.
    pub fn choice(&self, stage: usize, leaf: usize) -> (usize, usize) {
        let path = leaf / self.branching[stage + 1..].iter().product::<usize>();
        (path / self.branching[stage], path % self.branching[stage])
    }

    /// Leaves and slots of every class.
    pub fn places(&self, classes: usize) -> Vec<Vec<(usize, usize)>> {
        let mut places = vec![Vec::new(); classes];
        for (leaf, members) in self.leaves.iter().enumerate() {
            for (slot, &class) in members.iter().enumerate() {
                places[class as usize].push((leaf, slot));
            }
        }
        places
    }

    /// The same choices with every class at the leaf that it most likely reaches, `probabilities` of shape `[classes, leaves]`, as
    /// long as no leaf passes its capacity.
    pub fn reassigned(&self, probabilities: &Array2<f32>, balance: f32) -> Self {
        let (classes, count) = probabilities.dim();
        let assignment = assign(probabilities, capacity(classes, count, balance), &mut vec![0.0; count]);
        let mut leaves = vec![Vec::new(); count];
        for (class, leaf) in assignment.into_iter().enumerate() {
            leaves[leaf as usize].push(class as u32);
        }
        Self { branching: self.branching.clone(), leaves }
    }

    /// The same tree where `copies` slots of the last routing stage lead to the classes of each leaf. A flat tree has no such
    /// stage and stays.
    pub fn replicated(&self, copies: usize) -> Self {
        let mut tree = self.clone();
        if let Some(slots) = tree.branching.last_mut() {
            *slots *= copies;
            tree.leaves = self.leaves.iter().flat_map(|leaf| vec![leaf.clone(); copies]).collect();
        }
        tree
    }

    /// The same tree where each class lives in up to `spill` leaves: its own, and the best of `candidates[class]`
    /// (leaf and probability, any order), as long as no leaf passes its capacity.
    pub fn spilled(&self, candidates: &[Vec<(usize, f32)>], spill: usize, balance: f32) -> Self {
        if spill <= 1 || self.leaves.len() < 2 {
            return self.clone();
        }
        let limit = capacity(candidates.len() * spill, self.leaves.len(), balance);
        let mut leaves = self.leaves.clone();
        let mut places = vec![1usize; candidates.len()];
        let own = self.places(candidates.len());
        let mut offers: Vec<(f32, usize, usize)> = Vec::new();
        for (class, offered) in candidates.iter().enumerate() {
            let foreign = offered.iter().filter(|(leaf, _)| own[class].iter().all(|(l, _)| l != leaf));
            offers.extend(foreign.map(|&(leaf, probability)| (probability, class, leaf)));
        }
        offers.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        for (_, class, leaf) in offers {
            if places[class] < spill && leaves[leaf].len() < limit {
                leaves[leaf].push(class as u32);
                places[class] += 1;
            }
        }
        Self { branching: self.branching.clone(), leaves }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::math::matrix::normalise_rows;

    fn cloud(points: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut rows = Array2::from_shape_fn((points, 8), |_| rng.random::<f32>() - 0.5);
        normalise_rows(&mut rows);
        rows
    }

    #[test]
    fn choices_lead_to_the_leaf() {
        let tree = Tree::grow(cloud(90).view(), &[3, 5], ClusterSettings::default(), 1).unwrap();
        assert_eq!((tree.leaves().len(), tree.groups(0), tree.groups(1)), (15, 1, 3));
        let mut all: Vec<u32> = tree.leaves().concat();
        all.sort_unstable();
        assert_eq!(all, (0..90).collect::<Vec<_>>());
        for leaf in 0..15 {
            let ((g0, s0), (g1, s1)) = (tree.choice(0, leaf), tree.choice(1, leaf));
            assert_eq!((g0, g1, s0 * 5 + s1), (0, s0, leaf));
        }
    }

    #[test]
    fn copies_of_a_leaf_are_reached_by_slots_of_their_own() {
        let tree = Tree::grow(cloud(90).view(), &[3, 5], ClusterSettings::default(), 1).unwrap();
        let twice = tree.replicated(2);
        assert_eq!((twice.branching(), twice.slots()), ([3, 10].as_slice(), tree.slots()));
        for leaf in 0..30 {
            assert_eq!(twice.leaves()[leaf], tree.leaves()[leaf / 2]);
            let [(g0, s0), (g1, s1)] = [0, 1].map(|stage| twice.choice(stage, leaf));
            let [(h0, t0), (h1, t1)] = [0, 1].map(|stage| tree.choice(stage, leaf / 2));
            assert_eq!((g0, s0, g1, s1 / 2), (h0, t0, h1, t1));
        }
        let flat = Tree::grow(cloud(10).view(), &[], ClusterSettings::default(), 1).unwrap();
        assert_eq!(flat.replicated(3), flat);
    }

    #[test]
    fn passages_move_where_they_are_led_to() {
        let tree = Tree::grow(cloud(60).view(), &[6], ClusterSettings::default(), 1).unwrap();
        // Everything is led to leaf `passage % 4`, a little: two leaves of six would stay empty were there room.
        let probabilities = Array2::from_shape_fn((60, 6), |(class, leaf)| if leaf == class % 4 { 0.5 } else { 0.1 });
        let moved = tree.reassigned(&probabilities, 1.5);
        assert!(moved.leaves().iter().all(|leaf| leaf.len() <= 15));
        let mut all: Vec<u32> = moved.leaves().concat();
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
        assert!((0..4).all(|leaf| moved.leaves()[leaf].iter().all(|class| *class as usize % 4 == leaf)));
    }

    #[test]
    fn spill_keeps_the_bound_and_the_own_leaf() {
        let tree = Tree::grow(cloud(100).view(), &[7], ClusterSettings::default(), 1).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let candidates: Vec<Vec<(usize, f32)>> =
            (0..100).map(|_| (0..7).map(|leaf| (leaf, rng.random::<f32>() * (leaf + 1) as f32)).collect()).collect();
        for spill in 1..=3 {
            let spilled = tree.spilled(&candidates, spill, 1.1);
            assert!(spilled.slots() <= capacity(100 * spill, 7, 1.1));
            for (places, own) in spilled.places(100).iter().zip(tree.places(100)) {
                assert!(places.len() <= spill && places.iter().any(|(leaf, _)| *leaf == own[0].0));
                let mut leaves: Vec<usize> = places.iter().map(|p| p.0).collect();
                leaves.dedup();
                assert_eq!(leaves.len(), places.len(), "a label is twice in a leaf");
            }
            assert!(spilled.leaves().iter().map(Vec::len).sum::<usize>() > 95 * spill);
        }
    }

    #[test]
    fn no_branching_is_flat() {
        let tree = Tree::grow(cloud(10).view(), &[], ClusterSettings::default(), 1).unwrap();
        assert_eq!((tree.leaves().len(), tree.slots()), (1, 10));
    }
}
