//! [`TournamentLayout`]: where the scores of every stage are, so that the bits of a found position select the next stage's group.
//!
//! A tournament yields the bits of a *position*. The groups below one group of a stage lie in columns (ciphertexts) of `blocks`
//! groups each, and the position of a slot is `word(column) 2^b + block`: its high bits drive a tree of gates over the columns, its
//! low bits rotate the block into place. A third stage has such a set of columns for every slot of the first, chosen by the bits of
//! the first position, and so on.
//!
//! A client that picks groups itself sends such positions instead, of the groups of the last stage, all of which lie in one set.
//!
//! Which word stands for which column, and in the last stage for which slot, is free. A score takes up noise only in a match that it wins
//! from the right, where its position has a set bit. So the words are those of the fewest set bits ([`lightest`]).

use crate::layout::bits_below;
use crate::layout::{Packing, PackingError, Tournament};
use crate::stage::{HierarchyShape, Stage, StageError, StageShape};

/// Where every stage's scores are.
#[derive(Clone, Debug, PartialEq)]
pub struct TournamentLayout {
    stages: Vec<TournamentStage>,
    /// Groups of the only stage that the client asks for; none where the server finds them.
    asked: Option<usize>,
}

/// Where one stage's scores are.
#[derive(Clone, Debug, PartialEq)]
pub struct TournamentStage {
    /// The packing of the stage with its groups moved apart: `sets x columns x blocks` of them.
    packing: Packing,
    /// Slots of a group.
    outputs: usize,
    /// Most slots that a group uses.
    used: usize,
    /// Groups that hang below one group of the stage above; 1 in the first stage.
    fan: usize,
    /// Sets of columns: groups of the stage above.
    sets: usize,
    /// Columns of a set.
    columns: usize,
    /// Groups in a column.
    blocks: usize,
    /// The word of every column of a set.
    column_words: Vec<usize>,
    /// The word of every slot of a group, which is its position in the last stage.
    slot_words: Vec<usize>,
}

/// The `count` numbers of as few bits as count them that have the fewest set bits, lighter ones first, smaller ones first among equals.
fn lightest(count: usize) -> Vec<usize> {
    let mut words: Vec<usize> = (0..1 << bits_below(count)).collect();
    words.sort_by_key(|word| (word.count_ones(), *word));
    words.truncate(count);
    words
}

impl TournamentLayout {
    /// Arranges stages with `features[s]` features in a ciphertext of stage `s`.
    ///
    /// # Errors
    /// [`PackingError`], also where a group does not fit one ciphertext.
    pub fn new(ring: usize, shape: &HierarchyShape, features: &[usize]) -> Result<Self, PackingError> {
        let (mut sets, mut fan) = (1, 1);
        let stages = shape.stages().iter().zip(features).map(|(stage, &features)| {
            let arrangement = TournamentStage::new(ring, features, stage, sets, fan);
            (sets, fan) = (stage.groups(), stage.outputs());
            arrangement
        });
        Ok(Self { stages: stages.collect::<Result<_, _>>()?, asked: None })
    }

    /// Arranges the last stage alone, as stage 0, with `features` features in a ciphertext, for a client that asks for `probes` of its
    /// groups.
    ///
    /// # Errors
    /// As [`TournamentLayout::new`].
    pub fn asked(ring: usize, shape: &HierarchyShape, features: usize, probes: usize) -> Result<Self, PackingError> {
        let last = shape.last();
        let stage = TournamentStage::new(ring, features, last, 1, last.groups())?;
        Ok(Self { stages: vec![stage], asked: Some(probes) })
    }

    /// Groups that the client asks for; none where the server finds them.
    pub fn groups_asked(&self) -> usize {
        self.asked.unwrap_or(0)
    }

    /// Bits that say which of the groups that the client asked for an answer lies in.
    pub fn entry_bits(&self) -> usize {
        self.asked.map_or(0, bits_below)
    }

    /// One stage.
    ///
    /// # Panics
    /// For a stage that there is not.
    pub fn stage(&self, stage: usize) -> &TournamentStage {
        &self.stages[stage]
    }

    /// All stages.
    pub fn stages(&self) -> &[TournamentStage] {
        &self.stages
    }

    /// Bits of the position of a slot of `stage`.
    pub fn position_bits(&self, stage: usize) -> usize {
        match self.stages.get(stage + 1) {
            Some(below) => below.index_bits(),
            None => bits_below(self.stages[stage].outputs),
        }
    }

