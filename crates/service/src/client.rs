//! [`Client`]: who asks, encrypts and decrypts.

use std::sync::Arc;

use sordino_fhe::{ClientKey, Plan, decision, raw, scores};
use sordino_model::answer::{GroupScores, Next, Trips};
use sordino_model::{Answer, ClientModel, Protocol, Routing};

use crate::{Hello, ServiceError};

/// A client of one server, for the protocol that the server speaks. It does nothing but compute: messages go out, replies come in.
pub struct Client {
    model: Arc<ClientModel>,
    protocol: Protocol,
    family: Family,
    /// Share of unknown songs that may pass for known; as the model has it where there is none.
    accepted: Option<f32>,
    query: Option<Query>,
}

/// The encrypting half of a protocol's family.
enum Family {
    Scores(scores::Client),
    Decision(decision::Client),
    Raw(Box<raw::Client>),
}

/// A query that waits for a reply.
enum Query {
    Flat,
    /// In `routed` every stage has a trip, in `picked` only the last one.
    Trips {
        trips: Trips,
        number: usize,
        features: Vec<f32>,
    },
    /// For tracks whose score is above this, in the groups that the client asked for.
    Decided {
        above: i64,
        groups: Vec<usize>,
    },
}

/// A message for the server. It names its trip itself; the number here is for whoever counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which trip of the query this is, from 0.
    pub trip: usize,
    /// What to send.
    pub bytes: Vec<u8>,
}

/// What follows a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another trip: send this, and hand in the reply.
    Send(Message),
    /// The answer. It must not travel back to the server, nor anything that follows from it.
    Done(Answer),
}

impl Client {
    /// A client with its half of the model, its key, and the hello of the server. Where the server decides, the key says under which name
    /// its evaluation key was registered: [`ClientKey::registered`].
    ///
    /// # Errors
    /// [`ServiceError::Hello`] or [`ServiceError::Fhe`] for a hello that cannot be read or whose plan fits neither the key nor the
    /// model, [`ServiceError::OtherModel`] for a server that holds another model, [`ServiceError::Client`] for a protocol that needs public
    /// routing layers where they are not.
    pub fn new(
        model: impl Into<Arc<ClientModel>>,
        key: impl Into<ClientKey>,
        hello: &[u8],
    ) -> Result<Self, ServiceError> {
        let (model, key) = (model.into(), key.into());
        let Hello { protocol, model: found, plan } = Hello::from_bytes(hello)?;
        let expected = model.server_hash();
        if found != expected {
            return Err(ServiceError::OtherModel { found, expected });
        }
        model.speaks(protocol)?;
        let shape = model.stages_for(protocol).shape();
        plan.check(protocol, shape)?;
        let family = match plan {
            Plan::Scores(plan) => Family::Scores(scores::Client::new(key.secret().clone(), plan, expected, shape)?),
            Plan::Decision(plan) => Family::Decision(decision::Client::new(key, plan, expected, shape)?),
            Plan::Raw(plan) => Family::Raw(raw::Client::new(key, plan, expected, shape)?.into()),
            // The plan was read for one of the protocols above.
            _ => return Err(ServiceError::Hello { what: "its plan is of another version" }),
        };
        Ok(Self { model, protocol, family, accepted: None, query: None })
    }

    /// The client's half of the model.
    pub fn model(&self) -> &ClientModel {
        &self.model
    }

    /// The protocol that the server speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// From the next query on, lets such a share of unknown songs pass for known, from a thousandth to a half or 1 for all, and not the model's own. Where
    /// the server decides, what it decides by travels encrypted: it does not learn how strict its client is.
    ///
    /// # Errors
    /// [`ServiceError::NoReach`] for a model that does not say how far unknown songs reach.
    pub fn accept(&mut self, share: f32) -> Result<(), ServiceError> {
        self.model.score_refusing(self.protocol, share).ok_or(ServiceError::NoReach)?;
        self.accepted = Some(share);
        Ok(())
    }

