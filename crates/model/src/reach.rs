//! [`Reach`]: how far known songs and strangers reach, and what an answer is worth by it.

use serde::{Deserialize, Serialize};

use crate::Evidence;

/// Shares at which evidence is kept, the largest first: of strangers above it, of known songs at or below it.
pub const SHARES: [f32; 9] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];
/// The largest share of strangers that reaches as far as a song that is probably the right one.
const PROBABLE: f32 = 0.2;

/// Evidence, in score units, of clips that training has not seen, as disturbed as in training: how far songs of the library and
/// imitated strangers reach, at each of the [`SHARES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// At most such a share of known songs is at or below it; descending.
    pub known: [i64; SHARES.len()],
    /// At most such a share of strangers is above it; ascending.
    pub strangers: [i64; SHARES.len()],
}

/// How sure an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shade {
    /// Beyond the threshold.
    Named,
    /// Short of it, where few strangers come.
    Probably,
    /// Where strangers are.
    Unknown,
}

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How sure it is.
    pub shade: Shade,
    /// Chance that such an answer comes about wrongly: of a name, the share of strangers that reach as far; of an unknown song, the share
    /// of known ones that stay behind. At least a thousandth. Nothing where the model does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<f32>,
}

impl Reach {
    /// The reach of known songs and strangers.
    pub fn of(mut known: Vec<i64>, mut strangers: Vec<i64>) -> Self {
        known.sort_unstable();
        strangers.sort_unstable_by(|a, b| b.cmp(a));
        // So many may lie beyond: the next one is the first that must not. A share like 0.02 is a little less than it says in binary.
        let count = |share: f32, of: usize| (f64::from(share) * of as f64 * (1.0 + 1e-6)) as usize;
        let at = |values: &[i64], share: f32| values.get(count(share, values.len())).copied();
        Self {
            known: SHARES.map(|share| at(&known, share).map_or(0, |value| value.saturating_sub(1))),
            strangers: SHARES.map(|share| at(&strangers, share).unwrap_or(0)),
        }
    }

    /// The same evidence counted from another zero.
    #[must_use]
    pub fn less(self, zero: i64) -> Self {
        let less = |value: i64| value.saturating_sub(zero);
        Self { known: self.known.map(less), strangers: self.strangers.map(less) }
    }

    /// Share of strangers above some evidence, from a thousandth to a half.
    pub fn strangers_above(&self, found: i64) -> f32 {
        share(&self.strangers, found)
    }

    /// Share of known songs at or below some evidence, from a thousandth to a half.
    pub fn known_below(&self, found: i64) -> f32 {
        share(&self.known.map(|value| value.saturating_neg()), found.saturating_neg())
    }

    /// The evidence above which there is such a share of strangers, from a thousandth to a half; all evidence is above that for 1.
    pub fn refusing(&self, accepted: f32) -> i64 {
        if accepted >= 1.0 {
            return i64::MIN;
        }
        let place = SHARES.iter().position(|&share| share <= accepted).unwrap_or(SHARES.len() - 1);
        let Some(before) = place.checked_sub(1).filter(|_| SHARES[place] < accepted) else {
            return self.strangers[place];
        };
        let part = (SHARES[before] / accepted).ln() / (SHARES[before] / SHARES[place]).ln();
        let (low, high) = (self.strangers[before] as f64, self.strangers[place] as f64);
        (low + f64::from(part) * (high - low)).round() as i64
    }

    /// What an answer with this evidence is worth.
    pub fn verdict(&self, evidence: &Evidence) -> Verdict {
        let strangers = self.strangers_above(evidence.found);
        let (shade, wrong) = match evidence.suffices() {
            true => (Shade::Named, strangers),
            false if strangers <= PROBABLE => (Shade::Probably, strangers),
            false => (Shade::Unknown, self.known_below(evidence.found)),
        };
        Verdict { shade, wrong: Some(wrong) }
    }
}

/// The share that goes with some evidence: between two of the [`SHARES`] its logarithm is a line.
fn share(ascending: &[i64; SHARES.len()], found: i64) -> f32 {
    let Some(after) = ascending.iter().position(|&value| found < value) else { return SHARES[SHARES.len() - 1] };
    let Some(before) = after.checked_sub(1) else { return SHARES[0] };
    let part = (found - ascending[before]) as f32 / (ascending[after] - ascending[before]) as f32;
    SHARES[before] * (SHARES[after] / SHARES[before]).powf(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measure;

    /// Strangers from 1 to 10,000, known songs from 5,001 to 15,000.
    fn reach() -> Reach {
        Reach::of((5_001..=15_000).collect(), (1..=10_000).collect())
    }

    #[test]
    fn shares_are_those_of_the_samples() {
        let reach = reach();
        for share in SHARES {
            let beyond = (share * 10_000.0) as i64;
            let above = reach.refusing(share);
            assert_eq!((1..=10_000).filter(|&stranger| stranger > above).count() as i64, beyond, "{share}");
            assert!((reach.strangers_above(above) / share - 1.0).abs() < 1e-5);
            let below = 5_000 + beyond;
            assert!((reach.known_below(below) / share - 1.0).abs() < 1e-5, "{share}");
        }
        // In between, and beyond what was measured.
        let between = reach.strangers_above(9_925);
        assert!((0.005..0.01).contains(&between), "{between}");
        assert!((reach.refusing(between) - 9_925).abs() <= 1);
        assert_eq!((reach.strangers_above(20_000), reach.strangers_above(0)), (0.001, 0.5));
        assert_eq!((reach.refusing(0.0), reach.refusing(0.9)), (reach.strangers[8], reach.strangers[0]));
        assert_eq!(reach.refusing(1.0), i64::MIN, "everybody passes");
        assert_eq!((reach.known_below(20_000), reach.known_below(0)), (0.5, 0.001));
    }

    #[test]
    fn an_answer_is_named_probable_or_unknown() {
        let reach = reach();
        let verdict = |found| reach.verdict(&Evidence { measure: Measure::Lead, found, above: 9_900 });
        let shades = [9_990, 9_901, 9_900, 8_001, 7_000, 100].map(|found| verdict(found).shade);
        assert_eq!(
            shades,
            [Shade::Named, Shade::Named, Shade::Probably, Shade::Probably, Shade::Unknown, Shade::Unknown]
        );
        assert!(verdict(9_990).wrong < verdict(9_901).wrong);
        assert!(verdict(100).wrong < verdict(7_000).wrong);
    }

    #[test]
    fn few_samples_and_none_are_enough() {
        assert_eq!(Reach::of(vec![], vec![]), Reach { known: [0; 9], strangers: [0; 9] });
        let few = Reach::of(vec![7], vec![3]);
        assert_eq!((few.known, few.strangers), ([6; 9], [3; 9]));
        assert_eq!((few.strangers_above(3), few.strangers_above(2)), (0.001, 0.5));
        assert_eq!(few.less(3).strangers, [0; 9]);
    }
}
