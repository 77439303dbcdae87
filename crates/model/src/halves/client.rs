//! [`ClientModel`]: the half that the listener holds, public to every client.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sordino_front::{Crop, Front, FrontError, VectorBound};
use thiserror::Error;

use crate::answer::{Next, Trips};
use crate::raw::{RawError, RawSpec};
use crate::stage::{HierarchyShape, Stage, StageShape};
use crate::{Answer, Lead, Match, ModelHash, Protocol, Routing, ServerModel, Verdict};

/// What is said about a track when it has been named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Identity within the library.
    pub track_id: u32,
    /// Artist, or empty.
    pub artist: String,
    /// Title.
    pub title: String,
    /// Album, or empty.
    pub album: String,
    /// Licence, or empty.
    pub licence: String,
}

/// Parts that do not make a [`ClientModel`], or do not fit a server half.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The front end refuses.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// A table has the wrong number of entries.
    #[error("client: {table} has {found} entries, expected {expected}")]
    Length {
        /// Which table.
        table: &'static str,
        /// Entries given.
        found: usize,
        /// Entries needed.
        expected: usize,
    },
    /// A slot names a label that does not exist.
    #[error("client: used slot {slot} names label {found}, expected below {labels}")]
    NoLabel {
        /// The slot, counted over used slots.
        slot: usize,
        /// The label it names.
        found: u32,
        /// Labels there are.
        labels: usize,
    },
    /// A head's integers are not what a stage takes.
    #[error("client: the head of stage {stage} gives {found:?}, the stage takes {expected:?}")]
    Bound {
        /// The stage.
        stage: usize,
        /// What the head promises.
        found: VectorBound,
        /// What the stage takes.
        expected: VectorBound,
    },
    /// The flat hierarchy has more stages than one.
    #[error("client: the flat hierarchy has {found} stages, expected 1")]
    NotFlat {
        /// Stages given.
        found: usize,
    },
    /// Routing layers that do not fit the hierarchy's routing stages.
    #[error("client: the routing layers are of other shapes than the {expected} routing stages")]
    Routers {
        /// Routing stages of the hierarchy.
        expected: usize,
    },
    /// A model whose routing layers are not public.
    #[error(
        "the model does not publish its routing layers, so no client can pick clusters itself; train it with --public-routing, or \
         publish them with `sordino library routing`"
    )]
    NotPublic,
    /// A model that hears no samples.
    #[error("the model has no part that hears encrypted samples; train it with --raw")]
    NotRaw,
    /// Constants or samples of raw sound that do not fit.
    #[error(transparent)]
    Raw(#[from] RawError),
    /// The two halves come from different models.
    #[error("the halves do not belong together: {what} is {found}, the client half expects {expected}")]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// The server half's.
        found: String,
        /// The client half's.
        expected: String,
    },
    /// Scores that do not fit the stage.
    #[error("scores: group {group} has {found} scores, expected {expected}")]
    Scores {
        /// The group.
        group: usize,
        /// Scores given.
        found: usize,
        /// Scores needed: the slots that the group uses.
        expected: usize,
    },
    /// A stage or group that the model does not have.
    #[error("scores: {what} {found} given, expected below {bound}")]
    Absent {
        /// Stage or group.
        what: &'static str,
        /// The number given.
        found: usize,
        /// How many there are.
        bound: usize,
    },
}

/// What the client knows of one hierarchy: the shape of its stages, the heads that feed them, and whose slots they are.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientHierarchy {
    shape: HierarchyShape,
    heads: Vec<usize>,
    slots: Vec<u32>,
    /// Where the used slots of each group of the last stage start in `slots`.
    firsts: Vec<usize>,
    /// Where in its track the passage of every used slot begins, in milliseconds; empty where that is not said.
    starts: Vec<u32>,
    lead: Lead,
    /// Every stage but the last, where they are public; else empty.
    routers: Vec<Stage>,
    /// Of a hierarchy that is fed by encrypted samples, and by no head.
    samples: Option<RawSpec>,
}

impl ClientHierarchy {
    /// `heads[s]` is the head of the front end that feeds stage `s`; `slots` names the label of every *used* slot of the
    /// last stage, group after group. A label may have several slots (spill, prototypes).
    ///
    /// # Errors
    /// [`ClientError::Length`] where the tables do not fit the shape.
    pub fn new(shape: HierarchyShape, heads: Vec<usize>, slots: Vec<u32>) -> Result<Self, ClientError> {
        let (found, expected) = (heads.len(), shape.stages().len());
        if found != expected {
            return Err(ClientError::Length { table: "heads", found, expected });
        }
        Self::fed(shape, heads, slots)
    }

