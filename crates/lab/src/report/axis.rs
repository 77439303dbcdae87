//! [`Axis`]: numbers, powers of ten or names along one side of a figure.

use crate::question::figure::Scale;

/// What a column can hold at least and at most; a share in per cent ends at 0 and 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Limits {
    /// Any number.
    pub(crate) const NONE: Self = Self { least: f64::NEG_INFINITY, most: f64::INFINITY };
    /// Per cent.
    pub(crate) const SHARE: Self = Self { least: 0.0, most: 100.0 };
}

/// One side of a figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Axis {
    /// Numbers from `low` to `high`.
    Linear { low: f64, high: f64 },
    /// Positive numbers from `low` to `high`, by their logarithm.
    Log { low: f64, high: f64 },
    /// Names at 0, 1 and so on.
    Names(Vec<String>),
}

impl Axis {
    /// An axis that holds all of `values`, with a margin that stays within the limits.
    pub(crate) fn around(values: &[f64], scale: Scale, limits: Limits) -> Self {
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        if scale == Scale::Log && low > 0.0 {
            let margin = (high / low).powf(0.06).max(1.1);
            return Self::Log { low: low / margin, high: (high * margin).min(limits.most.max(high)) };
        }
        // Where all are alike, a share lies on an axis of a few points and not of tenths.
        let alone = if limits == Limits::SHARE { 5.0 } else { 0.5 };
        let margin = if high > low { 0.06 * (high - low) } else { alone };
        let low_end = (low - margin).max(limits.least.min(low));
        Self::Linear { low: low_end, high: (high + margin).min(limits.most.max(high)) }
    }

    /// The place of a value from 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => (value / low).ln() / (high / low).ln(),
            // Half a step of room on either side.
            Self::Names(names) => (value + 0.5) / names.len().max(1) as f64,
        }
    }

    /// Where round marks are set, at most about `count` of them.
    pub(crate) fn marks(&self, count: usize) -> Vec<f64> {
        let count = count.max(2) as f64;
        match self {
            Self::Linear { low, high } => {
                let step = round_step((high - low) / count);
                let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
                (first..=last).map(|i| i as f64 * step).collect()
            }
            Self::Log { low, high } => {
                let decades = low.log10().floor() as i32..=high.log10().floor() as i32;
                let within = |v: &f64| (*low..=*high).contains(v);
                let of = |digits: &[f64]| -> Vec<f64> {
                    let decade = |decade: i32| digits.iter().map(move |digit| digit * 10f64.powi(decade));
                    decades.clone().flat_map(decade).filter(within).collect()
                };
                // As fine as there is room for; within a decade few round numbers are left, and evenly spaced ones serve.
                let digits: [&[f64]; 3] = [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 2.0, 5.0], &[1.0]];
                let fitting = digits.into_iter().map(of).find(|marks| marks.len() as f64 <= count);
                let marks = fitting.unwrap_or_else(|| of(&[1.0]));
                if marks.len() < 3 { Self::Linear { low: *low, high: *high }.marks(5) } else { marks }
            }
            Self::Names(names) => (0..names.len()).map(|i| i as f64).collect(),
        }
    }

    /// What stands at each of `marks`: names, or numbers with as many decimals as tell them apart.
    pub(crate) fn labels(&self, marks: &[f64]) -> Vec<String> {
        match self {
            Self::Names(names) => {
                let name = |mark: &f64| names.get(mark.round().max(0.0) as usize).cloned().unwrap_or_default();
                marks.iter().map(name).collect()
            }
            Self::Linear { .. } => match (0..=4).find(|&decimals| marks.iter().all(|mark| ends(*mark, decimals))) {
                Some(decimals) => marks.iter().map(|mark| grouped(&format!("{mark:.decimals$}"))).collect(),
                None => marks.iter().map(|mark| number(*mark)).collect(),
            },
            Self::Log { .. } => marks.iter().map(|mark| number(*mark)).collect(),
        }
    }
}

/// Whether a number has no more than so many decimals.
fn ends(value: f64, decimals: usize) -> bool {
    let scaled = value * 10f64.powi(decimals as i32);
    (scaled - scaled.round()).abs() < 1e-6
}

