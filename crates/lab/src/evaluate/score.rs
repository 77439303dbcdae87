//! [`Score`]: how many queries ended how, and shares, errors and medians of them.

use std::cmp::Ordering;

use super::Record;

/// How many queries ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Queries whose track is in the library.
    pub known: usize,
    /// Of those: the best track is theirs.
    pub top_1: usize,
    /// Of those: theirs is among the best three.
    pub top_3: usize,
    /// Of those: the best track is theirs, and reported known.
    pub named: usize,
    /// Of those: reported unknown.
    pub lost: usize,
    /// Queries whose track is not in the library.
    pub unknown: usize,
    /// Of those: reported unknown.
    pub rejected: usize,
    /// Queries to known tracks for which the system said where in the track they lie.
    pub placed: usize,
    /// Of those: the best track is right, and the place as near as the system divides tracks.
    pub located: usize,
    /// Queries to known tracks for which the system said in which part of the library it looked.
    pub searched: usize,
    /// Of those: the track is in that part.
    pub routed: usize,
    /// Encrypted queries.
    pub compared: usize,
    /// Of those: all that came back is as in the clear.
    pub equal: usize,
    /// Queries that the server decided and whose winners led by their margins.
    pub certain: usize,
    /// Of those: another answer came back than in the clear.
    pub unexplained: usize,
}

impl Score {
    /// Counts records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut score = Self::default();
        records.into_iter().for_each(|record| score.add(record));
        score
    }

    fn add(&mut self, record: &Record) {
        let count = |condition: bool| usize::from(condition);
        if record.in_library {
            let right = record.names(&record.top);
            self.known += 1;
            self.top_1 += count(right);
            self.top_3 += count(record.top.iter().take(3).any(|&track| track == record.track));
            self.named += count(right && record.reported_known);
            self.lost += count(!record.reported_known);
            self.placed += count(record.located.is_some());
            self.located += count(record.located == Some(true));
            self.searched += count(record.routed.is_some());
            self.routed += count(record.routed == Some(true));
        } else {
            self.unknown += 1;
            self.rejected += count(!record.reported_known);
        }
        let certain = record.race.as_ref().is_some_and(|race| race.certain);
        self.compared += count(record.equal.is_some());
        self.equal += count(record.equal == Some(true));
        self.certain += count(certain);
        self.unexplained += count(certain && record.equal == Some(false));
    }
}

/// The middle of numbers or times, of an even number the upper one; nothing of nothing.
pub fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> Option<T> {
    // What cannot be compared, such as NaN, stays where it is.
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// A share in per cent with one decimal, or nothing of nothing.
pub fn percent(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| (1_000.0 * part as f64 / whole as f64).round() / 10.0)
}

/// The standard error of a share, in points with one decimal.
pub(crate) fn standard_error(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| {
        let share = part as f64 / whole as f64;
        (1_000.0 * (share * (1.0 - share) / whole as f64).sqrt()).round() / 10.0
    })
}

#[cfg(test)]
mod tests {
    use super::super::Race;
    use super::*;

    #[test]
    fn answers_are_counted_apart() {
        let record = |track, in_library, top: &[u32], reported_known| Record {
            track,
            in_library,
            top: top.to_vec(),
            reported_known,
            ..Record::default()
        };
        let mut records = vec![
            record(4, true, &[4, 2, 9], true),
            record(4, true, &[2, 9, 4], false),
            record(8, false, &[], false),
            // An id of another library's track is no right answer.
            record(1, false, &[1], true),
        ];
        let score =
            Score { known: 2, top_1: 1, top_3: 2, named: 1, lost: 1, unknown: 2, rejected: 1, ..Score::default() };
        assert_eq!(Score::of(&records), score);
        records[0].equal = Some(false);
        records[0].race = Some(Race { certain: true, ..Race::default() });
        records[1].located = Some(true);
        let with = Score { compared: 1, certain: 1, unexplained: 1, placed: 1, located: 1, ..score };
        assert_eq!(Score::of(&records), with);
    }

    #[test]
    fn nothing_has_no_share() {
        assert_eq!((percent(1, 3), percent(1, 0)), (Some(33.3), None));
        assert_eq!((standard_error(50, 100), standard_error(0, 0)), (Some(5.0), None));
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median::<f64>(vec![])), (Some(2.0), None));
    }
}
