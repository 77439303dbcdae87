//! [`exchange`]: a query from start to answer, over a transport that can be called.

use std::time::{Duration, Instant};

use sordino_model::Answer;

use crate::{Carried, Client, ServiceError, Step};

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
    /// Reading the reply. Where another trip follows, this counts towards its [`Trip::encrypt`].
    pub decrypt: Duration,
}

/// An answer and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The answer. It must not travel back to the server, nor anything that follows from it.
    pub answer: Answer,
    /// One entry per trip.
    pub trips: Vec<Trip>,
}

impl Exchange {
    /// The sum over all trips of one of their times.
    pub fn total(&self, phase: impl Fn(&Trip) -> Duration) -> Duration {
        self.trips.iter().map(phase).sum()
    }

    /// Bytes sent and received.
    pub fn bytes(&self) -> (usize, usize) {
        self.trips.iter().fold((0, 0), |(up, down), trip| (up + trip.up, down + trip.down))
    }
}

/// Names the clip that `features` describe. `carry` takes a message to the server and returns its reply.
///
/// # Errors
/// [`ServiceError`]: what `carry` returns, or a refused message.
pub fn exchange(
    client: &mut Client,
    features: &[f32],
    carry: &mut dyn FnMut(&[u8]) -> Carried,
) -> Result<Exchange, ServiceError> {
    let mut trips = Vec::new();
    let mut start = Instant::now();
    let mut message = client.start(features)?;
    loop {
        let encrypt = start.elapsed();
        start = Instant::now();
        let reply = carry(&message.bytes)?;
        let wait = start.elapsed();
        start = Instant::now();
        let step = client.receive(&reply)?;
        let (up, down) = (message.bytes.len(), reply.len());
        match step {
            Step::Send(next) => {
                trips.push(Trip { up, down, encrypt, wait, decrypt: Duration::ZERO });
                message = next;
            }
            Step::Done(answer) => {
                trips.push(Trip { up, down, encrypt, wait, decrypt: start.elapsed() });
                return Ok(Exchange { answer, trips });
            }
        }
    }
}
