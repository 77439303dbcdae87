//! [`Library`]: the tracks of a trained model, which come and go without another training.

use std::collections::{BTreeMap, BTreeSet};

use sordino_front::{Front, VectorBound};
use thiserror::Error;

use crate::raw::RawInput;
use crate::stage::{Hierarchy, Stage, StageError};
use crate::{ClientError, ClientHierarchy, ClientModel, Label, Lead, ModelHash, ServerError, ServerModel};

/// A change that a library does not take.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// No track has this id.
    #[error("the library has no track {id}; it has {tracks}, from {first} to {last}")]
    NoTrack {
        /// The id given.
        id: u32,
        /// Tracks that there are.
        tracks: usize,
        /// The smallest id.
        first: u32,
        /// The largest id.
        last: u32,
    },
    /// Another track has the id of a new one.
    #[error("the library has a track {id} already, expected an id that no other track has")]
    Taken {
        /// The id.
        id: u32,
    },
    /// Too few tracks would be left.
    #[error("{left} tracks would be left, expected at least {least}; delete the model's folder to be rid of it")]
    TooFew {
        /// Tracks that would be left.
        left: usize,
        /// The fewest that there can be.
        least: usize,
    },
    /// A row that is not as wide as the stage's input.
    #[error("a row has {found} weights, expected {expected}")]
    Width {
        /// Weights given.
        found: usize,
        /// Weights that the stage's input takes.
        expected: usize,
    },
    /// A new row in a group that no choice leads to.
    #[error("the last stage has no group {found}, expected below {groups}")]
    NoGroup {
        /// The group given.
        found: usize,
        /// Groups that there are.
        groups: usize,
    },
    /// The changed stages do not fit together.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The changed client half is none.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The changed server half is none.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// A row of a last stage: what scores one passage of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Integer weights, shape `[input.width]`.
    pub weights: Vec<i8>,
    /// Bias in score units, the unknown threshold taken off.
    pub bias: i32,
    /// Where in the track the passage begins, in milliseconds; 0 where the model does not say.
    pub start: u32,
}

/// A row that a new track brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// The row, with its bias in the hierarchy.
    pub row: Row,
    /// The groups of the hierarchy's last stage that it lives in.
    pub groups: Vec<usize>,
    /// Its bias in a separately trained `flat`, whose threshold is another; it means nothing where there is none.
    pub flat_bias: i32,
}

/// Another unknown threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// What is taken off every score, in score units: what is above it is known where the best score decides alone.
    pub above: i32,
    /// The test of a client that sees scores. Its copies mean nothing.
    pub lead: Lead,
}

/// The rows of one last stage by groups, each with the place of its track among the labels.
#[derive(Clone, Debug, PartialEq)]
struct Table {
    routing: Vec<Stage>,
    /// Whether a client may have the routing stages.
    public: bool,
    heads: Vec<usize>,
    input: VectorBound,
    /// Slots of a group; more only where a group has more rows.
    outputs: usize,
    groups: Vec<Vec<(u32, Row)>>,
    tells_starts: bool,
    lead: Lead,
}

impl Table {
    fn of(hierarchy: &Hierarchy, outline: &ClientHierarchy) -> Self {
        let last = hierarchy.last();
        let row = |group: usize, slot: usize| {
            let start = outline.start(group, slot).map_or(0, |start| start.as_millis() as u32);
            let row = Row { weights: last.row(group, slot).to_vec(), bias: last.bias(group, slot), start };
            // Every used slot of a client half has a label.
            outline.label(group, slot).map(|label| (label as u32, row))
        };
        Self {
            routing: hierarchy.stages()[..hierarchy.stages().len() - 1].to_vec(),
            public: !outline.routers().is_empty(),
            heads: outline.heads().to_vec(),
            input: last.input(),
            outputs: last.outputs(),
            groups: (0..last.groups()).map(|g| (0..last.count(g)).filter_map(|slot| row(g, slot)).collect()).collect(),
            tells_starts: !outline.starts().is_empty(),
            lead: outline.lead().clone(),
        }
    }

