//! What keys, hellos and messages say, read by a second decoder that was written from `docs/formats.md` alone.

mod common;

use std::path::Path;
use std::process::Command;

use common::{KEYS, features, model};
use serde_json::{Value, json};
use sordino_fhe::ClientKey;
use sordino_fhe::params::INSECURE_N512;
use sordino_model::{Decider, Pair, Protocol};
use sordino_service::{Client, Server, Step};

const DECODER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/formats/decoder.py");

/// Runs the second decoder on a folder; `None` where there is no Python.
fn decoded(folder: &Path) -> Option<Value> {
    let run = Command::new("python3").arg(DECODER).arg(folder).output();
    let Ok(out) = run else {
        eprintln!("skipped: no python3");
        return None;
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(serde_json::from_slice(&out.stdout).unwrap())
}

#[test]
fn a_second_decoder_reads_every_key_and_message() {
    let (half, server_half) = model("library");
    let pair = Pair::new(&half, &server_half).unwrap();
    let (secret, evaluation) = &KEYS[0];
    let heard = features(&half, Some(6));
    // A client in NumPy is the second decoder of raw, and `python/tests/test_raw.py` its test.
    let spoken = Protocol::ALL.into_iter().filter(|&protocol| half.speaks(protocol).is_ok());
    for protocol in spoken.map(|protocol| protocol.with_probes(protocol.probes().min(2))) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let server = Server::new(&server_half, protocol, &INSECURE_N512).unwrap();
        let id = server.register(evaluation.expand()).unwrap();
        let key = ClientKey::registered(secret.clone(), id);
        let mut client = Client::new(half.clone(), key, &server.hello()).unwrap();
        write("secret.key", &secret.to_bytes());
        write("hello", &server.hello());
        if protocol.decider() == Decider::Server {
            let mut bytes = Vec::new();
            evaluation.write(&mut bytes).unwrap();
            write("evaluation.key", &bytes);
        }
        let hierarchy = match protocol {
            Protocol::Flat => server_half.flat(),
            _ => server_half.hierarchy(),
        };
        let counts: Vec<_> = hierarchy.stages().iter().map(|stage| stage.counts().to_vec()).collect();
        let widths: Vec<_> = hierarchy.stages().iter().map(|stage| stage.input().width).collect();
        let slots = hierarchy.last().outputs();
        write("shape.json", json!({ "counts": counts, "widths": widths, "slots": slots }).to_string().as_bytes());
        let mut message = client.start(&heard).unwrap();
        let answer = loop {
            let reply = server.answer(&message.bytes).unwrap();
            write(&format!("query-{}", message.trip), &message.bytes);
            write(&format!("reply-{}", message.trip), &reply);
            match client.receive(&reply).unwrap() {
                Step::Send(next) => message = next,
                Step::Done(answer) => break answer,
            }
        };
        assert_eq!(answer, pair.identify(protocol, &heard).unwrap());
        let Some(found) = decoded(folder.path()) else { return };

        assert_eq!(found["hello"]["protocol"], protocol.name());
        assert_eq!(found["hello"]["model"], server_half.hash().to_string());
        let trips = found["trips"].as_array().unwrap();
        assert_eq!(trips.len(), server.plan().trips());
        let vectors = half.inputs(&heard).unwrap();
        let scores = |stage: usize, group: usize, x: &[i32]| -> Vec<i64> {
            let stage = &hierarchy.stages()[stage];
            (0..stage.count(group)).map(|slot| stage.score(group, slot, x)).collect()
        };
        match protocol {
            Protocol::Flat => {
                let x = half.flat_input(&heard).unwrap();
                assert_eq!(trips[0]["vector"], json!(x));
                assert_eq!(trips[0]["scores"], json!([scores(0, 0, &x)]));
            }
            Protocol::Routed { .. } => {
                assert_eq!((&trips[0]["vector"], &trips[1]["vector"]), (&json!(vectors[0]), &json!(vectors[1])));
                let first = scores(0, 0, &vectors[0]);
                assert_eq!(trips[0]["scores"], json!([first]));
                let mut order: Vec<usize> = (0..first.len()).collect();
                order.sort_by_key(|&group| (std::cmp::Reverse(first[group]), group));
                assert_eq!(trips[1]["groups"], json!(order[..2]));
                let expected: Vec<_> = order[..2].iter().map(|&group| scores(1, group, &vectors[1])).collect();
                assert_eq!(trips[1]["scores"], json!(expected));
            }
            Protocol::Picked { probes } => {
                let picked = half.pick(&heard, probes).unwrap();
                assert_eq!((&trips[0]["vector"], &trips[0]["groups"]), (&json!(vectors[1]), &json!(picked.groups())));
                let expected: Vec<_> = picked.groups().iter().map(|&group| scores(1, group, &vectors[1])).collect();
                assert_eq!(trips[0]["scores"], json!(expected));
            }
            _ => {
                let (vectors, groups) = half.question(protocol, &heard).unwrap();
                assert_eq!((&trips[0]["vectors"], &trips[0]["groups"]), (&json!(vectors), &json!(groups)));
                assert_eq!(trips[0]["evaluation_key"], found["evaluation_key"]["name"]);
                assert_eq!(found["evaluation_key"]["name"], evaluation.id().hex());
                assert_eq!(trips[0]["answer"]["known"], true);
                assert_eq!(trips[0]["above"], 0);
            }
        }
    }
}