    /// Bits of the positions of one slot of every stage up to `stage`; before them, of which group that the client asked for.
    pub fn address_bits(&self, stage: usize) -> usize {
        self.entry_bits() + (0..=stage).map(|s| self.position_bits(s)).sum::<usize>()
    }

    /// Bits that an answer takes in a reply: whether it is known, and its address.
    pub fn answer_bits(&self) -> usize {
        1 + self.address_bits(self.stages.len() - 1)
    }

    /// The position of a slot of `stage`.
    pub fn position(&self, stage: usize, slot: usize) -> usize {
        match self.stages.get(stage + 1) {
            Some(below) => below.index(slot),
            None => self.stages[stage].slot_words[slot],
        }
    }

    /// The slot at a position of `stage`, if there is one.
    pub fn slot(&self, stage: usize, position: usize) -> Option<usize> {
        (0..self.stages[stage].outputs).find(|&slot| self.position(stage, slot) == position)
    }

    /// The tournament among the slots of `entries` groups of `stage`.
    pub fn tournament(&self, stage: usize, entries: usize) -> Tournament {
        let size = 1 << self.position_bits(stage);
        let mut positions = vec![false; size << bits_below(entries)];
        for entry in 0..entries {
            for slot in 0..self.stages[stage].used {
                positions[entry * size + self.position(stage, slot)] = true;
            }
        }
        Tournament::new(positions)
    }
}

impl TournamentStage {
    fn new(ring: usize, features: usize, stage: &StageShape, sets: usize, fan: usize) -> Result<Self, PackingError> {
        let outputs = stage.outputs();
        let slots = ring / features.max(1);
        let blocks = slots / outputs;
        if blocks == 0 {
            return Err(PackingError::Group { outputs, slots });
        }
        let columns = fan.div_ceil(blocks);
        let groups = sets.checked_mul(columns).and_then(|g| g.checked_mul(blocks));
        let width = stage.input().width;
        let uncountable = PackingError::Shape { groups: sets, outputs, width };
        let packing = Packing::checked(ring, features, width, groups.ok_or(uncountable)?, outputs)?;
        let used = stage.counts().iter().copied().max().unwrap_or(0);
        let (column_words, slot_words) = (lightest(columns), lightest(outputs));
        Ok(Self { packing, outputs, used, fan, sets, columns, blocks, column_words, slot_words })
    }

    /// The packing of the stage with its groups moved apart.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Slots of a group that may be taken.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Slots of a group.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Bits that choose a column of a set.
    pub fn column_bits(&self) -> usize {
        bits_below(self.columns)
    }

    /// The columns of a set at their words, for the gates that choose one: nothing where no column has a word.
    pub fn at_words<T>(&self, columns: impl IntoIterator<Item = T>) -> Vec<Option<T>> {
        let mut at: Vec<Option<T>> = (0..1 << self.column_bits()).map(|_| None).collect();
        for (column, &word) in columns.into_iter().zip(&self.column_words) {
            at[word] = Some(column);
        }
        at
    }

    /// Bits that choose a block of a column.
    pub fn block_bits(&self) -> usize {
        bits_below(self.blocks.min(self.fan))
    }

    /// Bits that choose a group of a set.
    pub fn index_bits(&self) -> usize {
        self.column_bits() + self.block_bits()
    }

    /// The position that stands for a group of a set: the word of its column, and its block.
    pub fn index(&self, group: usize) -> usize {
        (self.column_words[group / self.blocks] << self.block_bits()) | (group % self.blocks)
    }

    /// Where group `group` of the stage went.
    pub fn moved(&self, group: usize) -> usize {
        let (set, slot) = (group / self.fan, group % self.fan);
        set * self.columns * self.blocks + slot
    }

    /// The coefficients of the slots that group `group` leaves empty although others use theirs, and the column they are in.
    pub fn empty(&self, group: usize, count: usize) -> (usize, std::ops::Range<usize>) {
        let moved = self.moved(group);
        let start = moved % self.blocks * self.outputs;
        (moved / self.blocks, start + count..start + self.used)
    }

