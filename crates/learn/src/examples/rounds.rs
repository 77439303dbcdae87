//! [`draw`] and [`draw_some`]: examples in rounds of one example of every class.

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayViewMut1, Axis};
use rayon::prelude::*;

use crate::LearnError;
use crate::examples::places::Places;
use crate::examples::{Examples, Purpose};
use crate::math::random::stream;
use crate::run::progress::Report;
use crate::run::training_run::TrainingRun;

/// Base vectors of some neighbouring classes in some rounds of `of`, round by round: `[rounds * classes, width]`. What is drawn depends on
/// the seed, the purpose and the place in the sequence alone.
pub(crate) fn draw(
    examples: &dyn Examples,
    classes: &Range<usize>,
    rounds: Range<usize>,
    of: usize,
    run: &TrainingRun<'_>,
) -> Result<Array2<f32>, LearnError> {
    let mut vectors = Array2::zeros((rounds.len() * classes.len(), examples.width()));
    for round in rounds.clone() {
        let first = (round - rounds.start) * classes.len();
        let mut block = vectors.slice_axis_mut(Axis(0), (first..first + classes.len()).into());
        let rows: Vec<_> = block.rows_mut().into_iter().zip(classes.clone()).collect();
        rows.into_par_iter()
            .try_for_each(|(row, class)| put(row, examples, Purpose::Training, (round, class), run.seed))?;
        run.report(&Report { phase: "clips", step: round + 1, steps: of, loss: None, metric: None })?;
    }
    Ok(vectors)
}

/// Base vectors at some places that training does not see: `[places, width]`.
pub(crate) fn draw_some(
    examples: &dyn Examples,
    places: &Places,
    run: &TrainingRun<'_>,
) -> Result<Array2<f32>, LearnError> {
    // Places between two reports: enough for every thread.
    let at_once = 16 * rayon::current_num_threads();
    let places: Vec<(usize, usize)> = places.iter().collect();
    let mut vectors = Array2::zeros((places.len(), examples.width()));
    let (mut done, all) = (0, places.len());
    for (mut block, places) in vectors.axis_chunks_iter_mut(Axis(0), at_once).zip(places.chunks(at_once)) {
        let rows: Vec<_> = block.rows_mut().into_iter().zip(places).collect();
        rows.into_par_iter().try_for_each(|(row, &place)| put(row, examples, Purpose::Calibration, place, run.seed))?;
        done += places.len();
        run.report(&Report { phase: "held-out clips", step: done, steps: all, loss: None, metric: None })?;
    }
    Ok(vectors)
}

/// Puts the example of a round and a class into a row.
fn put(
    mut row: ArrayViewMut1<f32>,
    examples: &dyn Examples,
    purpose: Purpose,
    (round, class): (usize, usize),
    seed: u64,
) -> Result<(), LearnError> {
    let part = match purpose {
        Purpose::Training => 1,
        Purpose::Calibration => 2,
    };
    let rng = &mut stream(seed ^ (part << 56), (round * examples.classes().len() + class) as u64);
    let example = examples.example(class, purpose, round, rng)?;
    if example.len() != row.len() {
        let (found, expected) = (vec![example.len()], vec![row.len()]);
        return Err(LearnError::Shape { what: "an example", found, expected });
    }
    row.assign(&ArrayView1::from(&example));
    Ok(())
}
