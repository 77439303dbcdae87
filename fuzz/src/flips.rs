//! [`flips`]: every artefact with a bit changed, and what becomes of it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::{EvaluationKey, SecretKey};
use sordino_model::{ClientModel, ServerModel};
use sordino_service::Client;

use crate::{TALKS, common, corpus};

/// An artefact, how many of its bits were changed one at a time, and how often that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flips {
    /// What it is.
    pub artefact: &'static str,
    /// Bits that it has.
    pub bits: usize,
    /// Bits that were changed, one at a time.
    pub flipped: usize,
    /// Changes that were refused.
    pub refused: usize,
    /// Changes that make no difference, such as in what pads a file within a half.
    pub harmless: usize,
}

impl Flips {
    /// Changes that were taken for something else that is whole.
    pub fn believed(&self) -> usize {
        self.flipped - self.refused - self.harmless
    }
}

/// What became of one change.
enum Outcome {
    Refused,
    Harmless,
    Believed,
}

impl From<bool> for Outcome {
    fn from(refused: bool) -> Self {
        if refused { Self::Refused } else { Self::Believed }
    }
}

/// What became of a change to something that reads as `whole` without it.
fn against<T: PartialEq, E>(whole: &Result<T, E>, found: &Result<T, E>) -> Outcome {
    match (whole, found) {
        (_, Err(_)) => Outcome::Refused,
        (Ok(whole), Ok(found)) if whole == found => Outcome::Harmless,
        _ => Outcome::Believed,
    }
}

/// Changes bits of every message, key and half of a model, one at a time: all where there are at most `most`, else so many by chance.
pub fn flips(most: usize) -> Vec<Flips> {
    let (secret, evaluation) = &common::KEYS[0];
    let mut key = Vec::new();
    let written = evaluation.write(&mut key);
    let (client, server) = (corpus::client_half(), corpus::server_half());
    let (whole_client, whole_server) = (ClientModel::from_bytes(&client), ServerModel::from_bytes(&server));
    let mut found = vec![
        count("secret key", &secret.to_bytes(), most, |bytes| SecretKey::from_bytes(bytes).is_err().into()),
        count("evaluation key", if written.is_ok() { &key } else { &[] }, most / 50, |mut bytes| {
            EvaluationKey::read(&mut bytes).is_err().into()
        }),
        count("client half", &client, most, |bytes| against(&whole_client, &ClientModel::from_bytes(bytes))),
        count("server half", &server, most, |bytes| against(&whole_server, &ServerModel::from_bytes(bytes))),
    ];
    let names = [
        ["hello of flat", "query of flat", "reply of flat"],
        ["hello of routed", "query of routed", "reply of routed"],
        ["hello of decided", "query of decided", "reply of decided"],
        ["hello of picked", "query of picked", "reply of picked"],
        ["hello of picked-decided", "query of picked-decided", "reply of picked-decided"],
    ];
    for (talk, [hello, query, reply]) in TALKS.iter().zip(names) {
        let refuses = |bytes: &[u8]| Client::new(talk.half.clone(), talk.key.clone(), bytes).is_err().into();
        found.push(count(hello, &talk.hello, most, refuses));
        let Some((_, message)) = talk.asking() else { continue };
        found.push(count(query, &message.bytes, most, |bytes| talk.server.answer(bytes).is_err().into()));
        let Some((mut client, message)) = talk.asking() else { continue };
        let Ok(answer) = talk.server.answer(&message.bytes) else { continue };
        found.push(count(reply, &answer, most, |bytes| client.receive(bytes).is_err().into()));
    }
    found
}

fn count(artefact: &'static str, whole: &[u8], most: usize, mut outcome: impl FnMut(&[u8]) -> Outcome) -> Flips {
    let (bits, mut rng) = (8 * whole.len(), ChaCha8Rng::seed_from_u64(1));
    let flipped = bits.min(most);
    let mut changed = whole.to_vec();
    let mut found = Flips { artefact, bits, flipped, refused: 0, harmless: 0 };
    for i in 0..flipped {
        let bit = if bits <= most { i } else { rng.random_range(0..bits) };
        changed[bit / 8] ^= 1 << (bit % 8);
        match outcome(&changed) {
            Outcome::Refused => found.refused += 1,
            Outcome::Harmless => found.harmless += 1,
            Outcome::Believed => {}
        }
        changed[bit / 8] ^= 1 << (bit % 8);
    }
    found
}
