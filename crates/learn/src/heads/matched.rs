//! [`Matched`]: hidden units that a routing stage's trunk starts with, one for every few classes.
//!
//! A clip that noise has moved far is still nearer to its own class than to any other, for thousands of classes in hundreds of
//! dimensions. It is hardly nearer to the mean of a hundred of them. So a router must hold finer parts than the clusters that it
//! chooses between, and descent from random weights takes very many steps to find such parts. Here they are given: the
//! classes of each choice are divided into groups of a few, and a unit is a matched filter for the mean of a group, which
//! answers where a clip is nearer to that mean than noise would bring it.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::LearnError;
use crate::clusters::kmeans::{ClusterSettings, Clusters};
use crate::clusters::tree::Tree;
use crate::math::affine::Affine;
use crate::math::matrix::argmax;
use crate::space::unit_vectors::prototypes;

/// Units for groups of classes, each of which belongs to one choice of a routing stage.
pub(crate) struct Matched {
    /// Unit means of the groups, shape `[units, width]`.
    means: Array2<f32>,
    /// Group of the routing stage, and slot in it, that every unit speaks for.
    choices: Vec<(usize, usize)>,
}

impl Matched {
    /// Divides the classes below every choice of `tree`'s routing stage `stage` into groups, about `count` of all choices together and
    /// one for each choice at least. No group has a single class, unless `alone` allows it or a choice has no other. `points` are
    /// the classes' unit vectors, shape `[classes, width]`. There are no units where there are more choices than `count`, or where
    /// a choice leads to no class.
    ///
    /// # Errors
    /// As [`Clusters::fit`].
    pub(crate) fn new(
        points: ArrayView2<f32>,
        tree: &Tree,
        stage: usize,
        count: usize,
        alone: bool,
        seed: u64,
    ) -> Result<Self, LearnError> {
        let slots = tree.branching()[stage];
        let mut classes = vec![Vec::new(); tree.groups(stage) * slots];
        for (leaf, members) in tree.leaves().iter().enumerate() {
            let (group, slot) = tree.choice(stage, leaf);
            classes[group * slots + slot].extend(members.iter().map(|&class| class as usize));
        }
        for members in &mut classes {
            members.sort_unstable();
            members.dedup();
        }
        let all: usize = classes.iter().map(Vec::len).sum();
        let settings = ClusterSettings { balance: 1.0, rounds: 8, ..ClusterSettings::default() };
        let divided = |(choice, members): (usize, &Vec<usize>)| {
            let groups = (count * members.len() / all.max(1)).clamp(1, members.len());
            let points = points.select(Axis(0), members);
            let clusters = Clusters::fit(points.view(), groups, settings, seed ^ ((choice as u64) << 16))?;
            let means = if alone { clusters.centroids } else { in_company(points.view(), &clusters) };
            let units = means.nrows();
            Ok((means, vec![(choice / slots, choice % slots); units]))
        };
        if count < classes.len() || classes.iter().any(Vec::is_empty) {
            return Ok(Self { means: Array2::zeros((0, points.ncols())), choices: Vec::new() });
        }
        let parts = classes.par_iter().enumerate().map(divided).collect::<Result<Vec<_>, LearnError>>()?;
        let views: Vec<_> = parts.iter().map(|(means, _)| means.view()).collect();
        let shape = |_| LearnError::Shape { what: "means of groups", found: Vec::new(), expected: vec![count] };
        let means = ndarray::concatenate(Axis(0), &views).map_err(shape)?;
        Ok(Self { means, choices: parts.into_iter().flat_map(|(_, choices)| choices).collect() })
    }

    /// Number of units.
    pub(crate) fn len(&self) -> usize {
        self.choices.len()
    }

    /// Puts the units in place of the first ones of a hidden layer and of the map behind it, shapes `[units, width]` and
    /// `[bottleneck, units]`. `rows`, shape `[groups, slots, bottleneck]`, are those of the stage's classifier.
    ///
    /// The layer sees `sqrt(width) x` for a unit vector `x`, and a unit with mean `m` computes `max(0, 2 (sqrt(width) m.x - 3))`. A
    /// vector that has nothing to do with `m` has an inner product of standard deviation `1 / sqrt(width)` with it, so one in a
    /// thousand gets through. Behind it, every unit adds the row of its choice.
    pub(crate) fn put_into(&self, hidden: &mut Affine, outgoing: &mut Affine, rows: ArrayView3<f32>) {
        /// Slope of a unit, and where it begins to answer, in standard deviations of what is by chance.
        const SLOPE: f32 = 2.0;
        const DEVIATIONS: f32 = 3.0;
        /// The cosine that must do where vectors are short, and large cosines come by chance.
        const COSINE: f32 = 0.25;
        let deviations = DEVIATIONS.min(COSINE * (self.means.ncols() as f32).sqrt());
        for (unit, (mean, &(group, slot))) in self.means.rows().into_iter().zip(&self.choices).enumerate() {
            hidden.weight.row_mut(unit).assign(&(&mean * SLOPE));
            hidden.bias[unit] = -SLOPE * deviations;
            outgoing.weight.column_mut(unit).assign(&rows.index_axis(Axis(0), group).row(slot));
        }
    }
}