    /// Rows of the largest group.
    fn most(&self) -> usize {
        self.groups.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn hierarchy(&self) -> Result<Hierarchy, StageError> {
        let (outputs, width) = (self.outputs.max(self.most()), self.input.width);
        let mut weights = vec![0; self.groups.len() * outputs * width];
        let mut biases = vec![0; self.groups.len() * outputs];
        for (group, rows) in self.groups.iter().enumerate() {
            for (slot, (_, row)) in rows.iter().enumerate() {
                let place = group * outputs + slot;
                weights[place * width..(place + 1) * width].copy_from_slice(&row.weights);
                biases[place] = row.bias;
            }
        }
        let counts = self.groups.iter().map(Vec::len).collect();
        let last = Stage::new(outputs, self.input, weights, biases, counts)?;
        Hierarchy::new(self.routing.iter().cloned().chain([last]).collect())
    }

    fn outline(&self, hierarchy: &Hierarchy) -> Result<ClientHierarchy, ClientError> {
        let rows = || self.groups.iter().flatten();
        let (shape, slots) = (hierarchy.shape().clone(), rows().map(|(label, _)| *label).collect());
        let mut outline = match hierarchy.raw() {
            Some(raw) => ClientHierarchy::hearing(shape, raw.front().spec().clone(), slots)?,
            None => ClientHierarchy::new(shape, self.heads.clone(), slots)?,
        };
        if self.tells_starts {
            outline = outline.with_starts(rows().map(|(_, row)| row.start).collect())?;
        }
        if self.public {
            outline = outline.with_routers(self.routing.clone())?;
        }
        Ok(outline.with_lead(self.lead.clone()))
    }

    fn tune(&mut self, tuning: &Tuning) {
        for (_, row) in self.groups.iter_mut().flatten() {
            row.bias -= tuning.above;
        }
        self.lead = Lead { copies: std::mem::take(&mut self.lead.copies), ..tuning.lead.clone() };
    }

    /// Keeps the rows of labels that have a new number, and gives them that. Slots that no group needs any more are gone, too.
    fn renumber(&mut self, numbers: &BTreeMap<u32, u32>) {
        let tight = self.most() >= self.outputs;
        for rows in &mut self.groups {
            rows.retain_mut(|(label, _)| match numbers.get(label) {
                Some(&number) => {
                    *label = number;
                    true
                }
                None => false,
            });
        }
        if tight {
            self.outputs = self.most();
        }
        // Of a song whose first copy is gone, the next one becomes the first.
        let mut firsts = BTreeMap::new();
        let mut copies = Vec::new();
        for &(copy, first) in &self.lead.copies {
            let Some(&copy) = numbers.get(&copy) else { continue };
            match numbers.get(&first).copied().or_else(|| firsts.get(&first).copied()) {
                Some(first) => copies.push((copy, first)),
                None => drop(firsts.insert(first, copy)),
            }
        }
        self.lead.copies = copies;
    }
}

/// The tracks of a model and their rows, open to change. What the model learned, its front end and its routing, stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Library {
    name: String,
    front: Front,
    labels: Vec<Label>,
    hierarchy: Table,
    flat: Option<Table>,
    /// What hears encrypted samples. It has rows of the tracks that it was trained on, and of none that came later.
    raw: Option<(Table, RawInput)>,
}

impl Library {
    /// Fewest tracks of a library: of fewer none is the third, from which a known one stands out.
    pub const FEWEST: usize = 3;

    /// The library of a model.
    ///
    /// # Errors
    /// [`ClientError::Mismatch`] for halves of two models.
    pub fn of(client: &ClientModel, server: &ServerModel) -> Result<Self, ClientError> {
        client.check_server(server)?;
        let flat = server.own_flat().zip(client.own_flat()).map(|(flat, outline)| Table::of(flat, outline));
        let raw = server.raw().zip(client.raw());
        let raw = raw.and_then(|(raw, outline)| Some((Table::of(raw, outline), raw.raw()?.clone())));
        Ok(Self {
            raw,
            name: client.name().into(),
            front: client.front().clone(),
            labels: client.labels().to_vec(),
            hierarchy: Table::of(server.hierarchy(), client.hierarchy()),
            flat,
        })
    }

    /// The tracks.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The place of a track among the labels.
    ///
    /// # Errors
    /// [`LibraryError::NoTrack`].
    pub fn find(&self, id: u32) -> Result<usize, LibraryError> {
        let ids = || self.labels.iter().map(|label| label.track_id);
        let (tracks, first, last) = (self.labels.len(), ids().min().unwrap_or(0), ids().max().unwrap_or(0));
        ids().position(|other| other == id).ok_or(LibraryError::NoTrack { id, tracks, first, last })
    }

    /// Says something else about a track. Its id stays.
    ///
    /// # Errors
    /// [`LibraryError::NoTrack`].
    pub fn rename(&mut self, id: u32, change: impl FnOnce(&mut Label)) -> Result<(), LibraryError> {
        let place = self.find(id)?;
        change(&mut self.labels[place]);
        self.labels[place].track_id = id;
        Ok(())
    }

    /// Takes tracks out, and their rows: their slots are free.
    ///
    /// # Errors
    /// [`LibraryError::NoTrack`], or [`LibraryError::TooFew`] where fewer than [`Self::FEWEST`] would be left; then nothing is changed.
    pub fn remove(&mut self, ids: &BTreeSet<u32>) -> Result<(), LibraryError> {
        let gone: BTreeSet<usize> = ids.iter().map(|&id| self.find(id)).collect::<Result<_, _>>()?;
        let left = self.labels.len() - gone.len();
        if left < Self::FEWEST {
            return Err(LibraryError::TooFew { left, least: Self::FEWEST });
        }
        let kept = (0..self.labels.len()).filter(|place| !gone.contains(place));
        let numbers = kept.enumerate().map(|(new, old)| (old as u32, new as u32)).collect();
        let raw = self.raw.as_mut().map(|(table, _)| table);
        for table in [Some(&mut self.hierarchy), self.flat.as_mut(), raw].into_iter().flatten() {
            table.renumber(&numbers);
        }
        self.raw = self.raw.take().filter(|(table, _)| table.most() > 0);
        let mut place = 0..;
        self.labels.retain(|_| place.next().is_some_and(|place| !gone.contains(&place)));
        Ok(())
    }

