//! [`RowFiles`]: projected examples that stay in the parts' files, and are read when they are asked for.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;

use ndarray::Array2;

use crate::LearnError;
use crate::space::unit_vectors::Rows;

/// The projected examples of all parts: example `i` is of class `i % classes`, as in one run.
pub(super) struct RowFiles {
    parts: Vec<PartRows>,
    rounds: usize,
    classes: usize,
    width: usize,
}

/// Those of a part, `[rounds * classes, width]`.
pub(super) struct PartRows {
    pub(super) classes: Range<usize>,
    pub(super) path: PathBuf,
    pub(super) file: Mutex<File>,
    /// Where in the file the numbers begin.
    pub(super) from: u64,
}

impl RowFiles {
    /// Of parts in the order of their classes.
    pub(super) fn new(parts: Vec<PartRows>, rounds: usize, width: usize) -> Self {
        let classes = parts.last().map_or(0, |part| part.classes.end);
        Self { parts, rounds, classes, width }
    }
}

impl Rows for RowFiles {
    fn dim(&self) -> (usize, usize) {
        (self.rounds * self.classes, self.width)
    }

    fn some(&self, examples: &[usize]) -> Result<Array2<f32>, LearnError> {
        let mut rows = Array2::zeros((examples.len(), self.width));
        let mut bytes = Vec::new();
        let mut done = 0;
        while done < examples.len() {
            let (round, class) = (examples[done] / self.classes, examples[done] % self.classes);
            let part = &self.parts[self.parts.partition_point(|part| part.classes.end <= class)];
            // Neighbours are read at once: a round is asked for as a whole.
            let left = part.classes.end - class;
            let next = |&(i, example): &(usize, &usize)| *example == examples[done] + i && i < left;
            let count = examples[done..].iter().enumerate().take_while(next).count();
            let row = round * part.classes.len() + class - part.classes.start;
            bytes.resize(count * self.width * size_of::<f32>(), 0);
            part.read(row * self.width * size_of::<f32>(), &mut bytes)?;
            let (numbers, _) = bytes.as_chunks();
            let values = numbers.iter().map(|&number| f32::from_le_bytes(number));
            let block = rows.slice_axis_mut(ndarray::Axis(0), (done..done + count).into());
            block.into_iter().zip(values).for_each(|(to, value)| *to = value);
            done += count;
        }
        Ok(rows)
    }
}

impl PartRows {
    /// Reads the bytes that begin so far behind the first number.
    fn read(&self, at: usize, bytes: &mut [u8]) -> Result<(), LearnError> {
        use std::io::{Read, Seek, SeekFrom};
        // Whoever held the lock and panicked left no half-done work: every reader looks for its own place first.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(self.from + at as u64)).and_then(|_| file.read_exact(bytes));
        read.map_err(|source| LearnError::PartFile { path: self.path.clone(), source })
    }
}
