//! Where routing leads every class, and so in which leaves it should live.

use ndarray::{Array2, ArrayView1};

use crate::LearnError;
use crate::clusters::tree::Tree;
use crate::heads::routing::Router;
use crate::space::unit_vectors::UnitVectors;

/// How likely every class is led to every leaf, `[classes, leaves]`: the product of its routing probabilities, averaged over
/// its examples.
pub(super) fn probabilities(
    vectors: &UnitVectors<'_>,
    tree: &Tree,
    routers: &[Router],
) -> Result<Array2<f32>, LearnError> {
    const ROUNDS: usize = 16;
    let rounds = vectors.rounds().min(ROUNDS);
    let mut probabilities = Array2::<f32>::zeros((vectors.class_count(), tree.leaves().len()));
    for round in 0..rounds {
        let examples = vectors.round(round)?;
        let logs: Vec<Array2<f32>> = routers.iter().map(|r| r.log_probabilities(examples.view())).collect();
        for ((class, leaf), probability) in probabilities.indexed_iter_mut() {
            let path = |(stage, logs): (usize, &Array2<f32>)| {
                let (group, slot) = tree.choice(stage, leaf);
                logs[(class, group * tree.branching()[stage] + slot)]
            };
            *probability += logs.iter().enumerate().map(path).sum::<f32>().exp() / rounds as f32;
        }
    }
    Ok(probabilities)
}

/// The `keep` likeliest leaves of every class.
pub(super) fn likeliest(probabilities: &Array2<f32>, keep: usize) -> Vec<Vec<(usize, f32)>> {
    let strongest = |row: ArrayView1<f32>| {
        let mut leaves: Vec<(usize, f32)> = row.iter().copied().enumerate().collect();
        leaves.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        leaves.truncate(keep);
        leaves
    };
    probabilities.rows().into_iter().map(strongest).collect()
}
