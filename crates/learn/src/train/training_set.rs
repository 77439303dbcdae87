//! [`TrainingSet`]: examples in the whitened space that is fitted to them.

use ndarray::{Array2, ArrayView2};

use crate::examples::{Examples, Purpose, rounds};
use crate::run::training_run::TrainingRun;
use crate::space::confusion::confusions;
use crate::space::unit_vectors::UnitVectors;
use crate::space::whitening::{Whitening, WhiteningSettings};
use crate::unknown::imitation::{Imitation, Unknown};
use crate::{LearnError, TrainConfig};

/// Most examples whose base vectors are held at once, 1.8 GB of those of sound; the whitening is fitted to these. 15,000
/// passages suffer where a quarter as many, four of each, must do (`experiments/passages`).
const AT_ONCE: usize = 393_216;

/// Examples of every class. Example `i` is of class `i % class_count`.
pub(super) struct TrainingSet {
    /// Whitened vectors before the unit length, strongest direction first, shape `[examples, directions]`.
    projected: Array2<f32>,
    class_count: usize,
    /// How often every class is drawn where routing is learned: the square root of its label's weight.
    pub(super) frequencies: Vec<f32>,
    /// The whitening.
    pub(super) whitening: Whitening,
    /// Scores of imitated unknown examples.
    pub(super) unknown: Vec<Unknown>,
}

impl TrainingSet {
    /// Draws examples of every class, [`TrainConfig::clips`] of every label, fits the whitening to as many of them as fit in
    /// memory, and keeps what it makes of them.
    pub(super) fn draw(
        examples: &dyn Examples,
        config: &TrainConfig,
        run: &TrainingRun<'_>,
    ) -> Result<Self, LearnError> {
        /// The fewest examples that say how those of a class differ.
        const LEAST: usize = 4;
        let classes = examples.classes();
        let class_count = classes.len();
        let clips = config.clips(classes.labels());
        let wanted = classes.rounds(clips, LEAST.min(clips));
        // Two examples of a class are the fewest that show how its examples differ.
        let of = wanted.min(examples.distinct_rounds()).max(2);
        let at_once = (AT_ONCE / class_count).clamp(2, of);
        let draw = |some| rounds::draw(examples, Purpose::Training, some, of, run);
        let raw = draw(0..at_once)?;
        let fitted: Vec<u32> = (0..raw.nrows()).map(|i| (i % class_count) as u32).collect();
        let mut weights: Vec<f32> = classes.all().iter().map(|&label| examples.weight(label as usize)).collect();
        let frequencies = weights.iter().map(|weight| weight.sqrt()).collect();
        let settings = WhiteningSettings { width: config.width.max(config.router.directions), ridge: config.ridge };
        let mut whitening = Whitening::fit(raw.view(), &fitted, &weights, settings)?;
        if config.focus > 0.0 {
            let confusions = confusions(whitening.narrowed(config.width).apply(raw.view()).view(), class_count);
            weights.iter_mut().zip(confusions).for_each(|(weight, c)| *weight *= c.powf(config.focus));
            whitening = Whitening::fit(raw.view(), &fitted, &weights, settings)?;
        }
        run.end_of("space")?;
        let mut projected = Array2::zeros((of * class_count, whitening.width()));
        let mut keep = |first: usize, raw: &Array2<f32>| {
            let rows = (first * class_count..first * class_count + raw.nrows()).into();
            projected.slice_axis_mut(ndarray::Axis(0), rows).assign(&whitening.project(raw.view()));
        };
        keep(0, &raw);
        let songs = &examples.works();
        let imitation =
            Imitation { features: raw.view(), examples: &fitted, classes, songs, weights: &weights, config };
        let unknown = imitation.scores()?;
        run.end_of("imitated unknown songs")?;
        drop(raw);
        let mut done = at_once;
        while done < of {
            let end = (done + at_once).min(of);
            keep(done, &draw(done..end)?);
            done = end;
        }
        Ok(Self { projected, class_count, frequencies, whitening, unknown })
    }

    /// The examples as a stage sees them that takes the `width` strongest directions, rotated or not.
    pub(super) fn vectors<'a>(&'a self, width: usize, rotation: Option<ArrayView2<'a, f32>>) -> UnitVectors<'a> {
        UnitVectors::new(self.projected.view(), width, rotation, self.class_count)
    }
}
