//! What a client does with its secret key, for a tool that records every instruction and every address: `tests/timing/run`.
//!
//! ```text
//! client_trace prepare [COUNT] FOLDER     writes a folder for every key and clip, 1-1, 2-1 to 4-1 and 1-2 to 1-4
//! client_trace query PROTOCOL FOLDER      encrypts the clip of one of those folders under its key
//! client_trace reply PROTOCOL FOLDER      the same, and decrypts the reply to it
//! ```
//!
//! Masks and noise follow from one number, so that two runs differ in key or clip alone. One thread does everything.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sordino_benches::decided::Tree;
use sordino_benches::{Failure, rng};
use sordino_fhe::params::STANDARD;
use sordino_fhe::{ClientKey, EvaluationKey, KeyId, SecretKey, ServerKey, decision, scores};
use sordino_model::ModelHash;
use sordino_model::stage::Hierarchy;

const MODEL: ModelHash = ModelHash([1; 32]);
/// Keys, and clips.
const COUNT: u64 = 4;
const PROTOCOLS: [&str; 2] = ["flat", "decided"];

fn main() -> Result<(), Failure> {
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    run(&std::env::args().skip(1).collect::<Vec<_>>())
}

/// What the arguments ask for.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", folder] => prepare(COUNT, Path::new(folder)),
        ["prepare", count, folder] => prepare(count.parse()?, Path::new(folder)),
        ["query", protocol, folder] => Asking::new(protocol, Path::new(folder))?.query().map(drop),
        ["reply", protocol, folder] => {
            let mut asking = Asking::new(protocol, Path::new(folder))?;
            asking.query()?;
            asking.decrypt(&fs::read(Path::new(folder).join(format!("reply-{protocol}")))?)
        }
        _ => Err("expected prepare FOLDER, query PROTOCOL FOLDER, or reply PROTOCOL FOLDER".into()),
    }
}

/// A client of a model of random weights.
struct Asking {
    model: Hierarchy,
    /// Vectors, stage by stage.
    clip: Vec<Vec<i32>>,
    client: Client,
}

enum Client {
    Flat(scores::Client),
    Decided(decision::Client),
}

impl Asking {
    fn new(protocol: &str, folder: &Path) -> Result<Self, Failure> {
        let read = |name: &str| fs::read(folder.join(name));
        let secret = Arc::new(SecretKey::from_bytes(&read("secret")?)?);
        let evaluation = KeyId(read("name")?.as_slice().try_into()?);
        let clip: Vec<i32> = read(&format!("clip-{protocol}"))?.into_iter().map(|byte| i32::from(byte as i8)).collect();
        let model = tree(protocol)?.model()?;
        let client = if protocol == "flat" {
            let plan = scores::Plan::flat(&STANDARD, &model, scores::PlannerOptions::default())?;
            Client::Flat(scores::Client::new(secret, plan, MODEL, model.shape())?.with_insecure_seed(9))
        } else {
            let plan = decision::Plan::new(&STANDARD, &model, decision::Options::default())?;
            let key = ClientKey::registered(secret, evaluation);
            Client::Decided(decision::Client::new(key, plan, MODEL, model.shape())?.with_insecure_seed(9))
        };
        let clip = clip.chunks_exact(clip.len() / model.stages().len()).map(<[i32]>::to_vec).collect();
        Ok(Self { model, clip, client })
    }

    fn query(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(match &mut self.client {
            Client::Flat(client) => client.query(0, &self.clip[0], &[])?,
            Client::Decided(client) => client.query(&self.clip, &[], 0)?,
        })
    }

    fn decrypt(&self, reply: &[u8]) -> Result<(), Failure> {
        match &self.client {
            Client::Flat(client) => drop(client.scores(0, reply, &[])?),
            Client::Decided(client) => drop(client.answers(reply, &[])?),
        }
        Ok(())
    }
}

fn tree(protocol: &str) -> Result<Tree, Failure> {
    match protocol {
        "flat" => Ok(Tree { tracks: 12, outputs: vec![12] }),
        "decided" => Ok(Tree { tracks: 9, outputs: vec![3, 3] }),
        other => Err(format!("the protocol is {other}, expected flat or decided").into()),
    }
}

fn prepare(count: u64, folder: &Path) -> Result<(), Failure> {
    for key in 1..=count {
        let secret = SecretKey::generate(&STANDARD);
        let evaluation = EvaluationKey::generate(&secret, |_| ());
        let server_key = evaluation.expand();
        // The first key is asked about every clip, the others about the first one.
        for clip in 1..=if key == 1 { count } else { 1 } {
            let folder = folder.join(format!("{key}-{clip}"));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("secret"), secret.to_bytes())?;
            fs::write(folder.join("name"), evaluation.id().0)?;
            reply(clip, &server_key, &folder)?;
        }
    }
    Ok(())
}

/// Writes a clip for every protocol, and what the server replies to it.
fn reply(clip: u64, key: &ServerKey, folder: &Path) -> Result<(), Failure> {
    for protocol in PROTOCOLS {
        let tree = tree(protocol)?;
        let vectors = tree.planted(&tree.model()?, 1, &mut rng(clip)).concat();
        let bytes: Vec<u8> = vectors.into_iter().map(|number| number as i8 as u8).collect();
        fs::write(folder.join(format!("clip-{protocol}")), bytes)?;
        let mut asking = Asking::new(protocol, folder)?;
        let query = asking.query()?;
        let reply = match &asking.client {
            Client::Flat(client) => scores::Server::new(MODEL, &asking.model, client.plan().clone())?.answer(&query)?,
            Client::Decided(client) => {
                decision::Server::new(MODEL, &asking.model, client.plan().clone())?.answer(key, &query)?
            }
        };
        fs::write(folder.join(format!("reply-{protocol}")), reply)?;
    }
    Ok(())
}
