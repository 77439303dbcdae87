//! [`DecisionNoise`]: the variance of every step of an encrypted decision by formula, and from it the margin beyond which the
//! decision is certain.
//!
//! Variances are in units of the torus `Z / 2^64`, squared. `docs/one-trip.md` derives each formula; the tests measure each on
//! several keys.
//!
//! A tournament is exactly an argmax of disturbed scores: where a match has noise `e`, the winner's score is
//! `max(left, right + e)`, so the root holds `max_i (s_i + E_i)`, where `E_i` collects the noise of those matches on the path of candidate `i`
//! in which it came from the right. So the candidate that leads every other by more than the noise of both paths and of one
//! reading of the sign wins, and a union bound over the others bounds how likely it does not.

use std::f64::consts::LOG2_E;

use sordino_model::Resolution;
use sordino_model::layout::Tournament;

use crate::keys::evaluation::BODY_BITS;
use crate::keys::gadgets::{DecisionGadgets, RotationGadget};
use crate::keys::keyswitch::small_noise_log2;
use crate::noise::formula::Noise;
use crate::params::{ParameterSet, SmallKey};
use crate::ring::gadget::Gadget;

/// A quarter of the torus.
pub(crate) const QUARTER: f64 = 4_611_686_018_427_387_904.0;

/// Noise of the steps of a decision, under one parameter set and resolution.
#[derive(Clone, Copy, Debug)]
pub struct DecisionNoise {
    ring: f64,
    /// Most set bits of the ring's key, but with probability 2^-80.
    weight: f64,
    compare: Small,
    refresh: Small,
    extension: f64,
    noise: Noise,
    gadgets: DecisionGadgets,
}

/// A small key.
#[derive(Clone, Copy, Debug)]
struct Small {
    dimension: f64,
    /// Most set bits, but with probability 2^-80.
    weight: f64,
    /// Variance of a fresh ciphertext.
    fresh: f64,
}

impl Small {
    fn new(key: SmallKey) -> Self {
        let dimension = key.dimension.0 as f64;
        // Hoeffding, as for the ring's key.
        let excess = (dimension * 80.0 / LOG2_E / 2.0).sqrt();
        let weight = (dimension / 2.0 + excess).min(dimension);
        Self { dimension, weight, fresh: t_uniform(small_noise_log2(key)) * 2f64.powi(64) }
    }
}

impl DecisionNoise {
    /// The formulas for `parameters`.
    pub fn new(parameters: &ParameterSet, resolution: Resolution) -> Self {
        let noise = Noise::new(parameters);
        Self {
            ring: parameters.ring() as f64,
            weight: noise.weight(),
            compare: Small::new(parameters.compare),
            refresh: Small::new(parameters.refresh),
            extension: f64::from(1 << resolution.extension_log2()),
            noise,
            gadgets: DecisionGadgets::STANDARD,
        }
    }

    /// The formulas for keys of known weights.
    #[cfg(test)]
    pub(crate) fn with_weights(mut self, weight: f64, compare: f64, refresh: f64) -> Self {
        (self.weight, self.compare.weight, self.refresh.weight) = (weight, compare, refresh);
        self
    }

    /// Keyswitch of a comparison.
    pub fn compare_keyswitch(&self) -> f64 {
        self.keyswitch(self.compare, self.gadgets.compare_keyswitch)
    }

    /// Keyswitch of a refresh.
    pub fn refresh_keyswitch(&self) -> f64 {
        self.keyswitch(self.refresh, self.gadgets.refresh_keyswitch)
    }

    /// Keyswitch to a small key: the key's noise through the digits, and the rounding of the input, to what the digits hold in the
    /// mask and to 32 bits in the body.
    fn keyswitch(&self, small: Small, gadget: Gadget) -> f64 {
        let rows = self.ring * f64::from(gadget.levels);
        rows * digit(gadget) * small.fresh
            + self.weight * self.noise.truncation(bits(gadget))
            + self.noise.truncation(32)
    }

    /// Modulus switch of a comparison, to `2N` steps times the extension.
    pub fn compare_modulus_switch(&self, extension: f64) -> f64 {
        self.modulus_switch(self.compare, extension, 1.0)
    }

