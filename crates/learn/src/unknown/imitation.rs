//! [`Imitation`]: unknown queries, imitated from the library itself.
//!
//! Part of the library is left out, the rest is whitened without it, and the examples of the part left out are scored against
//! the rest. To leave a label out of the scores alone would flatter: the whitening that has seen it keeps it apart from all others.

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use sordino_model::Podium;

use crate::clusters::kmeans::ClusterSettings;
use crate::clusters::tree::Tree;
use crate::examples::places::Places;
use crate::examples::{Classes, Songs};
use crate::heads::hubness;
use crate::math::matrix::{normalise_rows, times_transposed};
use crate::space::scatter::Drawn;
use crate::space::whitening::Whitening;
use crate::unknown::threshold::probed;
use crate::{LearnError, TrainConfig};

/// How well an unknown example scores, in cosines plus biases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unknown {
    /// The best score.
    pub(crate) best: f32,
    /// That less the score of the third song, where there are three.
    pub(crate) lead: Option<f32>,
    /// The same among the rows of the likeliest clusters, in which a client looks.
    pub(crate) probed_lead: Option<f32>,
}

/// A fifth of the songs, taken for unknown. Nothing else is left out: strangers that resemble the library are those that a threshold is for.
#[derive(Clone, Debug)]
pub(crate) struct LeftOut {
    /// Which fifth.
    fifth: usize,
    /// Classes of songs that stay.
    pub(crate) kept: Vec<usize>,
    /// Classes of songs that are left out.
    away: Vec<usize>,
}

pub(crate) const FIFTHS: usize = 5;

/// In which fifth of the songs a class is. `songs` are those that are left out together: copies, and parts of one.
pub(crate) fn fifth(classes: &Classes, songs: &Songs, class: usize) -> usize {
    songs.of(classes.label(class)) as usize % FIFTHS
}

impl LeftOut {
    /// The fifths that are left out in turn; none in a library of two songs. A few hundred songs say enough, and a large library needs one
    /// fifth.
    pub(crate) fn in_turn(classes: &Classes, songs: &Songs) -> Vec<Self> {
        const ENOUGH: usize = 500;
        let count = songs.len();
        let turns = (ENOUGH * FIFTHS).div_ceil(count.max(1)).clamp(1, FIFTHS);
        // Against one song alone nothing stands out, and in two that is all that is left.
        let stays = |turn: &usize| (0..count).filter(|song| song % FIFTHS != *turn).count() >= 2;
        let one = |turn| {
            let (away, kept) = (0..classes.len()).partition(|&class| fifth(classes, songs, class) == turn);
            Self { fifth: turn, kept, away }
        };
        (0..turns).filter(stays).map(one).collect()
    }

    /// Which fifth it is.
    pub(crate) fn fifth(&self) -> usize {
        self.fifth
    }

    /// Examples of what stays that say how much of a hub a row is.
    fn sample(&self, rounds: usize) -> Places {
        Places::spread(rounds, &self.kept, hubness::EXAMPLES)
    }

    /// Examples of what is left out that are scored.
    fn strangers(&self, rounds: usize) -> Places {
        const MOST: usize = 16_384;
        Places::spread(rounds, &self.away, MOST)
    }
}

/// Examples in the space that is made without a fifth of the songs. Of a part of the library, or of all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Imitation {
    /// Unit mean of the examples of every class that stays, `[classes, width]`.
    pub(crate) rows: Array2<f32>,
    /// Some examples of those classes, `[examples, width]`.
    pub(crate) sample: Array2<f32>,
    /// Some examples of the classes left out, `[examples, width]`.
    pub(crate) strangers: Array2<f32>,
}

impl Imitation {
    /// Of a part of the library, in the space of `whitening`.
    pub(crate) fn of(drawn: Drawn<'_>, left_out: &LeftOut, whitening: &Whitening) -> Self {
        let (classes, width) = (drawn.classes, whitening.width());
        let stay: Vec<usize> = left_out.kept.iter().copied().filter(|class| classes.contains(class)).collect();
        let own: Vec<usize> = stay.iter().map(|class| class - classes.start).collect();
        let places = [left_out.sample(drawn.rounds()), left_out.strangers(drawn.rounds())];
        let places = places.map(|places| places.within(classes));
        let mut rows = Array2::zeros((stay.len(), width));
        let mut found = places.each_ref().map(|places| Array2::zeros((places.len(), width)));
        for round in 0..drawn.rounds() {
            let vectors = whitening.apply(drawn.round(round));
            rows += &vectors.select(Axis(0), &own);
            for (places, found) in places.iter().zip(&mut found) {
                for (mut row, (_, class)) in
                    found.rows_mut().into_iter().zip(places.iter()).filter(|(_, p)| p.0 == round)
                {
                    row.assign(&vectors.row(class - classes.start));
                }
            }
        }
        normalise_rows(&mut rows);
        let [sample, strangers] = found;
        Self { rows, sample, strangers }
    }

