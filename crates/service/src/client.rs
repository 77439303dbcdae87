//! [`Client`]: who asks, encrypts and decrypts.

use std::sync::Arc;

use sordino_fhe::{ClientKey, Plan, decision, scores};
use sordino_model::answer::{GroupScores, Next, Trips};
use sordino_model::{Answer, ClientModel, Protocol};

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
}

/// A query that waits for a reply.
enum Query {
    Flat,
    Routed {
        trips: Trips,
        features: Vec<f32>,
    },
    /// For tracks whose score is above this.
    Decided {
        above: i64,
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
    /// model, [`ServiceError::OtherModel`] for a server that holds another model.
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
        let shape = model.stages_for(protocol).shape();
        plan.check(protocol, shape)?;
        let family = match plan {
            Plan::Scores(plan) => Family::Scores(scores::Client::new(key.secret().clone(), plan, expected, shape)?),
            Plan::Decision(plan) => Family::Decision(decision::Client::new(key, plan, expected, shape)?),
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

    /// Starts a query about the clip that `features` describe: base features, as the front end makes them. A query that waits for a
    /// reply is given up.
    ///
    /// # Errors
    /// [`ServiceError::Client`] for features of another width or not finite, [`ServiceError::Fhe`] for vectors that break a bound.
    pub fn start(&mut self, features: &[f32]) -> Result<Message, ServiceError> {
        self.query = None;
        let (bytes, query) = match (&mut self.family, self.protocol) {
            (Family::Decision(client), protocol) => {
                let above = self.accepted.and_then(|share| self.model.score_refusing(protocol, share)).unwrap_or(0);
                (client.query_above(&self.model.inputs(features)?, above)?, Query::Decided { above })
            }
            (Family::Scores(client), Protocol::Routed { probes }) => {
                let trips = Trips::new(probes);
                let bytes = routed(client, &self.model, &trips, features)?;
                (bytes, Query::Routed { trips, features: features.to_vec() })
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
            (Family::Decision(client), Some(Query::Decided { above })) => {
                let paths = client.answers(reply)?.into_iter().flatten();
                Answer::of_slots(self.model.hierarchy(), paths, *above)
            }
            (Family::Scores(client), Some(Query::Routed { trips, features })) => {
                let scores = client.scores(trips.stage(), reply, trips.indices())?;
                match trips.clone().decide(self.model.hierarchy(), scores)? {
                    Next::Done(ranking) => ranking.into(),
                    Next::Trip(next) => {
                        let bytes = routed(client, &self.model, &next, features)?;
                        let (trip, features) = (next.stage(), features.clone());
                        self.query = Some(Query::Routed { trips: next, features });
                        return Ok(Step::Send(Message { trip, bytes }));
                    }
                }
            }
            (Family::Scores(client), Some(_)) => {
                let scored = client.scores(0, reply, &[])?.into_iter().enumerate();
                let scored: Vec<_> = scored.map(|(group, scores)| GroupScores { group, scores }).collect();
                self.model.flat().rank(&scored)?.into()
            }
            (_, None) | (Family::Decision(_), Some(_)) => return Err(ServiceError::NothingAsked),
        };
        self.query = None;
        // Where nothing was scored there is nothing to judge.
        let judge = |share| self.model.judged(self.protocol, answer.clone(), share);
        Ok(Step::Done(self.accepted.and_then(judge).unwrap_or(answer)))
    }
}

/// The message of one trip of `routed`.
fn routed(
    client: &mut scores::Client,
    model: &ClientModel,
    trips: &Trips,
    features: &[f32],
) -> Result<Vec<u8>, ServiceError> {
    let x = model.input(model.hierarchy(), trips.stage(), features)?;
    Ok(client.query(trips.stage(), &x, trips.indices())?)
}
