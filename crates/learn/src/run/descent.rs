//! [`Descent`]: how a phase of training descends.

use serde::{Deserialize, Serialize};

use crate::LearnError;

/// How to descend: AdamW with warm-up and cosine decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Descent {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples in one step.
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
    /// Steps for a training set of so many examples.
    pub(crate) fn steps(&self, examples: usize) -> usize {
        self.epochs * examples.div_ceil(self.batch.max(1))
    }

    pub(crate) fn validate(&self, setting: &'static str) -> Result<(), LearnError> {
        if self.batch == 0 || !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) || self.weight_decay < 0.0 {
            let expected = "a positive batch and learning rate, and a weight decay that is not negative".into();
            return Err(LearnError::Setting { setting, found: format!("{self:?}"), expected });
        }
        Ok(())
    }

    /// Learning rate at `step` of `steps`.
    pub(crate) fn rate(&self, step: usize, steps: usize) -> f64 {
        let warm = (steps / 20).max(1);
        if step < warm {
            return self.learning_rate * (step + 1) as f64 / warm as f64;
        }
        let through = (step - warm) as f64 / (steps - warm).max(1) as f64;
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * through).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