    /// Modulus switch of a refresh: to multiples of as many steps as the table has levels.
    pub fn refresh_modulus_switch(&self) -> f64 {
        let stride = f64::from(self.gadgets.selector.levels.next_power_of_two());
        self.modulus_switch(self.refresh, 1.0, stride)
    }

    /// Switch to `2N` steps (times the extension), to multiples of `stride`: the mask's rounding times `s_i - 1/2`, whose
    /// square is a quarter, and the body's.
    fn modulus_switch(&self, small: Small, extension: f64, stride: f64) -> f64 {
        let step = 4.0 * QUARTER * stride / (2.0 * self.ring * extension);
        (small.dimension / 4.0 + 1.0) * step * step / 12.0
    }

    /// Blind rotation of a comparison, in every coefficient.
    pub fn compare_rotation(&self) -> f64 {
        self.rotation(self.compare, self.gadgets.compare)
    }

    /// Blind rotation by the small key of comparisons with another gadget, in every coefficient.
    pub(crate) fn rotation_of_comparisons(&self, gadget: RotationGadget) -> f64 {
        self.rotation(self.compare, gadget)
    }

    /// Blind rotation of a refresh, in every coefficient.
    pub fn refresh_rotation(&self) -> f64 {
        self.rotation(self.refresh, self.gadgets.refresh)
    }

    /// Blind rotation, in every coefficient. A step adds, for each pattern of its bits, digits through the GGSW noise and the transform;
    /// and where a bit is set, what the digits do not hold. A step of one bit takes the digits of a difference. One of several takes
    /// the digits of what there is times `X^power - 1`, which doubles the squared norm of both.
    fn rotation(&self, small: Small, gadget: RotationGadget) -> f64 {
        let steps = small.dimension / gadget.bits as f64;
        let turned = if gadget.bits == 1 { 1.0 } else { 2.0 };
        let digits = turned * 2.0 * f64::from(gadget.digits.levels) * self.ring * digit(gadget.digits);
        let product = digits * self.noise.sent(BODY_BITS) + self.noise.fourier(digits);
        let rounding = turned * (1.0 + self.weight) * self.noise.truncation(bits(gadget.digits));
        steps * gadget.patterns() as f64 * product + small.weight.min(steps) * rounding
    }

    /// The threshold as it comes in: a fresh ciphertext.
    pub fn threshold(&self) -> f64 {
        self.noise.fresh()
    }

    /// What a comparison gets wrong: keyswitch and modulus switch, at the resolution asked for.
    pub fn comparison(&self) -> f64 {
        self.compare_keyswitch() + self.compare_modulus_switch(self.extension)
    }

    /// What the refresh that makes a selector gets wrong of a sign, which is a quarter of the torus from zero: the noise that the sign
    /// has, also of the gate that chose it, and what is added before the rotation.
    pub fn refresh(&self) -> f64 {
        self.compare_rotation() + self.gate() + self.refresh_keyswitch() + self.refresh_modulus_switch()
    }

    /// One keyswitch of the trace, in every coefficient.
    fn automorphism(&self) -> f64 {
        let gadget = self.gadgets.trace;
        let digits = f64::from(gadget.levels) * self.ring * digit(gadget);
        digits * self.noise.sent(BODY_BITS)
            + self.weight * self.noise.truncation(bits(gadget))
            + self.noise.fourier(digits)
    }

    /// The trace, summed over all coefficients: what a step adds is summed over the orbits of the steps that follow, `r` of which double
    /// every coefficient's variance, and that of the constant twice.
    pub fn trace(&self) -> f64 {
        let steps = self.ring.log2() as i32;
        (0..steps).map(|r| self.ring * 2f64.powi(r) + 4f64.powi(r)).sum::<f64>() * self.automorphism()
    }