    /// Adds a track with its rows, a copy of another one where `copy_of` is that one's id.
    ///
    /// # Errors
    /// [`LibraryError::Taken`], [`LibraryError::NoTrack`], [`LibraryError::Width`] or [`LibraryError::NoGroup`]; then nothing is changed.
    pub fn add(&mut self, label: Label, rows: &[NewRow], copy_of: Option<u32>) -> Result<(), LibraryError> {
        if self.find(label.track_id).is_ok() {
            return Err(LibraryError::Taken { id: label.track_id });
        }
        let first = copy_of.map(|id| self.find(id)).transpose()?;
        let (expected, there) = (self.hierarchy.input.width, self.hierarchy.groups.len());
        if let Some(new) = rows.iter().find(|new| new.row.weights.len() != expected) {
            return Err(LibraryError::Width { found: new.row.weights.len(), expected });
        }
        if let Some(&found) = rows.iter().flat_map(|new| &new.groups).find(|&&group| group >= there) {
            return Err(LibraryError::NoGroup { found, groups: there });
        }
        let number = self.labels.len() as u32;
        self.labels.push(label);
        for new in rows {
            for &group in &new.groups {
                self.hierarchy.groups[group].push((number, new.row.clone()));
            }
            if let Some(flat) = &mut self.flat {
                flat.groups[0].push((number, Row { bias: new.flat_bias, ..new.row.clone() }));
            }
        }
        for table in [Some(&mut self.hierarchy), self.flat.as_mut()].into_iter().flatten() {
            if let Some(first) = first {
                let song = table.lead.song(first) as u32;
                table.lead.copies.push((number, song));
            }
        }
        Ok(())
    }

    /// Takes more off every score of the hierarchy, and of a separately trained `flat` where there is one.
    pub fn tune(&mut self, hierarchy: &Tuning, flat: Option<&Tuning>) {
        self.hierarchy.tune(hierarchy);
        if let Some((table, tuning)) = self.flat.as_mut().zip(flat) {
            table.tune(tuning);
        }
    }

    /// Gives clients the routing stages, or takes them back from those that come from now on. Returns whether that changes anything: a
    /// model without routing stages has nothing to give.
    pub fn publish_routing(&mut self, public: bool) -> bool {
        let changes = self.hierarchy.public != public && !self.hierarchy.routing.is_empty();
        self.hierarchy.public = public && !self.hierarchy.routing.is_empty();
        changes
    }

    /// Slots of every group of the last stage: as many as the fullest needs, or more.
    pub fn slots(&self) -> usize {
        self.hierarchy.outputs.max(self.hierarchy.most())
    }

    /// The two halves. Both have other hashes than those of the library before a change.
    ///
    /// # Errors
    /// [`LibraryError::Server`] where a score of a new row could leave the message space, and others where parts do not fit.
    pub fn halves(&self) -> Result<(ClientModel, ServerModel), LibraryError> {
        let hierarchy = self.hierarchy.hierarchy()?;
        let outline = self.hierarchy.outline(&hierarchy)?;
        let flat = self.flat.as_ref().map(|table| Ok::<_, LibraryError>((table.hierarchy()?, table))).transpose()?;
        let flat_outline = flat.as_ref().map(|(hierarchy, table)| table.outline(hierarchy)).transpose()?;
        let flat = flat.map(|(hierarchy, _)| hierarchy);
        let server = ServerModel::new(&self.name, ModelHash::of_input(&self.front), hierarchy, flat)?;
        let (front, labels) = (self.front.clone(), self.labels.clone());
        let client = ClientModel::new(&self.name, front, outline, flat_outline, labels, server.hash())?;
        let Some((table, input)) = &self.raw else { return Ok((client, server)) };
        let raw = table.hierarchy()?.hearing(input.clone())?;
        let outline = table.outline(&raw)?;
        let server = server.with_raw(raw)?;
        Ok((client.with_raw(outline)?.of_server(server.hash()), server))
    }

    /// Whether encrypted samples of every track are heard, where any are.
    pub fn hears_all(&self) -> bool {
        let Some((table, _)) = &self.raw else { return true };
        let heard: BTreeSet<u32> = table.groups.iter().flatten().map(|(label, _)| *label).collect();
        heard.len() == self.labels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_song_whose_first_copy_goes_is_still_one_song() {
        let lead = Lead { copies: vec![(2, 0), (3, 1), (4, 0)], ..Lead::default() };
        let bound = VectorBound { width: 1, norm_squared: 1, max_abs: 1 };
        let (routing, heads, groups) = (Vec::new(), vec![0], Vec::new());
        let mut table =
            Table { routing, public: false, heads, input: bound, outputs: 1, groups, tells_starts: false, lead };
        // Without the tracks 0 and 1: 2 and 4 are one song, and 3 is a song by itself.
        table.renumber(&[(2, 0), (3, 1), (4, 2)].into());
        assert_eq!(table.lead.copies, [(2, 0)]);
    }
}
