//! [`Sender`]: the client's end of the messages, the same for every family of protocols.

use std::sync::Arc;

use sordino_front::VectorBound;
use sordino_model::ModelHash;
use sordino_model::layout::Packing;
use tfhe::core_crypto::prelude::Polynomial;

use crate::FheError;
use crate::keys::secret::{SecretKey, wipe};
use crate::params::ParameterSet;
use crate::ring::random::Random;
use crate::wire::bits::unpack;
use crate::wire::checksum::{self, Checksum};
use crate::wire::encoding::Encoding;
use crate::wire::header::{Header, Kind};
use crate::wire::seeded;

/// Writes the queries of one secret key for one model under one plan, and opens the replies.
pub(crate) struct Sender {
    key: Arc<SecretKey>,
    model: ModelHash,
    plan: ModelHash,
    /// What masks and noise are drawn from. Kept, so that no query repeats another's even where the system's generator does.
    random: Random,
    /// Whether the system adds to it for every query; it does not where a seed must repeat.
    entropy: bool,
    /// The last query's checksum: the only one whose reply is opened.
    asked: Option<Checksum>,
}

/// A query that is being written.
pub(crate) struct Draft<'a> {
    sender: &'a mut Sender,
    random: Random,
    out: Vec<u8>,
}

impl Sender {
    /// A sender of queries under a plan of this digest.
    ///
    /// # Errors
    /// [`FheError::Parameters`] for a key of another parameter set.
    pub(crate) fn new(
        key: Arc<SecretKey>,
        parameters: &ParameterSet,
        model: ModelHash,
        plan: ModelHash,
    ) -> Result<Self, FheError> {
        let (found, expected) = (key.parameters().id.0, parameters.id.0);
        if found != expected {
            return Err(FheError::Parameters { found, expected });
        }
        Ok(Self { key, model, plan, random: Random::from_system(), entropy: true, asked: None })
    }

    /// The same, with masks, noise and nonces that follow from `seed` alone.
    #[cfg(any(test, feature = "insecure"))]
    pub(crate) fn with_insecure_seed(self, seed: u64) -> Self {
        Self { random: Random::from_insecure_seed("client", seed), entropy: false, ..self }
    }

    /// Starts the query of a trip, whose payload will have `payload` bytes.
    pub(crate) fn draft(&mut self, trip: usize, payload: usize) -> Draft<'_> {
        // A snapshot or a fork of the process has the same state: what the system adds keeps their masks and noise apart.
        let mut random = if self.entropy { self.random.with_entropy() } else { self.random.fork() };
        let out = self.header(trip, Kind::Query).write(&random.seed(), payload);
        Draft { sender: self, random, out }
    }

    /// Opens the reply to the last query: the mask of every ciphertext times the key, and the bodies that were sent with it, for
    /// ciphertexts of which so many body coefficients are sent.
    ///
    /// # Errors
    /// [`FheError`] for anything that is no reply to it.
    pub(crate) fn open(
        &self,
        trip: usize,
        reply: &[u8],
        payload: usize,
        bits: u32,
        bodies: impl Iterator<Item = usize> + Clone,
    ) -> Result<Vec<Phases>, FheError> {
        let opened = self.header(trip, Kind::Reply).read(reply, payload)?;
        if self.asked != Some(opened.reference) {
            return Err(FheError::OtherQuery);
        }
        let ring = self.key.parameters().ring();
        let mut values = vec![0; bodies.clone().map(|sent| ring + sent).sum()];
        unpack(opened.payload, bits, &mut values);
        let mut rest = values.into_iter();
        let mut next = |count: usize| rest.by_ref().take(count).collect::<Vec<u64>>();
        Ok(bodies
            .map(|sent| Phases { pad: self.key.times(&Polynomial::from_container(next(ring))), bodies: next(sent) })
            .collect())
    }

    fn header(&self, trip: usize, kind: Kind) -> Header {
        // A plan has at most 64 trips.
        Header { kind, trip: trip as u16, parameters: self.key.parameters().id, model: self.model, plan: self.plan }
    }
}

/// A ciphertext of a reply, half decrypted.
pub(crate) struct Phases {
    pad: Vec<u64>,
    bodies: Vec<u64>,
}

impl Phases {
    /// The phase of the body sent at `place`, which is that of this coefficient.
    pub(crate) fn at(&self, place: usize, coefficient: usize) -> u64 {
        self.bodies[place].wrapping_sub(self.pad[coefficient])
    }
}

impl Drop for Phases {
    fn drop(&mut self) {
        wipe(&mut self.pad);
        wipe(&mut self.bodies);
    }
}

impl Draft<'_> {
    /// The key.
    pub(crate) fn key(&self) -> &SecretKey {
        &self.sender.key
    }

    /// Appends bytes that are no secret.
    pub(crate) fn public(&mut self, bytes: &[u8]) {
        self.out.extend(bytes);
    }

    /// Appends the encryptions of `plaintexts`, one polynomial of N torus elements after another, and wipes them.
    pub(crate) fn encrypt(&mut self, plaintexts: Vec<u64>, body_bits: u32) {
        let key = self.sender.key.clone();
        self.encrypt_under(&key, plaintexts, body_bits);
    }

    /// The same under another key, of any ring.
    pub(crate) fn encrypt_under(&mut self, key: &SecretKey, mut plaintexts: Vec<u64>, body_bits: u32) {
        seeded::encrypt(key, &plaintexts, body_bits, &mut self.random, &mut self.out);
        wipe(&mut plaintexts);
    }

    /// Appends the encryption of a vector: feature `i` times the score unit, where the packing puts it.
    pub(crate) fn vector(&mut self, x: &[i32], packing: &Packing, encoding: Encoding, body_bits: u32) {
        let mut plaintexts = vec![0; packing.inputs() * packing.ring()];
        for (i, &value) in x.iter().enumerate() {
            let (ciphertext, coefficient) = packing.feature(i);
            plaintexts[ciphertext * packing.ring() + coefficient] = encoding.encode(value.into());
        }
        self.encrypt(plaintexts, body_bits);
    }

    /// Appends the encryptions of single torus elements, and wipes them.
    pub(crate) fn numbers(&mut self, mut numbers: Vec<u64>) {
        seeded::encrypt_numbers(&self.sender.key, &numbers, &mut self.random, &mut self.out);
        wipe(&mut numbers);
    }

    /// Appends the encryption of zero with which the server gives its reply a new mask.
    pub(crate) fn zero_key(&mut self, body_bits: u32) {
        self.encrypt(vec![0; self.key().parameters().ring()], body_bits);
    }

    /// The message. From now on the sender waits for its reply, and for no other.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.sender.asked = Some(checksum::seal(&mut self.out));
        self.out
    }
}

/// Refuses a vector that breaks the promise on which encoding and noise rest.
pub(crate) fn admit(x: &[i32], bound: VectorBound) -> Result<(), FheError> {
    let (width, max_abs, norm_squared) = (bound.width, bound.max_abs, bound.norm_squared);
    if bound.admits(x) { Ok(()) } else { Err(FheError::Vector { width, max_abs, norm_squared }) }
}
