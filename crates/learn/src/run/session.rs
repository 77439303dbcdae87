//! The training loop that every phase shares: minibatches, AdamW with warm-up and cosine decay, checkpoints, progress.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::run::checkpoint::Checkpoints;
use crate::run::progress::{Metric, Progress, Report};
use crate::run::tensor;

/// How to descend.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Descent {
    /// Passes over the training clips.
    pub epochs: usize,
    /// Clips in one step.
    pub batch: usize,
    /// Largest learning rate: reached after a twentieth of the steps, then lowered along a cosine to zero.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f32,
}

impl Default for Descent {
    fn default() -> Self {
        Self { epochs: 20, batch: 256, learning_rate: 2e-3, weight_decay: 1e-4 }
    }
}

impl Descent {
    /// Steps for a training set of `samples` clips.
    pub(crate) fn steps(&self, samples: usize) -> usize {
        self.epochs * samples.div_ceil(self.batch.max(1))
    }

    pub(crate) fn validate(&self, setting: &'static str) -> Result<(), LearnError> {
        if self.batch == 0 || !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) || self.weight_decay < 0.0 {
            let expected = "a positive batch and learning rate, and a weight decay that is not negative".into();
            return Err(LearnError::Setting { setting, found: format!("{self:?}"), expected });
        }
        Ok(())
    }

    fn rate(&self, step: usize, steps: usize) -> f64 {
        let warm = (steps / 20).max(1);
        if step < warm {
            return self.learning_rate * (step + 1) as f64 / warm as f64;
        }
        let through = (step - warm) as f64 / (steps - warm).max(1) as f64;
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * through).cos())
    }
}

/// Which samples each step sees, a function of the seed and the step alone: a fresh permutation every epoch, or draws where some
/// passages have more turns than others.
pub(crate) struct Batches {
    samples: usize,
    batch: usize,
    seed: u64,
    epoch: Option<usize>,
    order: Vec<usize>,
    /// Running sums of the passages' turns; empty where all have as many.
    turns: Vec<f32>,
}

impl Batches {
    pub(crate) fn new(samples: usize, batch: usize, seed: u64) -> Self {
        Self { samples, batch: batch.max(1), seed, epoch: None, order: (0..samples).collect(), turns: Vec::new() }
    }

    /// The same where samples of passage `p`, which are those of number `p` modulo the number of passages, are drawn in proportion
    /// to `turns[p]`.
    pub(crate) fn with_turns(mut self, turns: &[f32]) -> Self {
        if turns.iter().any(|turn| *turn != turns[0]) {
            let running = turns.iter().scan(0.0, |sum, turn| {
                *sum += turn;
                Some(*sum)
            });
            self.turns = running.collect();
        }
        self
    }

    /// Samples of one step.
    pub(crate) fn at(&mut self, step: usize) -> &[usize] {
        let per_epoch = self.samples.div_ceil(self.batch).max(1);
        let (epoch, within) = (step / per_epoch, step % per_epoch);
        if self.epoch != Some(epoch) {
            let mut rng = stream(self.seed, epoch as u64);
            self.order = (0..self.samples).collect();
            match self.turns.last() {
                Some(&all) => {
                    let (turns, rounds) = (&self.turns, self.samples / self.turns.len());
                    self.order.fill_with(|| {
                        let place = rng.random::<f32>() * all;
                        let passage = turns.partition_point(|sum| *sum <= place).min(turns.len() - 1);
                        rng.random_range(0..rounds) * turns.len() + passage
                    });
                }
                None => self.order.shuffle(&mut rng),
            }
            self.epoch = Some(epoch);
        }
        let start = within * self.batch;
        &self.order[start..(start + self.batch).min(self.samples)]
    }
}

/// A generator for item `index` of the sequence that `seed` names.
pub(crate) fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

/// What one step reports besides its loss.
pub(crate) struct Step {
    /// The loss, shape `[1]`.
    pub(crate) loss: Tensor<1>,
    /// A figure to show.
    pub(crate) metric: Option<Metric>,
}