/// The next larger of 1, 2, 5, 10 and so on, times a power of ten.
fn round_step(step: f64) -> f64 {
    if !(step.is_finite() && step > 0.0) {
        return 1.0;
    }
    let decade = 10f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * decade >= step * 0.999).unwrap_or(10.0);
    digit * decade
}

/// A number with four significant digits at most, and thousands set apart.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs();
    if !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.1e}");
    }
    // Three digits after rounding, but every digit before the point and one decimal of a share.
    let significant = if magnitude >= 99.95 { 1 } else { 2 - magnitude.log10().floor() as i32 };
    let text = format!("{value:.decimals$}", decimals = significant.clamp(0, 6) as usize);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    grouped(text)
}

/// A written number with its thousands set apart: `-1234.5` is `-1,234.5`.
pub(crate) fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_once('.').map_or((text, String::new()), |(w, r)| (w, format!(".{r}")));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|c| std::str::from_utf8(c).ok()).collect();
    format!("{sign}{}{rest}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_within_the_axis() {
        let linear = Axis::Linear { low: 87.3, high: 100.0 };
        assert_eq!(linear.marks(7), [88.0, 90.0, 92.0, 94.0, 96.0, 98.0, 100.0]);
        let log = Axis::Log { low: 300.0, high: 30_000.0 };
        assert_eq!(log.marks(8), [500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0]);
        let wide = Axis::Log { low: 3.0, high: 30_000.0 };
        assert_eq!(wide.marks(5), [10.0, 100.0, 1_000.0, 10_000.0]);
        assert_eq!(Axis::Log { low: 38.0, high: 66.0 }.marks(10), [40.0, 50.0, 60.0]);
        assert_eq!(Axis::Log { low: 90.0, high: 99.0 }.marks(10), [90.0, 92.0, 94.0, 96.0, 98.0]);
        assert_eq!((log.place(300.0), log.place(30_000.0)), (0.0, 1.0));
        assert!((log.place(3_000.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn names_stand_in_the_middle_of_their_place() {
        let names = Axis::Names(vec!["clean".into(), "5dB".into()]);
        assert_eq!((names.place(0.0), names.place(1.0)), (0.25, 0.75));
        assert_eq!(names.labels(&[1.0]), ["5dB"]);
        let linear = Axis::Linear { low: 0.0, high: 1.0 };
        assert_eq!(linear.labels(&[0.5, 1.0]), ["0.5", "1.0"]);
        assert_eq!(linear.labels(&[99.95, 100.0]), ["99.95", "100.00"]);
    }

    #[test]
    fn numbers_read_well() {
        let texts = [0.0, 25_000.0, 1_234_567.0, 97.25, 100.0, 0.0316, -5.0, 2.5e-7].map(number);
        assert_eq!(texts, ["0", "25,000", "1,234,567", "97.2", "100", "0.0316", "-5", "2.5e-7"]);
        assert_eq!(grouped("-1234.50"), "-1,234.50");
    }

    #[test]
    fn an_axis_holds_its_values_and_a_share_ends_at_a_hundred() {
        for scale in [Scale::Linear, Scale::Log] {
            let axis = Axis::around(&[3.0, 800.0], scale, Limits::NONE);
            assert!(axis.place(3.0) > 0.0 && axis.place(800.0) < 1.0, "{axis:?}");
        }
        assert!(matches!(Axis::around(&[0.0, 1.0], Scale::Log, Limits::NONE), Axis::Linear { .. }));
        assert!(matches!(Axis::around(&[], Scale::Linear, Limits::NONE), Axis::Linear { .. }));
        let Axis::Linear { low, high } = Axis::around(&[90.0, 99.9], Scale::Linear, Limits::SHARE) else {
            panic!("a linear axis")
        };
        assert!(low < 90.0 && high == 100.0);
        assert_eq!(
            Axis::around(&[100.0, 100.0], Scale::Linear, Limits::SHARE).marks(5),
            [95.0, 96.0, 97.0, 98.0, 99.0, 100.0]
        );
    }
}