    /// The product with the square of the key, in every coefficient. With a share `p` of its bits set, the square's coefficients grow
    /// linearly from `-p^2 N` to `p^2 N`, so its squared norm is close to `p^4 N^3 / 3`; what they scatter adds less than `N^2 / 2`.
    pub fn square(&self) -> f64 {
        let gadget = self.gadgets.square;
        let digits = f64::from(gadget.levels) * self.ring * digit(gadget);
        let set = self.weight / self.ring;
        let norm_squared = set.powi(4) * self.ring.powi(3) / 3.0 + self.ring * self.ring / 2.0;
        digits * self.noise.sent(BODY_BITS)
            + norm_squared * self.noise.truncation(bits(gadget))
            + self.noise.fourier(digits)
    }

    /// One CMUX driven by a selector that the server made of a sign.
    pub fn gate(&self) -> f64 {
        self.gate_of(self.refresh_rotation())
    }

    /// One CMUX driven by a selector of a bit that the client sent. Unpacking takes each number through as many steps as a trace, and
    /// what a step adds is summed alike, whichever half of the coefficients is kept.
    pub fn asked_gate(&self) -> f64 {
        self.gate_of(self.noise.fresh())
    }

    /// One CMUX driven by a selector. A row and its partner share the noise `e` of the message (a constant) and of the
    /// trace, and enter together as `(digit_b - s digit_a) e`; the partner's own noise is that of the square.
    fn gate_of(&self, message: f64) -> f64 {
        let gadget = self.gadgets.selector;
        let levels = f64::from(gadget.levels);
        let row = message + self.trace();
        let both = levels * digit(gadget) * (1.0 + self.weight) * row;
        let partner = levels * self.ring * digit(gadget) * self.square();
        let rounding = (1.0 + self.weight) * self.noise.truncation(bits(gadget));
        both + partner + rounding + self.noise.fourier(2.0 * levels * self.ring * digit(gadget))
    }
}

/// A tournament to be played, and the noise of the scores that come in.
#[derive(Clone, Debug)]
pub struct Contest {
    /// Who meets whom.
    pub tournament: Tournament,
    /// Variance of every score before the first match.
    pub input: f64,
}

impl Contest {
    fn rounds(&self) -> u32 {
        self.tournament.rounds() as u32
    }

    /// Variance of the difference of two candidates that meet after `below` rounds and won `wins` matches from the right before, both
    /// together; and of reading its sign.
    fn variance(&self, noise: &DecisionNoise, below: u32, wins: u32) -> f64 {
        2.0 * self.input
            + f64::from(wins + 1) * noise.comparison()
            + f64::from(2 * below) * noise.compare_rotation()
            + f64::from(self.rounds()) * noise.gate()
    }

    /// What one more turn to a sibling adds to that variance: another reading, and the match in which the sibling came from the right.
    fn turn(&self, noise: &DecisionNoise) -> f64 {
        2.0 * noise.comparison() + f64::from(self.rounds()) * noise.gate()
    }

    /// Base-2 logarithm of a bound on the probability that neither a candidate that leads every rival by `margin` (on the torus) nor
    /// one of its `siblings` is found, for the candidate with the noisiest path. Siblings are candidates that may be found in its
    /// stead, wherever their scores lie.
    ///
    /// Sums of independent symmetric uniform variables are sub-Gaussian with their own variance: `P(E >= t) <= exp(-t^2 / (2
    /// sigma^2))`. A rival may be reached by way of siblings, each of which noise must have led the reading to: at most one turn a round,
    /// past any of the `2^siblings` sets of them (`docs/one-trip.md`).
    pub fn failure_log2(&self, noise: &DecisionNoise, margin: f64, siblings: usize) -> f64 {
        let positions = self.tournament.positions();
        let taken: Vec<usize> = (0..positions.len()).filter(|&i| positions[i]).collect();
        let rounds = self.rounds();
        // The variance depends only on the round in which two meet and on how often they won from the right before.
        let turns = siblings.min(rounds as usize) as f64 * self.turn(noise);
        let tail =
            |below: u32, wins: u32| (-margin * margin / (2.0 * (self.variance(noise, below, wins) + turns))).exp();
        let tails: Vec<Vec<f64>> =
            (0..rounds).map(|below| (0..=2 * below).map(|wins| tail(below, wins)).collect()).collect();
        let failure = |winner: usize| -> f64 {
            let others = taken.iter().filter(|&&other| other != winner);
            let each = others.map(|&other| {
                let below = (winner ^ other).ilog2();
                let rights = |i: usize| (i & ((1 << below) - 1)).count_ones();
                tails[below as usize][(rights(winner) + rights(other)) as usize]
            });
            each.sum()
        };
        let worst = taken.iter().map(|&winner| failure(winner)).fold(0.0, f64::max);
        (worst.log2() + siblings as f64).min(0.0)
    }

