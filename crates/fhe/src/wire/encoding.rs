//! [`Encoding`]: integer scores as multiples of `delta` on the torus `Z / 2^64`.

/// `v` is encoded as `v delta`, with `delta = floor(2^63 / (bound + 1))`: scores of absolute value up to `bound` fill the
/// torus and stay at least `delta / 2` from where they would wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    delta: u64,
}

impl Encoding {
    /// An encoding of scores of absolute value at most `bound`, below `2^62`.
    pub fn new(bound: u64) -> Self {
        Self { delta: (1 << 63) / (bound.min(1 << 62) + 1) }
    }

    /// An encoding with a given score unit.
    pub(crate) fn with_delta(delta: u64) -> Self {
        Self { delta }
    }

    /// The torus element of one score unit. Noise below half of it is rounded away.
    pub fn delta(&self) -> u64 {
        self.delta
    }

    /// A score, or a feature that weights will turn into scores, on the torus.
    pub fn encode(&self, value: i64) -> u64 {
        (value as u64).wrapping_mul(self.delta)
    }

    /// The score nearest to a torus element.
    pub fn decode(&self, phase: u64) -> i64 {
        let (phase, delta) = (i128::from(phase as i64), i128::from(self.delta));
        // The quotient of two numbers below 2^63 in absolute value fits.
        (phase + delta / 2).div_euclid(delta) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bounded_score_survives_any_noise_below_half_a_unit() {
        for bound in [1, 2, 3, 100, 9_216, 1 << 20] {
            let encoding = Encoding::new(bound);
            let half = encoding.delta() / 2 - 1;
            for value in [-(bound as i64), -1, 0, 1, bound as i64] {
                for noise in [0, 1, half, half.wrapping_neg()] {
                    assert_eq!(encoding.decode(encoding.encode(value).wrapping_add(noise)), value);
                }
            }
        }
    }
}
