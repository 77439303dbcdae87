//! A client against a stand-in for a server: what is asked, asked again, kept and refused, and whole exchanges.

#[path = "../../../service/tests/common/mod.rs"]
mod common;
mod exchange;
mod faults;
mod halves;
mod keys;
mod stand_in;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sordino_model::{ClientModel, Protocol, Resolution, ServerModel};
use sordino_remote::{Address, Options, Remote, Timeouts, Token};

const PROTOCOLS: [Protocol; 3] = [
    Protocol::Flat,
    Protocol::Routed { probes: 2 },
    Protocol::Decided { probes: 1, answers: 1, resolution: Resolution::Standard },
];

/// Times for tests: patience for some repetitions.
fn timeouts() -> Timeouts {
    Timeouts { patience: Duration::from_secs(5), ..Timeouts::default() }
}

fn options(cache: Option<&Path>) -> Options {
    let mut options = Options::default();
    (options.cache, options.timeouts) = (cache.map(Path::to_owned), timeouts());
    options
}

fn changed(change: impl FnOnce(&mut Options)) -> Options {
    let mut options = options(None);
    change(&mut options);
    options
}

fn remote(url: &str, options: Options) -> Remote {
    Remote::connect(Address::parse(url, false).unwrap(), options).unwrap()
}

fn token() -> Token {
    Token::new("a token of sixteen and more".replace(' ', "-").as_str()).unwrap()
}

/// What a server says of a model.
fn offer(half: &ClientModel, model: &ServerModel) -> Value {
    let bundle = half.bundle().unwrap();
    let protocol = |protocol: Protocol| {
        let (probes, answers) = (protocol.probes(), usize::from(matches!(protocol, Protocol::Decided { .. })));
        json!({"name": protocol.name(), "probes": probes, "answers": answers, "resolution": "standard", "trips": 1,
            "bytes_up": 1, "bytes_down": 1, "evaluation_key_bytes": null, "seconds": null, "server_learns": "",
            "client_learns": "", "budget": null})
    };
    json!({"name": model.name(), "hash": model.hash(), "tracks": 12, "clusters": 3, "query_seconds": 1.0, "sample_rate": 2000,
        "client": {"hash": bundle.hash(), "bytes": bundle.to_bytes().len()},
        "protocols": PROTOCOLS.map(protocol)})
}

/// The list of one model.
fn models(offer: &Value) -> Vec<u8> {
    json!({"models": [offer]}).to_string().into()
}

fn library() -> (Arc<ClientModel>, ServerModel) {
    common::model("library")
}
