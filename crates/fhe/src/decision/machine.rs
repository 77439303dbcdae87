//! [`DecisionMachine`]: the machine that walks the circuit of `decided` on ciphertexts, decisions included.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sordino_model::circuit::{CircuitError, Machine, StageId};
use sordino_model::layout::{SparsePacking, TournamentLayout};

use super::share::{Division, Question, Shares};
use super::work::Work;
use crate::FheError;
use crate::bootstrap::evaluator::Evaluator;
use crate::decision::tournament::EncryptedTournament;
use crate::linear::{FourierVector, LinearStage};
use crate::ring::fourier::Fourier;
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::{Glwe, Lwe, add_constant, difference};
use crate::wire::encoding::Encoding;

/// A stage ready to be evaluated.
pub(crate) struct PreparedStage {
    /// Its weights; nothing where shares hold them.
    pub(crate) linear: Option<LinearStage>,
    pub(crate) encoding: Encoding,
    /// What empty slots count as, on the torus.
    pub(crate) floor: u64,
    /// Coefficients of empty slots, column by column.
    pub(crate) empty: Vec<Vec<usize>>,
}

impl PreparedStage {
    /// Gives empty slots of some columns what they count as: their weights are zero, and so are their scores so far.
    pub(crate) fn fill(&self, scores: &mut [Glwe], columns: impl IntoIterator<Item = usize>) {
        for (scores, column) in scores.iter_mut().zip(columns) {
            let body = scores.body_mut();
            self.empty[column].iter().for_each(|&slot| body[slot] = body[slot].wrapping_add(self.floor));
        }
    }
}

/// The last stage's scores, where shares hold its weights.
#[derive(Clone, Copy)]
pub(crate) struct Elsewhere<'a> {
    pub(crate) division: &'a Division,
    pub(crate) shares: &'a dyn Shares,
    pub(crate) question: Question<'a>,
}

/// Columns of scores.
enum Columns<'c> {
    Here(Cow<'c, [Glwe]>),
    /// All of the last stage, with the shares.
    Elsewhere,
}

/// A register of the machine.
pub(crate) enum DecisionValue {
    /// An encrypted vector, in the Fourier domain.
    Vector(FourierVector),
    /// Scores of all groups of a stage, column by column.
    Columns(Vec<Glwe>),
    /// The same of the last stage, where shares hold them.
    Elsewhere,
    /// A group that the client asks for: the bits of its position among all.
    Index(Vec<Ggsw>),
    /// Scores of one group, from coefficient 0 on.
    Group(Glwe),
    /// A winner.
    Choice(Arc<Choice>),
    /// An answer's bits in the leading coefficients, and noise in the others.
    Answer(Glwe),
}

/// The winner of a tournament.
pub(crate) struct Choice {
    stage: usize,
    /// The choices that led to the groups that took part; `None` in the first stage, and where the client asked for them.
    entries: Vec<Option<Arc<Choice>>>,
    tournament: EncryptedTournament,
    /// Which entry, and the position of the slot.
    index: Vec<Ggsw>,
    /// In the last stage, whether the winner's score is above the threshold.
    known: Option<Ggsw>,
}

/// The stages that are evaluated.
#[derive(Clone, Copy)]
pub(crate) struct Stages<'a> {
    pub(crate) layout: &'a TournamentLayout,
    /// The place of the first of them in the model.
    pub(crate) first: usize,
    pub(crate) prepared: &'a [PreparedStage],
}

impl Stages<'_> {
    /// The place of one of the model's stages among them.
    fn place(self, stage: StageId) -> Result<usize, FheError> {
        let place = stage.0.checked_sub(self.first).filter(|place| *place < self.prepared.len());
        let missing = CircuitError::NoStage { stage: stage.0, stages: self.first + self.prepared.len() };
        Ok(place.ok_or(missing)?)
    }
}

