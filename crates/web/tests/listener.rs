//! The classes of the module, outside a browser: what needs no JavaScript.

use std::path::Path;

use sordino_fhe::params;
use sordino_model::{Bundle, Protocol, load_pair};
use sordino_service::Server;
use sordino_web::{Key, Listener, Model};

/// Eleven seconds of something at 44.1 kHz.
fn clip() -> Vec<f32> {
    (0..485_100).map(|i| (900.0 * (1.0 + i as f32 / 44_100.0).ln()).sin()).collect()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/composed")
}

fn model() -> Model {
    let bundle = Bundle::read(&folder().join("client")).expect("a client half");
    Model::from_bytes(&bundle.to_bytes()).unwrap_or_else(|_| panic!("the half is read"))
}

#[test]
fn features_are_those_of_the_program() {
    let (half, _) = load_pair(&folder()).expect("a model");
    let rate = half.front().spec().expect("sound").sample_rate;
    let expected = half.front().features(&sordino_audio::resample(&clip(), 44_100, rate).expect("sound"));
    let found = model().features(&clip(), 44_100).unwrap_or_else(|_| panic!("the clip is long enough"));
    assert_eq!(found, expected.expect("features"));
}

#[test]
fn the_classes_ask_and_answer_as_the_crates_do() {
    let (half, weights) = load_pair(&folder()).expect("a model");
    let model = model();
    let key = Key::from_bytes(&Key::generate().to_bytes()).unwrap_or_else(|_| panic!("a key is read back"));
    let features = model.features(&clip(), 44_100).unwrap_or_else(|_| panic!("features"));
    for protocol in [Protocol::Flat, Protocol::Routed { probes: 2 }] {
        let server = Server::new(&weights, protocol, &params::STANDARD).expect("a server");
        let mut listener = Listener::new(&model, &key, None, &server.hello()).unwrap_or_else(|_| panic!("a listener"));
        assert!(!listener.server_decides());
        let mut message = listener.start(&features).unwrap_or_else(|_| panic!("a message"));
        let answer = loop {
            let reply = server.answer(&message).expect("a reply");
            let step = listener.receive(&reply).unwrap_or_else(|_| panic!("a step"));
            match step.message {
                Some(next) => message = next,
                None => break step.answer.expect("an answer"),
            }
        };
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        let best = &answer["matches"][0];
        let label = &half.labels()[best["label"].as_u64().expect("a label") as usize];
        assert_eq!((best["title"].as_str(), best["artist"].as_str()), (Some(&*label.title), Some(&*label.artist)));
        assert_eq!(answer["known"].as_bool(), Some(best["score"].as_i64().expect("a score") > 0));
    }
}
