//! [`nearest`]: a routing stage that is not learned. It leads to the clusters whose means are nearest.

use ndarray::{Array2, Array3, ArrayView2, Axis};

use crate::LearnError;
use crate::clusters::tree::Tree;
use crate::heads::routing::{Router, RouterSettings};
use crate::heads::stage::FloatStage;
use crate::math::grid::UniformGrid;
use crate::math::matrix::{self, normalise_rows};

/// The router of `tree`'s routing stage `stage` with the means of what lies behind each choice as rows, from unit vectors of all classes, shape
/// `[classes, width]`. Its inputs are those vectors, as the last stage sees them.
///
/// Of few classes a mean keeps most of each class's inner product with a disturbed example, `sqrt((1 + (m - 1) c) / m)` of `m` of cosine
/// `c`. So small clusters need no other router, and thousands of them cost nothing where the client looks for them in the clear.
///
/// These rows are public, and a mean of one class would be a row that the server keeps. So where a choice leads to a single class, the class
/// nearest to it is taken into the mean.
pub(crate) fn nearest(
    classes: ArrayView2<f32>,
    tree: &Tree,
    stage: usize,
    settings: &RouterSettings,
) -> Result<Router, LearnError> {
    settings.validate()?;
    let (groups, slots, width) = (tree.groups(stage), tree.branching()[stage], classes.ncols());
    let mut sums = Array2::<f32>::zeros((groups * slots, width));
    let mut behind: Vec<Vec<u32>> = vec![Vec::new(); groups * slots];
    for (leaf, members) in tree.leaves().iter().enumerate() {
        let (group, slot) = tree.choice(stage, leaf);
        behind[group * slots + slot].extend(members);
    }
    for members in &mut behind {
        members.sort_unstable();
        members.dedup();
    }
    let alone: Vec<usize> = (0..behind.len()).filter(|&choice| behind[choice].len() == 1).collect();
    let only: Vec<usize> = alone.iter().map(|&choice| behind[choice][0] as usize).collect();
    let company = matrix::nearest(classes.select(Axis(0), &only).view(), classes, |row| Some(only[row]));
    for (choice, class) in alone.into_iter().zip(company) {
        behind[choice].extend(class.map(|class| class as u32));
    }
    for (mut sum, members) in sums.rows_mut().into_iter().zip(&behind) {
        members.iter().for_each(|&class| sum += &classes.row(class as usize));
    }
    normalise_rows(&mut sums);
    let rows = Array3::from_shape_fn((groups, slots, width), |(group, slot, i)| sums[(group * slots + slot, i)]);
    let stage = FloatStage {
        rows,
        biases: Array2::zeros((groups, slots)),
        counts: vec![slots; groups],
        grid: UniformGrid::for_unit_vectors(settings.weight_bits, width)?,
    };
    let input = UniformGrid::for_unit_vectors(settings.input_bits, width)?;
    Ok(Router { trunk: Vec::new(), input, stage, scale: settings.scale })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::clusters::kmeans::ClusterSettings;

    #[test]
    fn no_row_that_the_server_keeps_is_made_public() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut classes = Array2::from_shape_fn((90, 12), |_| rng.random::<f32>() - 0.5);
        normalise_rows(&mut classes);
        // Clusters of three on average, so some have one class, and a second stage.
        for branching in [&[60][..], &[10, 6]] {
            let tree = Tree::grow(classes.view(), branching, ClusterSettings::default(), 1).unwrap();
            assert!(tree.leaves().iter().any(|leaf| leaf.len() == 1));
            for stage in 0..branching.len() {
                let router = nearest(classes.view(), &tree, stage, &RouterSettings::default()).unwrap();
                let rows = router.stage.rows;
                for row in rows.rows() {
                    assert!((row.dot(&row) - 1.0).abs() < 1e-4);
                    let near = classes.rows().into_iter().map(|class| class.dot(&row)).fold(-1.0, f32::max);
                    assert!(near < 0.999, "a row is a class");
                }
            }
        }
    }
}
