//! [`Songs`]: which labels are one and the same thing.

/// The song of every label: labels that are copies of each other share one, numbered in the order in which they first appear.
///
/// Copies stay labels of their own, and any of them may be named. But a clip of one is no stranger to another: where strangers
/// are imitated and known clips are counted, copies are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Songs {
    /// The song of every label.
    of: Vec<u32>,
    /// The first label of every song.
    first: Vec<u32>,
}

impl Songs {
    /// Every one of `labels` labels is a song of its own.
    pub fn distinct(labels: usize) -> Self {
        let all: Vec<u32> = (0..labels as u32).collect();
        Self { of: all.clone(), first: all }
    }

    /// Songs of labels, each with an earlier label that it is a copy of, or itself.
    pub(crate) fn of_copies(copy_of: &[u32]) -> Self {
        let mut songs = Self { of: Vec::with_capacity(copy_of.len()), first: Vec::new() };
        for (label, &other) in copy_of.iter().enumerate() {
            let song = songs.of.get(other as usize).copied().unwrap_or(songs.first.len() as u32);
            if song as usize == songs.first.len() {
                songs.first.push(label as u32);
            }
            songs.of.push(song);
        }
        songs
    }

    /// The same where both labels of every pair are of one song as well.
    pub(crate) fn joined(&self, pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        // Union-find: every song points to an earlier one that it was joined with, the first of them to itself.
        let mut to: Vec<usize> = (0..self.len()).collect();
        let root = |to: &[usize], label: u32| {
            let mut song = self.of(label) as usize;
            while to[song] != song {
                song = to[song];
            }
            song
        };
        for (one, other) in pairs {
            let (one, other) = (root(&to, one), root(&to, other));
            to[one.max(other)] = one.min(other);
        }
        let first = |label: u32| self.first[root(&to, label)];
        Self::of_copies(&(0..self.of.len() as u32).map(first).collect::<Vec<_>>())
    }

    /// The same with so many further labels, every one a song of its own.
    pub(crate) fn with_labels(mut self, more: usize) -> Self {
        let (label, song) = (self.of.len() as u32, self.first.len() as u32);
        self.of.extend(song..song + more as u32);
        self.first.extend(label..label + more as u32);
        self
    }

    /// Number of songs.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The song of a label.
    pub fn of(&self, label: u32) -> u32 {
        self.of[label as usize]
    }

    /// The first label of every label's song: what [`Songs::of_copies`] takes.
    pub(crate) fn firsts(&self) -> Vec<u32> {
        self.of.iter().map(|&song| self.first[song as usize]).collect()
    }

    /// Every label that is a copy, with the first label of its song.
    pub fn copies(&self) -> impl Iterator<Item = (u32, u32)> {
        let pair = |(label, &song): (usize, &u32)| (label as u32, self.first[song as usize]);
        self.of.iter().enumerate().map(pair).filter(|(label, first)| label != first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_a_song() {
        let songs = Songs::of_copies(&[0, 1, 0, 3, 2, 3]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(|label| songs.of(label)), [0, 1, 0, 2, 0, 2]);
        assert_eq!((songs.len(), songs.copies().collect::<Vec<_>>()), (3, vec![(2, 0), (4, 0), (5, 3)]));
        // The third and the fourth label are of one work: so are their copies.
        let joined = songs.joined([(2, 3)]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(|label| joined.of(label)), [0, 1, 0, 0, 0, 0]);
        assert_eq!(songs.joined([]), songs);
        assert_eq!(Songs::of_copies(&[0, 1, 2]), Songs::distinct(3));
        assert_eq!(Songs::of_copies(&[0, 1, 0]).with_labels(2), Songs::of_copies(&[0, 1, 0, 3, 4]));
    }
}