/// Ciphertexts, for one query. Counts what it does.
pub(crate) struct DecisionMachine<'a> {
    stages: Stages<'a>,
    /// The transform that the stages were prepared with.
    fourier: &'a Fourier,
    evaluator: Evaluator<'a>,
    /// The score above which a track is known.
    above: Lwe,
    /// Where the last stage is, if it is not here.
    elsewhere: Option<Elsewhere<'a>>,
    work: Work,
}

impl DecisionValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::Vector(_) => "a vector",
            Self::Columns(_) | Self::Elsewhere => "the scores of all groups",
            Self::Index(_) => "an index",
            Self::Group(_) => "the scores of one group",
            Self::Choice(_) => "a choice",
            Self::Answer(_) => "an answer",
        }
    }

    fn choice(&self, op: &'static str) -> Result<&Arc<Choice>, FheError> {
        match self {
            Self::Choice(choice) => Ok(choice),
            other => Err(FheError::Kind { op, found: other.kind(), expected: "a choice" }),
        }
    }
}

impl<'a> DecisionMachine<'a> {
    /// A machine for one query.
    pub(crate) fn new(stages: Stages<'a>, fourier: &'a Fourier, evaluator: Evaluator<'a>, above: Lwe) -> Self {
        let none = vec![Duration::ZERO; stages.prepared.len()];
        let work = Work { play: none.clone(), index: none, ..Work::default() };
        Self { stages, fourier, evaluator, above, elsewhere: None, work }
    }

    /// The same where shares hold the last stage.
    pub(crate) fn with_last_stage(self, elsewhere: Option<Elsewhere<'a>>) -> Self {
        Self { elsewhere, ..self }
    }

    /// What shares have at the place of these bits.
    fn ask(&self, bits: &[Ggsw]) -> Result<Vec<Glwe>, FheError> {
        let nobody = FheError::Share { what: "nobody holds the last stage; expected shares of it".into() };
        let Elsewhere { division, shares, question } = self.elsewhere.ok_or(nobody)?;
        division.ask(shares, question, bits, self.evaluator.fourier(), &|bit, pairs| self.evaluator.cmux(bit, pairs))
    }

    /// The groups that a client asks for by these packed bits.
    pub(crate) fn indices(&mut self, asked: &[Glwe], packing: SparsePacking) -> Vec<DecisionValue> {
        let start = Instant::now();
        let mut bits = self.evaluator.unpacked(asked, packing).into_iter();
        let each = self.stages.layout.stage(0).index_bits();
        let index = |_| DecisionValue::Index(bits.by_ref().take(each).collect());
        let indices = (0..self.stages.layout.groups_asked()).map(index).collect();
        self.work.unpack += start.elapsed();
        indices
    }

    /// What was done.
    pub(crate) fn into_work(self) -> Work {
        Work { decisions: self.evaluator.counts(), ..self.work }
    }

    /// As [`Evaluator::still_wanted`].
    pub(crate) fn still_wanted(&self) -> Result<(), FheError> {
        self.evaluator.still_wanted()
    }