    /// Starts a query about the clip that `features` describe: what [`ClientModel::heard`] gives for the protocol, base features or, where samples are what
    /// is sent, the sound. A query that waits for a reply is given up.
    ///
    /// # Errors
    /// [`ServiceError::Client`] for features of another width or not finite, [`ServiceError::Fhe`] for vectors that break a bound.
    pub fn start(&mut self, features: &[f32]) -> Result<Message, ServiceError> {
        self.query = None;
        let (model, protocol) = (&*self.model, self.protocol);
        let above = self.accepted.and_then(|share| model.score_refusing(protocol, share)).unwrap_or(0);
        let (bytes, query) = match (&mut self.family, protocol.routing()) {
            (Family::Raw(client), _) => {
                (client.query(&model.samples(features)?, above)?, Query::Decided { above, groups: Vec::new() })
            }
            (Family::Decision(client), _) => {
                let (vectors, groups) = model.question(protocol, features)?;
                (client.query(&vectors, &groups, above)?, Query::Decided { above, groups })
            }
            (Family::Scores(client), routing @ (Routing::Encrypted | Routing::Public)) => {
                let trips = match routing {
                    Routing::Public => model.pick(features, protocol.probes())?,
                    _ => Trips::new(protocol.probes()),
                };
                let bytes = trip(client, model, &trips, 0, features)?;
                (bytes, Query::Trips { trips, number: 0, features: features.to_vec() })
            }
            (Family::Scores(client), _) => (client.query(0, &self.model.flat_input(features)?, &[])?, Query::Flat),
        };
        self.query = Some(query);
        Ok(Message { trip: 0, bytes })
    }

    /// Takes the reply to the last message. A reply that is refused leaves the query waiting, so that it can be carried again.
    ///
    /// # Errors
    /// [`ServiceError::NothingAsked`], or [`ServiceError::Fhe`] for anything that is no reply to that message.
    pub fn receive(&mut self, reply: &[u8]) -> Result<Step, ServiceError> {
        let answer = match (&mut self.family, &self.query) {
            (Family::Raw(client), Some(Query::Decided { above, .. })) => {
                let found = client.answer(reply)?;
                Answer::of_slots(self.model.stages_for(self.protocol), found, *above)
            }
            (Family::Decision(client), Some(Query::Decided { above, groups })) => {
                let paths = client.answers(reply, groups)?.into_iter().flatten();
                Answer::of_slots(self.model.hierarchy(), paths, *above)
            }
            (Family::Scores(client), Some(Query::Trips { trips, number, features })) => {
                let scores = client.scores(*number, reply, trips.indices())?;
                match trips.clone().decide(self.model.hierarchy(), scores)? {
                    Next::Done(ranking) => ranking.into(),
                    Next::Trip(next) => {
                        let number = number + 1;
                        let bytes = trip(client, &self.model, &next, number, features)?;
                        let features = features.clone();
                        self.query = Some(Query::Trips { trips: next, number, features });
                        return Ok(Step::Send(Message { trip: number, bytes }));
                    }
                }
            }
            (Family::Scores(client), Some(_)) => {
                let scored = client.scores(0, reply, &[])?.into_iter().enumerate();
                let scored: Vec<_> = scored.map(|(group, scores)| GroupScores { group, scores }).collect();
                self.model.flat().rank(&scored)?.into()
            }
            (_, None) | (Family::Decision(_) | Family::Raw(_), Some(_)) => return Err(ServiceError::NothingAsked),
        };
        self.query = None;
        // Where nothing was scored there is nothing to judge.
        let judge = |share| self.model.judged(self.protocol, answer.clone(), share);
        Ok(Step::Done(self.accepted.and_then(judge).unwrap_or(answer)))
    }
}

/// The message of one trip.
fn trip(
    client: &mut scores::Client,
    model: &ClientModel,
    trips: &Trips,
    number: usize,
    features: &[f32],
) -> Result<Vec<u8>, ServiceError> {
    let x = model.input(model.hierarchy(), trips.stage(), features)?;
    Ok(client.query(number, &x, trips.indices())?)
}
