//! [`Part`]: a share of an experiment's units, for one of several machines.

use std::fmt;
use std::str::FromStr;

/// One of so many parts, dealt out unit by unit: the first unit to the first part, the second to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which, from 0.
    number: usize,
    /// Of how many.
    of: usize,
}

impl Part {
    /// Whether the unit at a place is in it.
    pub(crate) fn has(self, place: usize) -> bool {
        place % self.of == self.number
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
        for place in 0..10 {
            assert_eq!(parts.iter().filter(|part| part.has(place)).count(), 1, "{place}");
        }
        assert_eq!(parts[1].to_string(), "2/3");
        for text in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }
}
