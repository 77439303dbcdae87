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
//! from the right, where its position has a set bit. So the words are those of the fewest set bits ([`lightest`]). Spare bits make them
//! lighter still: 158 words of eight bits need four set ones, of ten bits three. Each costs a round of reading.

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
    /// Bits of the word of a column.
    column_bits: usize,
    /// The word of every column of a set.
    column_words: Vec<usize>,
    /// In the last stage, bits of the word of a slot.
    slot_bits: usize,
    /// In the last stage, the word of every slot of a group, or of every slot of all groups that a client asks for: slot `t` of the `e`-th
    /// of `m` is at `t m + e`. It is the slot's position.
    slot_words: Vec<usize>,
}

/// The `count` numbers of `bits` bits that have the fewest set ones, lighter ones first, smaller ones first among equals.
fn lightest(count: usize, bits: usize) -> Vec<usize> {
    let mut words: Vec<usize> = (0..1 << bits).collect();
    words.sort_by_key(|word| (word.count_ones(), *word));
    words.truncate(count);
    words
}

impl TournamentLayout {
    /// Arranges stages with `features[s]` features in a ciphertext of stage `s`, and `spare[s]` more bits than it takes in a position of
    /// that stage.
    ///
    /// # Errors
    /// [`PackingError`], also where a group does not fit one ciphertext.
    pub fn new(ring: usize, shape: &HierarchyShape, features: &[usize], spare: &[usize]) -> Result<Self, PackingError> {
        let (mut sets, mut fan, mut spare_above) = (1, 1, 0);
        let stages = shape.stages().iter().zip(features).zip(spare).map(|((stage, &features), &spare)| {
            let mut arrangement = TournamentStage::new(ring, features, stage, sets, fan)?;
            arrangement.spell(spare_above, stage.outputs(), spare);
            (sets, fan, spare_above) = (stage.groups(), stage.outputs(), spare);
            Ok(arrangement)
        });
        Ok(Self { stages: stages.collect::<Result<_, _>>()?, asked: None })
    }

    /// Arranges the last stage alone, as stage 0, with `features` features in a ciphertext, for a client that asks for `probes` of its
    /// groups.
    ///
    /// # Errors
    /// As [`TournamentLayout::new`].
    pub fn asked(
        ring: usize,
        shape: &HierarchyShape,
        features: usize,
        probes: usize,
        spare: usize,
    ) -> Result<Self, PackingError> {
        let last = shape.last();
        let mut stage = TournamentStage::new(ring, features, last, 1, last.groups())?;
        stage.spell(0, last.outputs() * probes, spare);
        Ok(Self { stages: vec![stage], asked: Some(probes) })
    }