/// What the phases of one training run share.
pub(crate) struct Session<'a> {
    /// Where tensors live.
    pub(crate) device: Device,
    /// What all random numbers follow from.
    pub(crate) seed: u64,
    /// Where to leave checkpoints.
    pub(crate) checkpoints: Checkpoints,
    /// Whom to tell.
    pub(crate) progress: &'a dyn Progress,
}

impl Session<'_> {
    /// Tells how far a phase has come, and stops where the listener says so.
    pub(crate) fn report(&self, report: &Report<'_>) -> Result<(), LearnError> {
        match self.progress.report(report) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(LearnError::Interrupted { phase: report.phase.into(), step: report.step }),
        }
    }

    /// Tells that a phase of one step is done.
    pub(crate) fn done(&self, phase: &str) -> Result<(), LearnError> {
        self.report(&Report { phase, step: 1, steps: 1, loss: None, metric: None })
    }

    /// Trains `module` for `steps` steps by descending the loss that `forward` computes for each. Starts from the
    /// checkpoint of an interrupted run where there is one; the result is the same.
    pub(crate) fn train<M: Module>(
        &self,
        phase: &str,
        descent: Descent,
        steps: usize,
        mut module: M,
        mut forward: impl FnMut(&M, usize) -> Result<Step, LearnError>,
    ) -> Result<M, LearnError> {
        const REPORT_EVERY: usize = 20;
        let mut optimiser = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(descent.weight_decay).init();
        let mut start = 0;
        if let Some(saved) = self.checkpoints.load(phase)? {
            (module, optimiser, start) = saved.restore(module, optimiser)?;
        }
        for step in start..steps {
            let Step { loss, metric } = forward(&module, step)?;
            let last = step + 1 == steps;
            if step % REPORT_EVERY == 0 || last {
                let loss = tensor::numbers(loss.clone().detach())?[0];
                if !loss.is_finite() {
                    return Err(LearnError::Diverged { what: "the loss", steps: step });
                }
                self.report(&Report { phase, step: step + 1, steps, loss: Some(loss), metric })?;
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &module);
            module = optimiser.step(descent.rate(step, steps), module, gradients);
            if self.checkpoints.due(step + 1) || last {
                self.checkpoints.save(phase, step + 1, &module, &optimiser)?;
            }
        }
        Ok(module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_sees_every_sample_once() {
        let mut batches = Batches::new(23, 5, 7);
        let mut epochs = Vec::new();
        for epoch in 0..2 {
            let mut seen: Vec<usize> = (0..5).flat_map(|s| batches.at(epoch * 5 + s).to_vec()).collect();
            epochs.push(seen.clone());
            seen.sort_unstable();
            assert_eq!(seen, (0..23).collect::<Vec<_>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(Batches::new(23, 5, 7).at(7), Batches::new(23, 5, 7).at(7));
    }

    #[test]
    fn passages_are_drawn_by_their_turns() {
        let mut batches = Batches::new(3_000, 300, 7).with_turns(&[1.0, 4.0, 5.0]);
        let mut drawn = [0; 3];
        (0..10).for_each(|step| batches.at(step).iter().for_each(|sample| drawn[sample % 3] += 1));
        assert!((250..350).contains(&drawn[0]) && (1_100..1_300).contains(&drawn[1]), "{drawn:?}");
        assert_eq!(drawn.iter().sum::<i32>(), 3_000);
    }

    #[test]
    fn the_rate_rises_then_falls_to_zero() {
        let descent = Descent { learning_rate: 1.0, ..Descent::default() };
        let rates: Vec<f64> = (0..200).map(|s| descent.rate(s, 200)).collect();
        assert!(rates[0] < 0.2 && rates[199] < 1e-3);
        let top = rates.iter().position(|&r| r == 1.0).unwrap();
        assert!(top <= 10);
        assert!(rates[top..].windows(2).all(|w| w[1] <= w[0]));
    }
}