    /// The stage with its groups moved apart.
    ///
    /// # Errors
    /// [`StageError`] for a stage of another shape.
    pub fn spread(&self, stage: &Stage) -> Result<Stage, StageError> {
        let (groups, outputs, width) = (self.packing.groups(), self.outputs, stage.input().width);
        let mut weights = vec![0; groups * outputs * width];
        let mut biases = vec![0; groups * outputs];
        let mut counts = vec![0; groups];
        for group in 0..stage.groups() {
            let moved = self.moved(group);
            counts[moved] = stage.count(group);
            for slot in 0..stage.count(group) {
                let at = moved * outputs + slot;
                weights[at * width..(at + 1) * width].copy_from_slice(stage.row(group, slot));
                biases[at] = stage.bias(group, slot);
            }
        }
        Stage::new(outputs, stage.input(), weights, biases, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_front::VectorBound;

    fn shape(outputs: &[usize]) -> HierarchyShape {
        let input = VectorBound { width: 5, max_abs: 3, norm_squared: 45 };
        let mut groups = 1;
        let stages = outputs.iter().map(|&outputs| {
            let stage = StageShape::new(outputs, input, vec![outputs; groups]);
            groups *= outputs;
            stage.expect("sizes are positive")
        });
        HierarchyShape::new(stages.collect()).expect("groups follow")
    }

    #[test]
    fn every_slot_has_its_own_position() {
        for (outputs, ring, features) in
            [(vec![5, 7], 64, [1, 1, 1]), (vec![3, 2, 6], 32, [1, 2, 2]), (vec![9], 16, [1, 1, 1])]
        {
            let layout = TournamentLayout::new(ring, &shape(&outputs), &features).expect("groups fit");
            for (stage, &outputs) in outputs.iter().enumerate() {
                let positions = 1usize << layout.position_bits(stage);
                let found: Vec<usize> = (0..positions).filter_map(|p| layout.slot(stage, p)).collect();
                assert_eq!(found.len(), outputs);
                let tournament = layout.tournament(stage, 3);
                assert_eq!(tournament.candidates(), 3 * outputs);
                assert_eq!(tournament.rounds(), layout.position_bits(stage) + 2);
            }
        }
    }

    #[test]
    fn words_are_the_lightest_that_there_are() {
        assert_eq!(lightest(1), [0]);
        assert_eq!(lightest(6), [0, 1, 2, 4, 3, 5]);
        let words = lightest(158);
        assert!(words.iter().all(|word| *word < 256 && word.count_ones() <= 4));
        let layout = TournamentLayout::new(64, &shape(&[20, 11]), &[1, 2]).expect("groups fit");
        let below = layout.stage(1);
        assert_eq!((below.columns, below.blocks), (10, 2));
        let at = below.at_words(0..10);
        // The column of a slot stands where its position's high bits say.
        for slot in 0..20 {
            assert_eq!(at[layout.position(0, slot) >> below.block_bits()], Some(slot / 2));
        }
    }

    #[test]
    fn positions_lead_to_the_columns_and_blocks_of_their_groups() {
        let layout = TournamentLayout::new(64, &shape(&[3, 5, 9]), &[1, 1, 1]).expect("groups fit");
        let (second, third) = (layout.stage(1), layout.stage(2));
        // 64 coefficients hold seven groups of nine: one column for the five groups below each of three.
        assert_eq!((third.sets, third.columns, third.blocks, third.block_bits()), (3, 1, 7, 3));
        assert_eq!((second.sets, second.columns, second.column_bits()), (1, 1, 0));
        for group in 0..15 {
            let place = third.packing.place(third.moved(group), 4);
            assert_eq!((place.column, place.coefficient), (group / 5, group % 5 * 9 + 4));
        }
    }

    #[test]
    fn groups_asked_for_lie_in_one_set() {
        let layout = TournamentLayout::asked(64, &shape(&[3, 5, 9]), 1, 3).expect("groups fit");
        let stage = layout.stage(0);
        // Fifteen groups of nine, seven in a column of 64 coefficients.
        assert_eq!((stage.sets, stage.columns, stage.blocks), (1, 3, 7));
        assert_eq!((stage.column_bits(), stage.block_bits()), (2, 3));
        let mut indices: Vec<usize> = (0..15).map(|group| stage.index(group)).collect();
        indices.sort_unstable();
        indices.dedup();
        assert!(indices.len() == 15 && indices.iter().all(|index| *index < 1 << stage.index_bits()));
        assert_eq!((layout.entry_bits(), layout.position_bits(0), layout.answer_bits()), (2, 4, 7));
        assert_eq!(layout.tournament(0, 3).candidates(), 27);
    }

    #[test]
    fn a_group_must_fit_a_ciphertext() {
        assert!(matches!(TournamentLayout::new(64, &shape(&[40, 40]), &[2, 1]), Err(PackingError::Group { .. })));
    }
}