    /// The outline of a hierarchy that the server feeds itself, from encrypted samples.
    ///
    /// # Errors
    /// [`ClientError::Length`] where the tables do not fit the shape, [`ClientError::Raw`] for constants out of range, or others than the
    /// only stage was made for.
    pub fn hearing(shape: HierarchyShape, samples: RawSpec, slots: Vec<u32>) -> Result<Self, ClientError> {
        samples.validate()?;
        let (found, expected) = (shape.last().input(), samples.bound());
        if shape.stages().len() != 1 || found != expected {
            return Err(ClientError::Bound { stage: 0, found, expected });
        }
        Ok(Self { samples: Some(samples), ..Self::fed(shape, Vec::new(), slots)? })
    }

    fn fed(shape: HierarchyShape, heads: Vec<usize>, slots: Vec<u32>) -> Result<Self, ClientError> {
        let (found, expected) = (slots.len(), shape.last().used());
        if found != expected {
            return Err(ClientError::Length { table: "slots", found, expected });
        }
        let firsts = shape.last().counts().iter().scan(0, |next, used| {
            let start = *next;
            *next += used;
            Some(start)
        });
        let firsts = firsts.collect();
        Ok(Self {
            shape,
            heads,
            slots,
            firsts,
            starts: Vec::new(),
            lead: Lead::default(),
            routers: Vec::new(),
            samples: None,
        })
    }

    /// The same that says where in its track the passage of every *used* slot of the last stage begins, in milliseconds.
    ///
    /// # Errors
    /// [`ClientError::Length`] where there is not one of them for each slot.
    pub fn with_starts(self, starts: Vec<u32>) -> Result<Self, ClientError> {
        if starts.len() != self.slots.len() {
            return Err(ClientError::Length { table: "starts", found: starts.len(), expected: self.slots.len() });
        }
        Ok(Self { starts, ..self })
    }

    /// The same with another test of whether a track is known.
    pub fn with_lead(self, lead: Lead) -> Self {
        Self { lead, ..self }
    }

    /// The same with the weights of every stage but the last, by which a client picks its clusters itself.
    ///
    /// # Errors
    /// [`ClientError::Routers`] where they have other shapes.
    pub fn with_routers(self, routers: Vec<Stage>) -> Result<Self, ClientError> {
        let routing = &self.shape.stages()[..self.shape.stages().len() - 1];
        if !routers.iter().map(Stage::shape).eq(routing) {
            return Err(ClientError::Routers { expected: routing.len() });
        }
        Ok(Self { routers, ..self })
    }

    /// The weights of every stage but the last where they are public; empty where they are not, and where there are none.
    pub fn routers(&self) -> &[Stage] {
        &self.routers
    }

    /// What tells a known track from an unknown one where the client decides.
    pub fn lead(&self) -> &Lead {
        &self.lead
    }

    /// How samples are written, where they are what is sent.
    pub fn samples(&self) -> Option<&RawSpec> {
        self.samples.as_ref()
    }

    /// The stages' shapes.
    pub fn shape(&self) -> &HierarchyShape {
        &self.shape
    }

    /// The head that feeds each stage.
    pub fn heads(&self) -> &[usize] {
        &self.heads
    }

    /// The label of every used slot of the last stage, group after group.
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Where in its track the passage of every used slot begins, in milliseconds, group after group; empty where that is not said.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The label of one slot of the last stage; `None` for padding and slots that do not exist.
    pub fn label(&self, group: usize, slot: usize) -> Option<usize> {
        Some(self.slots[self.used(group, slot)?] as usize)
    }

    /// Where in its track the passage of one slot begins; `None` where that is not said.
    pub fn start(&self, group: usize, slot: usize) -> Option<Duration> {
        let start = self.starts.get(self.used(group, slot)?)?;
        Some(Duration::from_millis(u64::from(*start)))
    }

    /// The place of a slot among the used ones.
    fn used(&self, group: usize, slot: usize) -> Option<usize> {
        let used = *self.shape.last().counts().get(group)?;
        (slot < used).then(|| self.firsts[group] + slot)
    }

    /// The same by the slot's number among those of all groups, used or not: group times slots of a group, plus slot.
    pub fn label_at(&self, place: usize) -> Option<usize> {
        let (group, slot) = self.split(place);
        self.label(group, slot)
    }

    /// Where in its track the passage of a slot begins, by the same number.
    pub fn start_at(&self, place: usize) -> Option<Duration> {
        let (group, slot) = self.split(place);
        self.start(group, slot)
    }

