//! [`DecisionTree`]: a tree over half-second windows and a vote, the first approach of Concrete_Shazam.
//!
//! Classification by Gini impurity (Breiman et al., Classification and Regression Trees, 1984) over features rounded to a few
//! levels before training. The general crates compute the impurity of every candidate anew over all classes, which takes
//! hours where every track is a class; here it is updated window by window.

use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sordino_model::Learns;

use super::MfccSettings;
use super::MfccWindows;
use super::regression::not_finite;
use crate::LabError;
use crate::baseline::vote::majority;
use crate::baseline::{Library, PhaseProgress};
use crate::evaluate::{Response, System};

/// How the tree is grown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeSettings {
    /// Windows to vectors.
    pub mfcc: MfccSettings,
    /// Questions on the way to a leaf, at most.
    pub depth: usize,
    /// Bits of a feature, 1 to 8.
    pub bits: u32,
    /// Windows that must agree for a track to be known.
    pub votes: usize,
}

impl Default for TreeSettings {
    /// The entry's: depth 10, 3 bits.
    fn default() -> Self {
        Self { mfcc: MfccSettings::default(), depth: 10, bits: 3, votes: 5 }
    }
}

/// The grown tree.
pub struct DecisionTree {
    windows: MfccWindows,
    grid: Grid,
    root: Node,
    votes: usize,
}

/// Levels of every feature, evenly spaced over what training saw.
struct Grid {
    low: Vec<f32>,
    step: Vec<f32>,
    top: f32,
}

#[derive(Debug, PartialEq)]
enum Node {
    Leaf(u32),
    /// Levels up to `level` of a feature go to the first child.
    Split {
        feature: usize,
        level: u8,
        children: Box<[Node; 2]>,
    },
}

impl DecisionTree {
    /// Grows a tree on what may be heard of a library.
    ///
    /// # Errors
    /// [`LabError::Setting`] for settings out of range or a library without a window, [`LabError::Corpus`] for a track that
    /// cannot be read.
    pub fn fit(library: &Library<'_>, settings: TreeSettings, progress: PhaseProgress<'_>) -> Result<Self, LabError> {
        if !(1..=8).contains(&settings.bits) || settings.depth > 64 {
            let (found, expected) = (format!("{settings:?}"), "1 to 8 bits, and a depth of at most 64".into());
            return Err(LabError::Setting { setting: "tree".into(), found, expected });
        }
        let windows = MfccWindows::new(settings.mfcc)?;
        let examples = windows.of_library(library, progress)?;
        if examples.tracks.is_empty() {
            let found = format!("{} tracks without a whole window", library.len());
            return Err(LabError::Setting { setting: "library".into(), found, expected: "at least one window".into() });
        }
        let grid = Grid::new(&examples.vectors, settings.bits);
        let levels = grid.levels(&examples.vectors);
        let all: Vec<u32> = (0..examples.tracks.len() as u32).collect();
        let data = Data { levels: &levels, classes: &examples.tracks, class_count: library.len() };
        let root = data.grow(all, settings.depth);
        Ok(Self { windows, grid, root, votes: settings.votes })
    }
}

impl Grid {
    fn new(vectors: &Array2<f32>, bits: u32) -> Self {
        let top = ((1u32 << bits) - 1) as f32;
        let bound = |start: f32, pick: fn(f32, f32) -> f32| vectors.fold_axis(Axis(0), start, move |&a, &b| pick(a, b));
        let (low, high) = (bound(f32::INFINITY, f32::min), bound(f32::NEG_INFINITY, f32::max));
        let step = low.iter().zip(&high).map(|(low, high)| if high > low { (high - low) / top } else { 1.0 }).collect();
        Self { low: low.to_vec(), step, top }
    }

    /// Shape kept.
    fn levels(&self, vectors: &Array2<f32>) -> Array2<u8> {
        // Within 0..=255 by the clamp.
        let level = |v: f32, i: usize| ((v - self.low[i]) / self.step[i]).round().clamp(0.0, self.top) as u8;
        Array2::from_shape_fn(vectors.raw_dim(), |(row, i)| level(vectors[(row, i)], i))
    }
}

struct Data<'a> {
    levels: &'a Array2<u8>,
    classes: &'a [u32],
    class_count: usize,
}