    /// The smallest margin, on the torus, that keeps [`Contest::failure_log2`] at or below `target_log2`; infinite where noise is such that
    /// no difference below a quarter of the torus does.
    pub fn margin(&self, noise: &DecisionNoise, target_log2: f64, siblings: usize) -> f64 {
        least(|margin| self.failure_log2(noise, margin, siblings) <= target_log2)
    }

    /// How far from a quarter of the torus all differences must stay, so that noise carries none of them beyond it but with
    /// probability `2^target_log2`.
    pub fn slack(&self, noise: &DecisionNoise, target_log2: f64) -> f64 {
        let (variance, readings_log2) = self.furthest(noise);
        (2.0 * variance * (readings_log2 - target_log2).max(0.0) / LOG2_E).sqrt()
    }

    /// Base-2 logarithm of a bound on the probability that noise carries a difference beyond a quarter of the torus from which all
    /// stay `slack` away.
    pub fn slack_failure_log2(&self, noise: &DecisionNoise, slack: f64) -> f64 {
        let (variance, readings_log2) = self.furthest(noise);
        readings_log2 - slack * slack / (2.0 * variance) * LOG2_E
    }

    /// The noisiest difference, and how many are looked at, as a power of two: each match, and each reading, on two sides.
    fn furthest(&self, noise: &DecisionNoise) -> (f64, f64) {
        let below = self.rounds().saturating_sub(1);
        let readings = 2.0 * (self.tournament.candidates() + self.tournament.rounds()).max(1) as f64;
        (self.variance(noise, below, 2 * below.min(self.tournament.heaviest())), readings.log2())
    }

    /// How far from zero the winner's score must be for its sign to be right but with probability `2^target_log2`.
    pub fn threshold_margin(&self, noise: &DecisionNoise, target_log2: f64) -> f64 {
        (2.0 * self.final_variance(noise) * -target_log2 / LOG2_E).sqrt()
    }

    /// Base-2 logarithm of a bound on the probability that the sign of a score this far from zero is wrong.
    pub fn threshold_failure_log2(&self, noise: &DecisionNoise, distance: f64) -> f64 {
        -distance * distance / (2.0 * self.final_variance(noise)) * LOG2_E
    }

    /// Variance of the winner's score less the threshold, and of reading the sign of that.
    fn final_variance(&self, noise: &DecisionNoise) -> f64 {
        self.input
            + noise.threshold()
            + f64::from(self.tournament.heaviest() + 1) * noise.comparison()
            + f64::from(self.rounds()) * noise.compare_rotation()
    }
}

/// Base-2 logarithm of a bound on the probability that noise of this variance reaches a quarter of the torus.
pub(crate) fn quarter_failure_log2(variance: f64) -> f64 {
    1.0 - QUARTER * QUARTER / (2.0 * variance) * LOG2_E
}

/// The smallest number below a quarter of the torus, to a part in 2^20, for which `holds` holds; infinite where none does.
fn least(holds: impl Fn(f64) -> bool) -> f64 {
    if !holds(QUARTER) {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, QUARTER);
    for _ in 0..20 {
        let middle = (low + high) / 2.0;
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Second moment of a digit, uniform on `[-B/2, B/2)`.
fn digit(gadget: Gadget) -> f64 {
    (4f64.powi(gadget.base_log as i32) + 2.0) / 12.0
}

fn bits(gadget: Gadget) -> u32 {
    gadget.base_log * gadget.levels
}

/// Variance of tfhe's `TUniform(b)`: uniform on `[-2^b, 2^b]` with halved ends.
fn t_uniform(log2: u32) -> f64 {
    (2f64.powi(2 * log2 as i32 + 1) + 1.0) / 6.0
}
