//! [`Client`]: who asks, encrypts and decides.

use std::time::{Duration, Instant};

use sordino_fhe::{Plan, QueryEncryptor, SecretKey};
use sordino_model::{ClientModel, GroupScores, Next, Protocol, Ranking, Trips};

use crate::{Carried, ServiceError};

/// A client of one server, for one protocol.
pub struct Client<'a> {
    model: &'a ClientModel,
    protocol: Protocol,
    encryptor: QueryEncryptor<'a>,
}

/// What one trip took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Bytes sent.
    pub up: usize,
    /// Bytes received.
    pub down: usize,
    /// Writing the query.
    pub encrypt: Duration,
    /// Waiting for the reply: the server's work and the transport.
    pub wait: Duration,
    /// Reading the reply.
    pub decrypt: Duration,
}

/// An answer and what it took. It must not travel back to the server, nor anything that follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Tracks by falling score; the best one is known if its score is above zero.
    pub ranking: Ranking,
    /// One entry per trip.
    pub trips: Vec<Trip>,
}

impl<'a> Client<'a> {
    /// A client with its half of the model, its key, and the plan that the server handed out.
    ///
    /// # Errors
    /// [`ServiceError::Fhe`] for a plan that cannot be read, or fits neither the key nor the model.
    pub fn new(
        model: &'a ClientModel,
        key: &'a SecretKey,
        protocol: Protocol,
        plan: &[u8],
    ) -> Result<Self, ServiceError> {
        let outline = match protocol {
            Protocol::Flat => model.flat(),
            Protocol::Trips { .. } => model.hierarchy(),
        };
        let plan = Plan::from_bytes(plan)?;
        Ok(Self { model, protocol, encryptor: QueryEncryptor::new(key, plan, model.server_hash(), outline.shape())? })
    }

    /// Names the clip that `features` describes. `ask(trip, query)` carries a message to the server and returns its reply.
    ///
    /// # Errors
    /// [`ServiceError`]: what `ask` returns, or a refused message.
    pub fn identify(
        &mut self,
        features: &[f32],
        ask: &mut dyn FnMut(usize, &[u8]) -> Carried,
    ) -> Result<Answer, ServiceError> {
        let mut records = Vec::new();
        let ranking = match self.protocol {
            Protocol::Flat => {
                let x = self.model.flat_input(features)?;
                let scores = self.trip(0, &x, &[], ask, &mut records)?;
                let scored = scores.into_iter().enumerate().map(|(group, scores)| GroupScores { group, scores });
                self.model.flat().rank(&scored.collect::<Vec<_>>())?
            }
            Protocol::Trips { probes } => {
                let outline = self.model.hierarchy();
                let mut trips = Trips::new(outline, probes);
                loop {
                    let stage = trips.stage();
                    let x = self.model.input(outline, stage, features)?;
                    let groups = if stage == 0 { &[][..] } else { trips.groups() };
                    let scores = self.trip(stage, &x, groups, ask, &mut records)?;
                    match trips.decide(scores)? {
                        Next::Trip(next) => trips = next,
                        Next::Done(ranking) => break ranking,
                    }
                }
            }
        };
        Ok(Answer { ranking, trips: records })
    }

    fn trip(
        &mut self,
        trip: usize,
        x: &[i32],
        groups: &[usize],
        ask: &mut dyn FnMut(usize, &[u8]) -> Carried,
        records: &mut Vec<Trip>,
    ) -> Result<Vec<Vec<i64>>, ServiceError> {
        let start = Instant::now();
        let query = self.encryptor.query(trip, x, groups)?;
        let encrypt = start.elapsed();
        let start = Instant::now();
        let reply = ask(trip, &query)?;
        let wait = start.elapsed();
        let start = Instant::now();
        let scores = self.encryptor.scores(trip, &reply, groups)?;
        let decrypt = start.elapsed();
        records.push(Trip { up: query.len(), down: reply.len(), encrypt, wait, decrypt });
        Ok(scores)
    }
}
