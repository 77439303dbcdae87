//! A model saved by format version 1 still opens, and still answers as it did.

use std::path::{Path, PathBuf};

use sordino_model::{Card, Pair, Protocol, load_pair, save};

use crate::sample::clip;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

#[test]
fn version_1_still_opens() {
    let (client, server) = load_pair(&fixture()).unwrap();
    assert_eq!(server.hash().to_string(), include_str!("../fixtures/v1.hash").trim());
    assert_eq!(client.labels().len(), 4);
    assert_eq!(client.labels()[2].title, "Title \"2\" | ä");
    let stage = &server.hierarchy().stages()[1];
    assert_eq!((stage.groups(), stage.outputs(), stage.input().width), (4, 4, 9));
}

#[test]
fn version_1_still_answers() {
    let (client, server) = load_pair(&fixture()).unwrap();
    let pair = Pair::new(&client, &server).unwrap();
    let answers: Vec<String> = (0..4)
        .map(|seed| {
            let features = client.front().features(&clip(seed, 1.2)).unwrap();
            let ranked = |protocol| {
                let ranking = pair.identify(protocol, &features).unwrap();
                ranking
                    .matches
                    .iter()
                    .map(|r| format!("{}:{}", r.label, r.score.unwrap()))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let input = client.flat_input(&features).unwrap();
            format!("{input:?} flat {} trips {}\n", ranked(Protocol::Flat), ranked(Protocol::Routed { probes: 2 }))
        })
        .collect();
    assert_eq!(answers.concat(), include_str!("../fixtures/v1.answers"));
}

#[test]
fn the_same_model_is_still_saved_as_the_same_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = load_pair(&fixture()).unwrap();
    save(&temp.path().join("m"), &client, &server, &Card::default()).unwrap();
    for file in crate::files::FILES {
        let read = |dir: &Path| std::fs::read(dir.join(file)).unwrap();
        assert!(read(&fixture()) == read(&temp.path().join("m")), "{file}");
    }
}