    fn split(&self, place: usize) -> (usize, usize) {
        let slots = self.shape.last().outputs();
        (place / slots, place % slots)
    }

    /// One stage's shape.
    ///
    /// # Errors
    /// [`ClientError::Absent`].
    pub fn stage(&self, stage: usize) -> Result<&StageShape, ClientError> {
        let stages = self.shape.stages();
        stages.get(stage).ok_or(ClientError::Absent { what: "stage", found: stage, bound: stages.len() })
    }

    fn check(&self, front: &Front, labels: usize) -> Result<(), ClientError> {
        for (stage, (&head, shape)) in self.heads.iter().zip(self.shape.stages()).enumerate() {
            let (found, expected) = (front.head(head)?.quantiser().bound, shape.input());
            if found != expected {
                return Err(ClientError::Bound { stage, found, expected });
            }
        }
        match self.slots.iter().position(|&label| label as usize >= labels) {
            Some(slot) => Err(ClientError::NoLabel { slot, found: self.slots[slot], labels }),
            None => Ok(()),
        }
    }
}

/// The client half: front end, shapes, labels. It holds no weight of any stage that runs encrypted, but those of routing stages
/// where the library's owner publishes them.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientModel {
    name: String,
    front: Front,
    hierarchy: ClientHierarchy,
    flat: Option<ClientHierarchy>,
    raw: Option<ClientHierarchy>,
    labels: Vec<Label>,
    server: ModelHash,
}

impl ClientModel {
    /// A client half; `server` is the hash of the server half it belongs to, `flat` outlines the server's separately
    /// trained classifier where it has one.
    ///
    /// # Errors
    /// [`ClientError`] where the parts do not fit together.
    pub fn new(
        name: impl Into<String>,
        front: Front,
        hierarchy: ClientHierarchy,
        flat: Option<ClientHierarchy>,
        labels: Vec<Label>,
        server: ModelHash,
    ) -> Result<Self, ClientError> {
        hierarchy.check(&front, labels.len())?;
        if let Some(flat) = &flat {
            flat.check(&front, labels.len())?;
            let found = flat.shape.stages().len();
            if found != 1 {
                return Err(ClientError::NotFlat { found });
            }
        }
        Ok(Self { name: name.into(), front, hierarchy, flat, raw: None, labels, server })
    }

    /// The same of a model that also hears encrypted samples.
    ///
    /// # Errors
    /// [`ClientError`] for an outline of other labels, or of sound at another rate, or longer, than the front end takes.
    pub fn with_raw(self, raw: ClientHierarchy) -> Result<Self, ClientError> {
        raw.check(&self.front, self.labels.len())?;
        let (samples, sound) = (raw.samples.as_ref().ok_or(ClientError::NotRaw)?, self.front.spec()?);
        if samples.sample_rate != sound.sample_rate || samples.query_samples() > sound.query_samples() {
            let found = format!("{} samples at {} Hz", samples.query_samples(), samples.sample_rate);
            let expected = format!("at most {} at {} Hz", sound.query_samples(), sound.sample_rate);
            return Err(RawError { field: "cells and sample_rate", found, expected }.into());
        }
        Ok(Self { raw: Some(raw), ..self })
    }

