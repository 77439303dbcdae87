//! Ids of tracks: which are whose, and how several libraries keep theirs apart.
//!
//! | ids | whose |
//! |---|---|
//! | 0 | nobody's: "unknown" |
//! | below 1,000,000,000 | FMA's own track ids, and the numbers of composed tracks |
//! | from 1,000,000,000 on | files in a folder: they follow from the sound |

use std::collections::BTreeSet;

use crate::CorpusError;

/// Least id that follows from a sound.
pub(crate) const FIRST: u32 = 1_000_000_000;
/// By multiples of it ids are raised, so that the old one can still be read.
const STEP: u32 = 1_000_000;

/// Whether an id follows from the sound, so that two tracks of one id are one recording.
pub fn follows_from_sound(id: u32) -> bool {
    id >= FIRST
}

/// Parts the ids of one library from those that are taken. An id that follows from a sound stays, or is the next one that is free where
/// the same recording is there already. The others stay, or where one of them is taken, all are raised by the least multiple of
/// 1,000,000 that leaves them free.
///
/// # Errors
/// [`CorpusError::Catalogue`] where they would have to be raised to 1,000,000,000 or beyond.
pub fn part_ids(taken: impl IntoIterator<Item = u32>, ids: &mut [u32]) -> Result<(), CorpusError> {
    let mut taken: BTreeSet<u32> = taken.into_iter().collect();
    let largest = ids.iter().copied().filter(|&id| id < FIRST).max().unwrap_or(0);
    let free_of = |raise: &u32| ids.iter().all(|&id| id >= FIRST || !taken.contains(&(id + raise)));
    let raise = (0..=(FIRST - 1 - largest) / STEP).map(|step| step * STEP).find(free_of);
    let raise = raise.ok_or_else(|| CorpusError::Catalogue {
        expected: "ids below 1,000,000,000 after putting libraries together; number them anew",
        found: format!("id {largest} of one that would have to be raised"),
    })?;
    for id in ids {
        *id = if *id < FIRST { *id + raise } else { free(*id, &mut taken) };
    }
    Ok(())
}

/// The first id from `id` on that is free among those of sounds; then it no longer is.
pub(crate) fn free(mut id: u32, taken: &mut BTreeSet<u32>) -> u32 {
    while !taken.insert(id) {
        id = id.checked_add(1).unwrap_or(FIRST);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(taken: &[u32], ids: &[u32]) -> Vec<u32> {
        let mut ids = ids.to_vec();
        part_ids(taken.iter().copied(), &mut ids).unwrap();
        ids
    }

    #[test]
    fn numbers_are_raised_together_and_sounds_one_by_one() {
        assert_eq!(parted(&[2, 155_320], &[1, 2]), [1_000_001, 1_000_002]);
        assert_eq!(parted(&[2, 1_000_001], &[1, 2]), [2_000_001, 2_000_002]);
        assert_eq!(parted(&[2, 155_320], &[7, FIRST]), [7, FIRST]);
        assert_eq!(parted(&[7, u32::MAX, FIRST], &[7, u32::MAX, FIRST + 9]), [1_000_007, FIRST + 1, FIRST + 9]);
        assert!(part_ids([5, 999_999_999], &mut [5, 999_999_999]).is_err());
    }
}
