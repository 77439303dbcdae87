//! [`draw`]: examples in rounds of one example of every class.

use std::ops::Range;

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use crate::LearnError;
use crate::examples::{Examples, Purpose};
use crate::math::random::stream;
use crate::run::progress::Report;
use crate::run::training_run::TrainingRun;

/// Base vectors of some rounds of `of`, round by round: `[rounds * classes, width]`. What is drawn depends on the seed, the
/// purpose and the place in the sequence alone.
pub(crate) fn draw(
    examples: &dyn Examples,
    purpose: Purpose,
    rounds: Range<usize>,
    of: usize,
    run: &TrainingRun<'_>,
) -> Result<Array2<f32>, LearnError> {
    let (classes, width) = (examples.classes().len(), examples.width());
    let (phase, part) = match purpose {
        Purpose::Training => ("clips", 1),
        Purpose::Calibration => ("held-out clips", 2),
    };
    let seed = run.seed ^ (part << 56);
    let mut vectors = Array2::zeros((rounds.len() * classes, width));
    for (mut block, round) in vectors.axis_chunks_iter_mut(Axis(0), classes).zip(rounds) {
        let rows: Vec<_> = block.rows_mut().into_iter().enumerate().collect();
        rows.into_par_iter().try_for_each(|(class, mut row)| {
            let rng = &mut stream(seed, (round * classes + class) as u64);
            let example = examples.example(class, purpose, round, rng)?;
            if example.len() != width {
                let (found, expected) = (vec![example.len()], vec![width]);
                return Err(LearnError::Shape { what: "an example", found, expected });
            }
            row.iter_mut().zip(example).for_each(|(o, v)| *o = v);
            Ok::<(), LearnError>(())
        })?;
        run.report(&Report { phase, step: round + 1, steps: of, loss: None, metric: None })?;
    }
    Ok(vectors)
}