    /// Groups that the client asks for; none where the server finds them.
    pub fn groups_asked(&self) -> usize {
        self.asked.unwrap_or(0)
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

    /// Bits of the position of a slot of `stage`; where a client asks for groups, of a slot of all of them.
    pub fn position_bits(&self, stage: usize) -> usize {
        match self.stages.get(stage + 1) {
            Some(below) => below.index_bits(),
            None => self.stages[stage].slot_bits,
        }
    }

    /// Bits of the positions of one slot of every stage up to `stage`.
    pub fn address_bits(&self, stage: usize) -> usize {
        (0..=stage).map(|s| self.position_bits(s)).sum()
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

    /// Bits of a candidate's place in the tournament among the slots of `entries` groups of `stage`.
    pub fn candidate_bits(&self, stage: usize, entries: usize) -> usize {
        let which = if self.asked.is_some() { 0 } else { bits_below(entries) };
        which + self.position_bits(stage)
    }

    /// The place of a slot of one of several groups in their tournament.
    pub fn candidate(&self, stage: usize, entry: usize, slot: usize) -> usize {
        match self.asked {
            Some(asked) => self.stages[stage].slot_words[slot * asked + entry],
            None => (entry << self.position_bits(stage)) | self.position(stage, slot),
        }
    }

    /// Which of the groups that a client asked for, and which of its slots, is at a place in their tournament.
    pub fn entry_and_slot(&self, place: usize) -> Option<(usize, usize)> {
        let asked = self.asked?;
        let word = self.stages[0].slot_words.iter().position(|word| *word == place)?;
        Some((word % asked, word / asked))
    }

    /// The tournament among the slots of `entries` groups of `stage`.
    pub fn tournament(&self, stage: usize, entries: usize) -> Tournament {
        let mut places = vec![false; 1 << self.candidate_bits(stage, entries)];
        for entry in 0..entries {
            for slot in 0..self.stages[stage].used {
                places[self.candidate(stage, entry, slot)] = true;
            }
        }
        Tournament::new(places)
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
        let (column_bits, column_words, slot_bits, slot_words) = (0, Vec::new(), 0, Vec::new());
        Ok(Self {
            packing,
            outputs,
            used,
            fan,
            sets,
            columns,
            blocks,
            column_bits,
            column_words,
            slot_bits,
            slot_words,
        })
    }

    /// Chooses words for columns and for `slots` slots, with so many more bits than it takes.
    fn spell(&mut self, spare_of_columns: usize, slots: usize, spare_of_slots: usize) {
        self.column_bits = bits_below(self.columns) + spare_of_columns;
        self.column_words = lightest(self.columns, self.column_bits);
        self.slot_bits = bits_below(slots) + spare_of_slots;
        self.slot_words = lightest(slots, self.slot_bits);
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
        self.column_bits
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
            let layout = TournamentLayout::new(ring, &shape(&outputs), &features, &[0, 1, 2]).expect("groups fit");
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
        assert_eq!(lightest(1, 0), [0]);
        assert_eq!(lightest(6, 3), [0, 1, 2, 4, 3, 5]);
        assert!(lightest(158, 8).iter().all(|word| *word < 256 && word.count_ones() <= 4));
        assert!(lightest(158, 10).iter().all(|word| *word < 1024 && word.count_ones() <= 3));
        let layout = TournamentLayout::new(64, &shape(&[20, 11]), &[1, 2], &[0, 0]).expect("groups fit");
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
        let layout = TournamentLayout::new(64, &shape(&[3, 5, 9]), &[1, 1, 1], &[0; 3]).expect("groups fit");
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
        let layout = TournamentLayout::asked(64, &shape(&[3, 5, 9]), 1, 3, 1).expect("groups fit");
        let stage = layout.stage(0);
        // Fifteen groups of nine, seven in a column of 64 coefficients.
        assert_eq!((stage.sets, stage.columns, stage.blocks), (1, 3, 7));
        assert_eq!((stage.column_bits(), stage.block_bits()), (2, 3));
        let mut indices: Vec<usize> = (0..15).map(|group| stage.index(group)).collect();
        indices.sort_unstable();
        indices.dedup();
        assert!(indices.len() == 15 && indices.iter().all(|index| *index < 1 << stage.index_bits()));
        // 27 slots in five bits, and a spare one.
        assert_eq!((layout.position_bits(0), layout.answer_bits()), (6, 7));
        assert_eq!(layout.tournament(0, 3).candidates(), 27);
        for (entry, slot) in (0..3).flat_map(|entry| (0..9).map(move |slot| (entry, slot))) {
            assert_eq!(layout.entry_and_slot(layout.candidate(0, entry, slot)), Some((entry, slot)));
            assert!(layout.candidate(0, entry, slot).count_ones() <= 3);
        }
        assert_eq!(layout.entry_and_slot(63), None);
    }

    #[test]
    fn a_group_must_fit_a_ciphertext() {
        assert!(matches!(
            TournamentLayout::new(64, &shape(&[40, 40]), &[2, 1], &[0, 0]),
            Err(PackingError::Group { .. })
        ));
    }
}