impl Data<'_> {
    fn grow(&self, rows: Vec<u32>, depth: usize) -> Node {
        let mut counts = vec![0u32; self.class_count];
        rows.iter().for_each(|&row| counts[self.classes[row as usize] as usize] += 1);
        let pure = counts.iter().filter(|&&count| count > 0).count() <= 1;
        let split = if depth == 0 || pure { None } else { self.best_split(&rows, &counts) };
        let Some((feature, level)) = split else {
            let most = counts.iter().enumerate().rev().max_by_key(|&(_, count)| count);
            return Node::Leaf(most.map_or(0, |(class, _)| class as u32));
        };
        drop(counts);
        let (low, high) = rows.into_iter().partition(|&row| self.levels[(row as usize, feature)] <= level);
        let (low, high) = rayon::join(|| self.grow(low, depth - 1), || self.grow(high, depth - 1));
        Node::Split { feature, level, children: Box::new([low, high]) }
    }

    /// The split that leaves the least Gini impurity; none where no feature tells the rows apart. Of equal ones the first.
    fn best_split(&self, rows: &[u32], counts: &[u32]) -> Option<(usize, u8)> {
        let best = (0..self.levels.ncols()).into_par_iter().filter_map(|feature| {
            let (purity, level) = self.best_level(rows, counts, feature)?;
            Some((purity, feature, level))
        });
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        best.map(|(_, feature, level)| (feature, level))
    }

    /// The level of a feature to split behind, with `sum_side sum_class count^2 / size`, which is larger the purer the sides.
    fn best_level(&self, rows: &[u32], counts: &[u32], feature: usize) -> Option<(f64, u8)> {
        let column: ArrayView1<u8> = self.levels.column(feature);
        let mut starts = [0usize; 257];
        rows.iter().for_each(|&row| starts[usize::from(column[row as usize]) + 1] += 1);
        for level in 0..256 {
            starts[level + 1] += starts[level];
        }
        let mut sorted = vec![0u32; rows.len()];
        let mut next = starts;
        for &row in rows {
            let at = &mut next[usize::from(column[row as usize])];
            sorted[*at] = self.classes[row as usize];
            *at += 1;
        }
        let mut low = vec![0u32; self.class_count];
        let (mut low_squares, mut high_squares) =
            (0u64, counts.iter().map(|&c| u64::from(c) * u64::from(c)).sum::<u64>());
        let mut best: Option<(f64, u8)> = None;
        for level in 0..255usize {
            for &class in &sorted[starts[level]..starts[level + 1]] {
                let (below, all) = (&mut low[class as usize], counts[class as usize]);
                // (n + 1)^2 - n^2 on the one side, n^2 - (n - 1)^2 on the other.
                low_squares += 2 * u64::from(*below) + 1;
                high_squares -= 2 * u64::from(all - *below) - 1;
                *below += 1;
            }
            let (size, rest) = (starts[level + 1], rows.len() - starts[level + 1]);
            if size > 0 && rest > 0 && starts[level + 1] > starts[level] {
                let purity = low_squares as f64 / size as f64 + high_squares as f64 / rest as f64;
                if best.is_none_or(|(top, _)| purity > top) {
                    best = Some((purity, level as u8));
                }
            }
        }
        best
    }
}

impl Node {
    fn class(&self, levels: ArrayView1<'_, u8>) -> u32 {
        let mut node = self;
        loop {
            match node {
                Self::Leaf(class) => return *class,
                Self::Split { feature, level, children } => node = &children[usize::from(levels[*feature] > *level)],
            }
        }
    }
}

impl System for DecisionTree {
    fn name(&self) -> &'static str {
        "mfcc-tree"
    }

    fn learns(&self) -> Learns {
        Learns {
            server: "everything: it runs in the clear here (the entry planned it encrypted)",
            client: "one track for every half second",
        }
    }

    fn rate(&self) -> u32 {
        self.windows.settings().rate
    }

    fn respond(&self, samples: &[f32]) -> Result<Response, LabError> {
        if samples.iter().any(|v| !v.is_finite()) {
            return Err(not_finite());
        }
        let levels = self.grid.levels(&self.windows.of(samples));
        Ok(majority(levels.rows().into_iter().map(|row| self.root.class(row)), self.votes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(rows: &[[u8; 2]]) -> Array2<u8> {
        Array2::from_shape_fn((rows.len(), 2), |(i, j)| rows[i][j])
    }

    fn leaf(class: u32) -> Node {
        Node::Leaf(class)
    }

    #[test]
    fn the_purest_split_is_chosen() {
        // Feature 1 tells class 2 apart, then feature 0 the other two; feature 0 first would cut classes in halves.
        let levels = data(&[[0, 0], [1, 0], [5, 1], [6, 1], [0, 7], [5, 7], [1, 6], [6, 6]]);
        let classes = [0, 0, 1, 1, 2, 2, 2, 2];
        let data = Data { levels: &levels, classes: &classes, class_count: 3 };
        let inner = Node::Split { feature: 0, level: 1, children: Box::new([leaf(0), leaf(1)]) };
        let expected = Node::Split { feature: 1, level: 1, children: Box::new([inner, leaf(2)]) };
        assert_eq!(data.grow((0..8).collect(), 10), expected);
        // Without a second question the larger class of the side wins, of equals the first.
        let stump = Node::Split { feature: 1, level: 1, children: Box::new([leaf(0), leaf(2)]) };
        assert_eq!(data.grow((0..8).collect(), 1), stump);
        assert_eq!(data.grow((0..8).collect(), 0), leaf(2));
    }

    #[test]
    fn rows_that_no_feature_tells_apart_share_a_leaf() {
        let levels = data(&[[3, 3], [3, 3], [3, 3]]);
        let data = Data { levels: &levels, classes: &[1, 0, 1], class_count: 2 };
        assert_eq!(data.grow(vec![0, 1, 2], 5), leaf(1));
    }

    #[test]
    fn the_running_impurity_is_the_impurity() {
        let levels = Array2::from_shape_fn((90, 3), |(i, j)| ((i * (7 + j) + i * i) % 16) as u8);
        let classes: Vec<u32> = (0..90).map(|i| (i * 13 % 7) as u32).collect();
        let data = Data { levels: &levels, classes: &classes, class_count: 7 };
        let rows: Vec<u32> = (0..90).collect();
        let purity = |rows: &[u32]| {
            let count = |class| rows.iter().filter(|&&row| classes[row as usize] == class).count() as f64;
            (0..7).map(|class| count(class).powi(2)).sum::<f64>() / rows.len() as f64
        };
        let counts: Vec<u32> = (0..7).map(|c| classes.iter().filter(|&&class| class == c).count() as u32).collect();
        for feature in 0..3 {
            let sides = |level: u8| -> (Vec<u32>, Vec<u32>) {
                rows.iter().partition(|&&row| levels[(row as usize, feature)] <= level)
            };
            let of = |level| {
                let (low, high) = sides(level);
                purity(&low) + purity(&high)
            };
            let expected = (0..15).map(of).fold(f64::MIN, f64::max);
            let (found, level) = data.best_level(&rows, &counts, feature).unwrap();
            assert!((found - expected).abs() < 1e-9 && (of(level) - expected).abs() < 1e-9);
        }
    }
}