    /// The bits of a choice: which entry that a choice led to, and the slot's position.
    fn split<'c>(&self, choice: &'c Choice) -> (&'c [Ggsw], &'c [Ggsw]) {
        choice.index.split_at(choice.index.len() - self.stages.layout.position_bits(choice.stage))
    }

    /// The columns that the choices before `choice` lead to: one set for every slot of the group that was chosen among.
    fn before<'c>(&self, columns: &'c DecisionValue, choice: &Choice) -> Result<Columns<'c>, FheError> {
        let sets = choice.entries.iter().map(|path| match (path, columns) {
            (Some(path), _) => Ok(Columns::Here(Cow::Owned(self.follow(columns, path)?))),
            (None, DecisionValue::Columns(columns)) => Ok(Columns::Here(Cow::Borrowed(&**columns))),
            (None, DecisionValue::Elsewhere) => Ok(Columns::Elsewhere),
            (None, other) => {
                Err(FheError::Kind { op: "select", found: other.kind(), expected: "the scores of all groups" })
            }
        });
        match <[Columns<'c>; 1]>::try_from(sets.collect::<Result<Vec<_>, FheError>>()?) {
            Ok([only]) => Ok(only),
            Err(sets) => {
                let set = |set: &'_ Columns<'c>| match set {
                    Columns::Here(set) => Some(set.clone()),
                    Columns::Elsewhere => None,
                };
                let sets: Vec<Option<Cow<'c, [Glwe]>>> = sets.iter().map(set).collect();
                let sets: Vec<Option<&[Glwe]>> = sets.iter().map(Option::as_deref).collect();
                Ok(Columns::Here(Cow::Owned(self.evaluator.select_each(&sets, self.split(choice).0))))
            }
        }
    }

    /// The set of columns that `choice` leads to.
    fn follow(&self, columns: &DecisionValue, choice: &Choice) -> Result<Vec<Glwe>, FheError> {
        let Columns::Here(sets) = self.before(columns, choice)? else { return self.ask(self.split(choice).1) };
        let width = (sets.len() / self.stages.layout.stage(choice.stage).outputs()).max(1);
        let mut nodes: Vec<Option<&[Glwe]>> = vec![None; 1 << self.stages.layout.position_bits(choice.stage)];
        for (slot, set) in sets.chunks(width).enumerate() {
            nodes[self.stages.layout.position(choice.stage, slot)] = Some(set);
        }
        Ok(self.evaluator.select_each(&nodes, self.split(choice).1))
    }

    /// The scores of the group of stage `stage` at the position of these bits in its set of columns.
    fn group(&self, stage: usize, set: &Columns<'_>, position: &[Ggsw]) -> Result<Glwe, FheError> {
        let layout = self.stages.layout.stage(stage);
        let (column_bits, block_bits) = position.split_at(layout.column_bits());
        let column = match set {
            Columns::Here(set) => self.evaluator.select(layout.at_words(set.iter()), column_bits),
            Columns::Elsewhere => self.ask(column_bits)?.pop(),
        };
        let mut column = column.unwrap_or_else(|| Glwe::zero(self.evaluator.size()));
        for (j, bit) in block_bits.iter().rev().enumerate() {
            let rotated = column.divide_by_monomial(layout.outputs() << j);
            self.evaluator.cmux(bit, &[(&column, &rotated)]).into_iter().for_each(|chosen| column = chosen);
        }
        Ok(column)
    }

    /// The bits of the position of every stage's slot on the way to `choice`, each half of the torus if set, from coefficient
    /// `first` on.
    fn address(&self, choice: &Choice, first: usize) -> Glwe {
        let (which, position) = self.split(choice);
        let entries: Vec<Glwe> = choice.entries.iter().flatten().map(|path| self.address(path, first)).collect();
        let above = self.evaluator.select(entries.iter().map(Some), which);
        let mut out = above.unwrap_or_else(|| Glwe::zero(self.evaluator.size()));
        let first = first + self.stages.layout.address_bits(choice.stage) - position.len();
        out.add_assign(&self.evaluator.written(position, first));
        out
    }

    fn decide(
        &mut self,
        stage: usize,
        entries: Vec<Option<Arc<Choice>>>,
        tournament: EncryptedTournament,
    ) -> Result<DecisionValue, FheError> {
        let start = Instant::now();
        let last = stage + 1 == self.stages.prepared.len();
        // Scores are integers: above the threshold means above it by one half.
        let half = (self.stages.prepared[stage].encoding.delta() / 2).wrapping_neg();
        let score = last.then(|| {
            let mut score = difference(tournament.winner(), &self.above);
            add_constant(&mut score, half);
            score
        });
        let (index, known) = tournament.index(&self.evaluator, score.as_ref());
        self.work.index[stage] += start.elapsed();
        self.evaluator.still_wanted()?;
        Ok(DecisionValue::Choice(Arc::new(Choice { stage, entries, tournament, index, known })))
    }
}