    /// The whole library's, from those of its parts in order, each with its classes.
    pub(crate) fn joined(parts: &[(Range<usize>, Self)], left_out: &LeftOut, rounds: usize) -> Self {
        let width = parts.first().map_or(0, |(_, part)| part.rows.ncols());
        let mut rows = Array2::zeros((left_out.kept.len(), width));
        let mut to = rows.rows_mut().into_iter();
        for row in parts.iter().flat_map(|(_, part)| part.rows.rows()) {
            if let Some(mut to) = to.next() {
                to.assign(&row);
            }
        }
        let joined = |places: Places, of: fn(&Self) -> &Array2<f32>| {
            places.joined(width, parts.iter().map(|(classes, part)| (classes, of(part))))
        };
        let sample = joined(left_out.sample(rounds), |part| &part.sample);
        Self { rows, sample, strangers: joined(left_out.strangers(rounds), |part| &part.strangers) }
    }
}

/// What the examples of a whole library are scored with.
pub(crate) struct Strangers<'a> {
    /// The label of every class.
    pub(crate) classes: &'a Classes,
    /// Which labels are of one song, as copies and parts of it are. They are left out together, and none is a stranger to another.
    pub(crate) songs: &'a Songs,
    /// Examples of every class.
    pub(crate) rounds: usize,
    /// The settings of the model.
    pub(crate) config: &'a TrainConfig,
}

impl Strangers<'_> {
    /// Scores of examples of songs left out, against those kept.
    pub(crate) fn scores(&self, left_out: &LeftOut, imitation: &Imitation) -> Result<Vec<Unknown>, LearnError> {
        /// Examples that are scored against all rows at once.
        const AT_ONCE: usize = 256;
        let TrainConfig { clusters, seed, tracks, .. } = self.config;
        let Imitation { rows, sample, strangers } = imitation;
        let song = |class: usize| self.songs.of(self.classes.label(class)) as usize;
        let of_sample: Vec<usize> = left_out.sample(self.rounds).iter().map(|(_, class)| song(class)).collect();
        let of_rows: Vec<usize> = left_out.kept.iter().map(|&class| song(class)).collect();
        let own = |row: usize, example: usize| of_rows[row] == of_sample[example];
        let biases = hubness::biases(rows.view(), sample.view(), tracks.hubness, own);
        let leaves = self.leaves(rows.view(), *clusters, *seed)?;
        let mut found = Vec::with_capacity(strangers.nrows());
        for examples in strangers.axis_chunks_iter(Axis(0), AT_ONCE) {
            let cosines = times_transposed(examples, rows.view());
            let one = |cosines: ArrayView1<f32>| {
                let score = |row: usize| (of_rows[row], cosines[row] + biases[row]);
                let mut podium = Podium::default();
                (0..of_rows.len()).map(score).for_each(|(song, score)| podium.add(song, score));
                let looked_into = self.config.looked_into();
                let near = probed(leaves.len(), looked_into, |leaf: usize| {
                    leaves[leaf].iter().map(|&row| score(row as usize))
                });
                Unknown { best: podium.best().unwrap_or(-1.0), lead: podium.lead(), probed_lead: near.lead() }
            };
            found.par_extend(cosines.axis_iter(Axis(0)).into_par_iter().map(one));
        }
        Ok(found)
    }

    /// The rows of every cluster, as the model's stages would part them.
    fn leaves(&self, rows: ArrayView2<f32>, clusters: ClusterSettings, seed: u64) -> Result<Vec<Vec<u32>>, LearnError> {
        // Clusters that hold as many rows as in the whole library: fewer of them, where somebody said how many there are.
        let left = rows.nrows() as f64 / self.classes.len().max(1) as f64;
        let share = left.powf(1.0 / self.config.stages.len().max(1) as f64);
        let fewer = |&slots: &usize| if slots == 0 { 0 } else { ((slots as f64 * share).round() as usize).max(1) };
        let stages = self.config.stages.iter().map(fewer).collect();
        let branching = TrainConfig { spill: 1, stages, ..self.config.clone() }.branching(rows.nrows());
        let fits = branching.iter().product::<usize>() <= rows.nrows();
        Ok(Tree::grow(rows, if fits { &branching } else { &[] }, clusters, seed)?.leaves().to_vec())
    }
}