/// Unit means of the clusters of several points, after every point that is alone has joined the nearest of them: a mean of one would be a
/// copy of it. Where nobody has company, all are one group.
fn in_company(points: ArrayView2<f32>, clusters: &Clusters) -> Array2<f32> {
    let members = clusters.members();
    let kept: Vec<usize> = (0..members.len()).filter(|&cluster| members[cluster].len() > 1).collect();
    let similarity = points.dot(&clusters.centroids.select(Axis(0), &kept).t());
    let group = |(point, &cluster): (usize, &u32)| {
        let own = kept.iter().position(|&one| one == cluster as usize);
        own.or_else(|| argmax(similarity.row(point).iter())).unwrap_or_default() as u32
    };
    let groups: Vec<u32> = clusters.assignment.iter().enumerate().map(group).collect();
    prototypes(points, &groups, kept.len().max(1))
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::math::matrix::normalise_rows;

    fn normal(rows: usize, width: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = Array2::from_shape_simple_fn((rows, width), || StandardNormal.sample(&mut rng));
        normalise_rows(&mut drawn);
        drawn
    }

    /// Hidden layer and the map behind it, of these units alone.
    fn maps(matched: &Matched, rows: ArrayView3<f32>) -> (Affine, Affine) {
        let zeros = |shape: (usize, usize)| Affine { weight: Array2::zeros(shape), bias: Array1::zeros(shape.0) };
        let mut maps = (zeros((matched.len(), matched.means.ncols())), zeros((rows.dim().2, matched.len())));
        matched.put_into(&mut maps.0, &mut maps.1, rows);
        maps
    }

    /// Share of classes whose noisy vectors the units alone lead to the right choice.
    fn led(classes: ArrayView2<f32>, tree: &Tree, stage: usize, count: usize) -> f32 {
        let (groups, slots) = (tree.groups(stage), tree.branching()[stage]);
        let rows = normal(groups * slots, 64, 8).into_shape_with_order((groups, slots, 64)).unwrap();
        let matched = Matched::new(classes, tree, stage, count, false, 1).unwrap();
        let (hidden, outgoing) = maps(&matched, rows.view());
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut right = 0;
        for (leaf, members) in tree.leaves().iter().enumerate() {
            let (group, slot) = tree.choice(stage, leaf);
            for &class in members {
                let noise = rng.random::<f32>();
                let mut x = normal(1, classes.ncols(), u64::from(class)) * noise + classes.row(class as usize);
                normalise_rows(&mut x);
                let seen = x.row(0).to_owned() * (classes.ncols() as f32).sqrt();
                let z = outgoing.weight.dot(&(hidden.weight.dot(&seen) + &hidden.bias).mapv(|v| v.max(0.0)));
                let scores = rows.index_axis(Axis(0), group).dot(&z);
                right += usize::from(argmax(scores.iter()) == Some(slot));
            }
        }
        right as f32 / classes.nrows() as f32
    }

    #[test]
    fn units_know_the_way_before_anything_is_learned() {
        let classes = normal(600, 256, 5);
        for (branching, stage) in [(vec![20], 0), (vec![5, 5], 0), (vec![5, 5], 1)] {
            let tree = Tree::grow(classes.view(), &branching, ClusterSettings::default(), 1).unwrap();
            let (few, many) = (led(classes.view(), &tree, stage, 25), led(classes.view(), &tree, stage, 200));
            assert!(many > 0.9 && many > few, "{branching:?}, stage {stage}: {few} with 25 units, {many} with 200");
        }
    }

    #[test]
    fn every_choice_has_a_unit_and_all_have_about_as_many_as_are_asked_for() {
        let classes = normal(100, 16, 5);
        let tree = Tree::grow(classes.view(), &[7], ClusterSettings::default(), 1).unwrap();
        for (count, expected) in [(10, 7..=10), (30, 24..=30), (10_000, 100..=100)] {
            let matched = Matched::new(classes.view(), &tree, 0, count, true, 1).unwrap();
            assert!(expected.contains(&matched.len()), "{count}: {}", matched.len());
            assert!((0..7).all(|slot| matched.choices.contains(&(0, slot))));
        }
        assert_eq!(Matched::new(classes.view(), &tree, 0, 6, true, 1).unwrap().len(), 0);
        // In short vectors too a unit answers to its own mean.
        let short = normal(30, 3, 5);
        let tree = Tree::grow(short.view(), &[2], ClusterSettings::default(), 1).unwrap();
        let matched = Matched::new(short.view(), &tree, 0, 10, false, 1).unwrap();
        let (hidden, _) = maps(&matched, normal(2, 4, 1).into_shape_with_order((1, 2, 4)).unwrap().view());
        let largest = hidden.weight.rows().into_iter().map(|w| w.dot(&w) / 2.0 * 3f32.sqrt()).zip(&hidden.bias);
        assert!(largest.into_iter().all(|(answer, bias)| answer + bias > 0.0));
    }

    #[test]
    fn no_unit_is_a_copy_of_a_class() {
        let classes = normal(101, 16, 5);
        let tree = Tree::grow(classes.view(), &[7], ClusterSettings::default(), 1).unwrap();
        let largest = |alone| {
            let means = Matched::new(classes.view(), &tree, 0, 50, alone, 1).unwrap().means;
            assert!(means.nrows() > 30);
            means.dot(&classes.t()).fold(0f32, |top, &cosine| top.max(cosine))
        };
        assert!(largest(false) < 0.99, "{}", largest(false));
        // One class is all that a choice has: there is no company.
        let two = normal(2, 16, 5);
        let tree = Tree::grow(two.view(), &[2], ClusterSettings::default(), 1).unwrap();
        assert_eq!(Matched::new(two.view(), &tree, 0, 2, false, 1).unwrap().len(), 2);
    }
}