impl Machine for DecisionMachine<'_> {
    type Value = DecisionValue;
    type Error = FheError;

    fn linear(&mut self, stage: StageId, input: &DecisionValue) -> Result<DecisionValue, FheError> {
        let prepared = &self.stages.prepared[self.stages.place(stage)?];
        let DecisionValue::Vector(vector) = input else {
            return Err(FheError::Kind { op: "linear", found: input.kind(), expected: "a vector" });
        };
        let Some(linear) = &prepared.linear else { return Ok(DecisionValue::Elsewhere) };
        let start = Instant::now();
        let mut columns = linear.evaluate(vector, self.fourier);
        prepared.fill(&mut columns, 0..);
        self.work.linear += start.elapsed();
        self.work.counts += linear.counts();
        Ok(DecisionValue::Columns(columns))
    }

    fn select(&mut self, scores: &DecisionValue, index: &DecisionValue) -> Result<DecisionValue, FheError> {
        let start = Instant::now();
        let group = match (index, scores) {
            (DecisionValue::Index(bits), DecisionValue::Columns(columns)) => {
                self.group(0, &Columns::Here(Cow::Borrowed(&**columns)), bits)?
            }
            (DecisionValue::Index(bits), DecisionValue::Elsewhere) => self.group(0, &Columns::Elsewhere, bits)?,
            (other, _) => {
                let choice = other.choice("select")?;
                self.group(choice.stage + 1, &self.before(scores, choice)?, self.split(choice).1)?
            }
        };
        self.work.select += start.elapsed();
        Ok(DecisionValue::Group(group))
    }

    fn argmax(
        &mut self,
        stage: StageId,
        entries: &[(&DecisionValue, Option<&DecisionValue>)],
    ) -> Result<DecisionValue, FheError> {
        let place = self.stages.place(stage)?;
        let (prepared, layout) = (&self.stages.prepared[place], self.stages.layout.stage(place));
        let mut candidates: Vec<Option<Lwe>> = vec![None; 1 << self.stages.layout.candidate_bits(place, entries.len())];
        let mut paths = Vec::with_capacity(entries.len());
        for (e, (scores, path)) in entries.iter().enumerate() {
            let scores = match scores {
                DecisionValue::Group(group) => group,
                DecisionValue::Columns(columns) if place == 0 => &columns[0],
                other => {
                    return Err(FheError::Kind { op: "argmax", found: other.kind(), expected: "scores of one group" });
                }
            };
            for slot in 0..layout.used() {
                candidates[self.stages.layout.candidate(place, e, slot)] = Some(scores.extract(slot));
            }
            let found = path.filter(|path| !matches!(path, DecisionValue::Index(_)));
            paths.push(found.map(|path| path.choice("argmax").cloned()).transpose()?);
        }
        let start = Instant::now();
        let tournament = EncryptedTournament::play(&self.evaluator, candidates, prepared.floor);
        self.work.play[place] += start.elapsed();
        self.evaluator.still_wanted()?;
        let tournament =
            tournament.ok_or(FheError::Kind { op: "argmax", found: "no slots", expected: "at least one" })?;
        self.decide(place, paths, tournament)
    }

    fn runner_up(&mut self, choice: &DecisionValue) -> Result<DecisionValue, FheError> {
        let choice = choice.choice("runner-up")?;
        let start = Instant::now();
        let tournament = choice.tournament.without(&self.evaluator, &choice.index);
        self.work.index[choice.stage] += start.elapsed();
        self.evaluator.still_wanted()?;
        self.decide(choice.stage, choice.entries.clone(), tournament)
    }

    fn threshold(&mut self, choice: &DecisionValue) -> Result<DecisionValue, FheError> {
        let choice = choice.choice("threshold")?;
        let start = Instant::now();
        let refused = |found| FheError::Kind { op: "threshold", found, expected: "a choice of the last stage" };
        let known = choice.known.as_ref().ok_or(refused("a choice of another stage"))?;
        let answer = self.evaluator.answer(known, self.address(choice, 1));
        self.work.threshold += start.elapsed();
        answer.map(DecisionValue::Answer).ok_or(refused("nothing"))
    }
}