    /// The same for another server half, which this one is the client of.
    pub fn of_server(self, server: ModelHash) -> Self {
        Self { server, ..self }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public front end.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// The stages: clusters, then tracks.
    pub fn hierarchy(&self) -> &ClientHierarchy {
        &self.hierarchy
    }

    /// The separately trained classifier over all tracks, if any.
    pub fn own_flat(&self) -> Option<&ClientHierarchy> {
        self.flat.as_ref()
    }

    /// What the `flat` protocol evaluates: the separately trained classifier, or else the hierarchy, of which
    /// it takes the last stage.
    pub fn flat(&self) -> &ClientHierarchy {
        self.flat.as_ref().unwrap_or(&self.hierarchy)
    }

    /// What hears encrypted samples, if anything does.
    pub fn raw(&self) -> Option<&ClientHierarchy> {
        self.raw.as_ref()
    }

    /// What a protocol evaluates. Of a model that hears no samples, [`Protocol::Raw`] has what `flat` has, and nobody speaks it.
    pub fn stages_for(&self, protocol: Protocol) -> &ClientHierarchy {
        match (protocol, protocol.routing()) {
            (Protocol::Raw, _) => self.raw.as_ref().unwrap_or(self.flat()),
            (_, Routing::None) => self.flat(),
            (_, Routing::Encrypted | Routing::Public) => &self.hierarchy,
        }
    }

    /// Refuses a protocol by which no client can ask.
    ///
    /// # Errors
    /// [`ClientError::NotPublic`] where it needs public routing layers, [`ClientError::NotRaw`] where it needs a part for encrypted samples.
    pub fn speaks(&self, protocol: Protocol) -> Result<(), ClientError> {
        match protocol {
            Protocol::Raw if self.raw.is_none() => Err(ClientError::NotRaw),
            _ if protocol.routing() == Routing::Public && self.hierarchy.routers.is_empty() => {
                Err(ClientError::NotPublic)
            }
            _ => Ok(()),
        }
    }

    /// What a client of a protocol starts from: the base features of a part of a sound at the front end's rate, or, where samples are what is
    /// sent, the middle of that part.
    ///
    /// # Errors
    /// [`ClientError::Front`] for sound that is too short, [`ClientError::NotRaw`].
    pub fn heard(&self, protocol: Protocol, sound: &[f32], crop: Crop) -> Result<Vec<f32>, ClientError> {
        if protocol != Protocol::Raw {
            return Ok(self.front.features_at(sound, crop)?);
        }
        let samples = self.raw().and_then(ClientHierarchy::samples).ok_or(ClientError::NotRaw)?.query_samples();
        let clip = self.front.window(sound, crop)?;
        let before = (clip.len() - samples) / 2;
        Ok(clip[before..before + samples].to_vec())
    }

    /// The groups of the last stage to ask for by [`Protocol::Picked`] and [`Protocol::PickedDecided`], the best first: the trips of
    /// [`Protocol::Routed`] up to the last, each taken in the clear.
    ///
    /// # Errors
    /// [`ClientError::NotPublic`] where the routing layers are not public, [`ClientError::Front`] for features of another width or not
    /// finite.
    pub fn pick(&self, features: &[f32], probes: usize) -> Result<Trips, ClientError> {
        let outline = &self.hierarchy;
        if outline.routers.is_empty() {
            return Err(ClientError::NotPublic);
        }
        let mut trips = Trips::new(probes);
        for (stage, router) in outline.routers.iter().enumerate() {
            let x = self.input(outline, stage, features)?;
            let scores = |&group: &usize| (0..router.count(group)).map(|slot| router.score(group, slot, &x)).collect();
            let replies = trips.groups().iter().map(scores).collect();
            if let Next::Trip(next) = trips.clone().decide(outline, replies)? {
                trips = next;
            }
        }
        Ok(trips)
    }

    /// The tracks that can be named.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Whether any two tracks are one recording.
    pub fn has_copies(&self) -> bool {
        !self.hierarchy.lead.copies.is_empty()
    }

    /// The other tracks of a track's recording, by their labels.
    pub fn copies(&self, label: usize) -> impl Iterator<Item = usize> {
        self.hierarchy.lead.copies_of(label)
    }

    /// What an answer is worth that a protocol gave.
    pub fn verdict(&self, protocol: Protocol, answer: &Answer) -> Verdict {
        self.stages_for(protocol).lead.verdict(answer)
    }

    /// Share of unknown songs that reach as far as an answer, from a thousandth to a half. `None` where the server decided, and where the
    /// model does not say how far unknown songs reach.
    pub fn doubt(&self, protocol: Protocol, answer: &Answer) -> Option<f32> {
        self.stages_for(protocol).lead.doubt(answer.evidence.as_ref()?)
    }

    /// An answer of a protocol in which the client decides, judged so that such a share of unknown songs passes for known: from a
    /// thousandth to a half. `None` where the server decided, and where the model does not say how far unknown songs reach.
    pub fn judged(&self, protocol: Protocol, answer: Answer, accepted: f32) -> Option<Answer> {
        let evidence = self.stages_for(protocol).lead.at(answer.evidence?, accepted)?;
        Some(Answer { known: evidence.suffices(), evidence: Some(evidence), ..answer })
    }

    /// The score that such a share of unknown songs exceeds, from a thousandth to a half, where the server decides by it. `None` where the
    /// model does not say how far unknown songs reach.
    pub fn score_refusing(&self, protocol: Protocol, accepted: f32) -> Option<i64> {
        self.stages_for(protocol).lead.score_refusing(accepted)
    }

    /// Where in its track lies what was found: the passage, as long as a query. `None` where the model does not say.
    pub fn passage(&self, found: &Match) -> Option<Range<Duration>> {
        let length = Duration::try_from_secs_f32(self.front.spec().ok()?.query_seconds).ok()?;
        found.start.map(|start| start..start + length)
    }

    /// Hash of the server half.
    pub fn server_hash(&self) -> ModelHash {
        self.server
    }

    /// The integers that stage `stage` of `outline` takes for one clip's base features.
    ///
    /// # Errors
    /// [`ClientError::Absent`], or [`ClientError::Front`] for features of another width or not finite.
    pub fn input(&self, outline: &ClientHierarchy, stage: usize, features: &[f32]) -> Result<Vec<i32>, ClientError> {
        outline.stage(stage)?;
        Ok(self.front.head(outline.heads[stage])?.input(features)?)
    }

    /// The integers of every stage of the hierarchy for one clip's base features.
    ///
    /// # Errors
    /// [`ClientError::Front`] for features of another width or not finite.
    pub fn inputs(&self, features: &[f32]) -> Result<Vec<Vec<i32>>, ClientError> {
        (0..self.hierarchy.heads.len()).map(|stage| self.input(&self.hierarchy, stage, features)).collect()
    }

    /// What a query of a protocol in which the server decides is made of: the integers of every stage that it evaluates, and the groups
    /// of the last stage that the client asks for, where it picks them.
    ///
    /// # Errors
    /// [`ClientError::NotPublic`], or [`ClientError::Front`] for features of another width or not finite.
    pub fn question(&self, protocol: Protocol, features: &[f32]) -> Result<(Vec<Vec<i32>>, Vec<usize>), ClientError> {
        if protocol.routing() != Routing::Public {
            return Ok((self.inputs(features)?, Vec::new()));
        }
        let picked = self.pick(features, protocol.probes())?;
        let vector = self.input(&self.hierarchy, picked.stage(), features)?;
        Ok((vec![vector], picked.groups().to_vec()))
    }

    /// What a query of [`Protocol::Raw`] is made of, of what [`ClientModel::heard`] gave.
    ///
    /// # Errors
    /// [`ClientError::NotRaw`], or [`ClientError::Raw`] for sound of another length or silence.
    pub fn samples(&self, sound: &[f32]) -> Result<Vec<i32>, ClientError> {
        Ok(self.raw().and_then(ClientHierarchy::samples).ok_or(ClientError::NotRaw)?.samples(sound)?)
    }

    /// The integers of the `flat` protocol for one clip's base features.
    ///
    /// # Errors
    /// [`ClientError::Front`] for features of another width or not finite.
    pub fn flat_input(&self, features: &[f32]) -> Result<Vec<i32>, ClientError> {
        let flat = self.flat();
        self.input(flat, flat.heads.len() - 1, features)
    }

    /// Refuses a server half that this client half does not belong to.
    ///
    /// # Errors
    /// [`ClientError::Mismatch`] names the first difference.
    pub fn check_server(&self, server: &ServerModel) -> Result<(), ClientError> {
        let same = |what, found: &dyn ToString, expected: &dyn ToString, equal: bool| {
            let mismatch = || ClientError::Mismatch { what, found: found.to_string(), expected: expected.to_string() };
            if equal { Ok(()) } else { Err(mismatch()) }
        };
        let spec = ModelHash::of_input(&self.front);
        same("the server half's hash", &server.hash(), &self.server, server.hash() == self.server)?;
        same("the name", &server.name(), &self.name, server.name() == self.name)?;
        same("the feature spec's hash", &server.spec_hash(), &spec, server.spec_hash() == spec)?;
        let stages = |shape: &HierarchyShape| format!("{} stages of other sizes", shape.stages().len());
        let (theirs, ours) = (server.hierarchy().shape(), &self.hierarchy.shape);
        same("the hierarchy", &stages(theirs), &stages(ours), theirs == ours)?;
        let routers = &self.hierarchy.routers;
        let public = routers.iter().zip(server.hierarchy().stages()).all(|(ours, theirs)| ours == theirs);
        same("a routing layer", &"other weights", &"the public ones", public)?;
        let (theirs, ours) = (server.own_flat().map(|h| h.shape()), self.flat.as_ref().map(|o| &o.shape));
        let presence =
            |shape: Option<&HierarchyShape>| shape.map_or("absent".into(), |s| format!("{} slots", s.last().used()));
        same("the flat classifier", &presence(theirs), &presence(ours), theirs == ours)?;
        let theirs = server.raw().and_then(|raw| Some((raw.raw()?.front().spec(), raw.shape())));
        let ours = self.raw.as_ref().and_then(|raw| Some((raw.samples.as_ref()?, &raw.shape)));
        let presence = |part: Option<(&RawSpec, &HierarchyShape)>| presence(part.map(|(_, shape)| shape));
        same("the part for raw sound", &presence(theirs), &presence(ours), theirs == ours)
    }
}
