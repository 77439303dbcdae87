//! [`Batches`]: which examples every step of a phase sees.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::math::random::stream;

/// Examples of every step, a function of the seed and the step alone: a fresh permutation every epoch, or draws where some
/// classes are drawn more often than others.
pub(crate) struct Batches {
    examples: usize,
    batch: usize,
    seed: u64,
    epoch: Option<usize>,
    order: Vec<usize>,
    /// Running sums of how often classes are drawn; empty where all are alike.
    shares: Vec<f32>,
}

impl Batches {
    pub(crate) fn new(examples: usize, batch: usize, seed: u64) -> Self {
        Self { examples, batch: batch.max(1), seed, epoch: None, order: (0..examples).collect(), shares: Vec::new() }
    }

    /// The same where examples of class `c`, which are those of number `c` modulo the number of classes, are drawn in proportion
    /// to `frequencies[c]`.
    pub(crate) fn with_frequencies(mut self, frequencies: &[f32]) -> Self {
        if frequencies.iter().any(|frequency| *frequency != frequencies[0]) {
            let running = frequencies.iter().scan(0.0, |sum, frequency| {
                *sum += frequency;
                Some(*sum)
            });
            self.shares = running.collect();
        }
        self
    }

    /// Examples of one step.
    pub(crate) fn at(&mut self, step: usize) -> &[usize] {
        let per_epoch = self.examples.div_ceil(self.batch).max(1);
        let (epoch, within) = (step / per_epoch, step % per_epoch);
        if self.epoch != Some(epoch) {
            let mut rng = stream(self.seed, epoch as u64);
            self.order = (0..self.examples).collect();
            match self.shares.last() {
                Some(&all) => {
                    let (shares, rounds) = (&self.shares, self.examples / self.shares.len());
                    self.order.fill_with(|| {
                        let place = rng.random::<f32>() * all;
                        let class = shares.partition_point(|sum| *sum <= place).min(shares.len() - 1);
                        rng.random_range(0..rounds) * shares.len() + class
                    });
                }
                None => self.order.shuffle(&mut rng),
            }
            self.epoch = Some(epoch);
        }
        let start = within * self.batch;
        &self.order[start..(start + self.batch).min(self.examples)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_sees_every_example_once() {
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
    fn classes_are_drawn_as_often_as_they_should() {
        let mut batches = Batches::new(3_000, 300, 7).with_frequencies(&[1.0, 4.0, 5.0]);
        let mut drawn = [0; 3];
        (0..10).for_each(|step| batches.at(step).iter().for_each(|example| drawn[example % 3] += 1));
        assert!((250..350).contains(&drawn[0]) && (1_100..1_300).contains(&drawn[1]), "{drawn:?}");
        assert_eq!(drawn.iter().sum::<i32>(), 3_000);
    }
}
