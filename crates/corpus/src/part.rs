//! [`Part`]: a share of the work, for one of several machines.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One of so many parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which, from 0.
    number: usize,
    /// Of how many.
    of: usize,
}

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// Tracks, or labels, that no part divides.
    pub const BLOCK: usize = 64;

    /// Every one of so many parts.
    pub fn all(of: usize) -> impl Iterator<Item = Self> {
        (0..of).map(move |number| Self { number, of })
    }

    /// Which one it is, from 0.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether the unit at a place is in it, where units are dealt out: the first to the first part, the second to the second.
    pub fn has(self, place: usize) -> bool {
        place % self.of == self.number
    }

    /// Its tracks, or labels, of so many, where neighbours stay together: whole blocks of [`Part::BLOCK`]. Of more parts than blocks some
    /// have none.
    pub fn range(self, all: usize) -> Range<usize> {
        let blocks = all.div_ceil(Self::BLOCK);
        let from = |number: usize| (number * blocks / self.of * Self::BLOCK).min(all);
        from(self.number)..from(self.number + 1)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number + 1, self.of)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed: Option<(usize, usize)> =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number: number - 1, of }),
            _ => Err(format!("\"{text}\" is no part: expected a number of a number, such as 2/8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_all_units() {
        let parts: Vec<Part> = ["1/3", "2/3", "3/3"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(parts, Part::all(3).collect::<Vec<_>>());
        for place in 0..10 {
            assert_eq!(parts.iter().filter(|part| part.has(place)).count(), 1, "{place}");
        }
        assert_eq!(parts[1].to_string(), "2/3");
        for text in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }

    #[test]
    fn neighbours_stay_together() {
        for (labels, of) in [(1_000, 3), (64, 2), (65, 2), (10, 1), (300, 300)] {
            let parts: Vec<Range<usize>> = Part::all(of).map(|part| part.range(labels)).collect();
            assert_eq!((parts[0].start, parts[of - 1].end), (0, labels));
            assert!(
                parts.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].end % Part::BLOCK.min(labels) == 0)
            );
        }
        assert_eq!(Part::WHOLE.range(400), 0..400);
    }
}
