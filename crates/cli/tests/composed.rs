//! The committed model, `models/composed`: it is what its README says, and names a clip that anyone can compose.

use std::path::{Path, PathBuf};
use std::process::Command;

use sordino_corpus::synth;
use sordino_model::load_pair;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/composed")
}

fn sordino(arguments: &[&Path]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sordino")).args(arguments).arg("--json").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_is_whole_small_and_of_composed_music_only() {
    // Opening a half checks its `SHA256SUMS`, and the pair that the halves belong together.
    let (client, server) = load_pair(&model()).unwrap();
    let labels = client.labels();
    let composed = synth::catalogue(labels.len() as u32, 1).tracks;
    assert_eq!(labels.len(), 24);
    for (label, track) in labels.iter().zip(&composed) {
        assert_eq!((label.track_id, &label.title, label.licence.as_str()), (track.id, &track.title, synth::LICENCE));
    }
    let card = std::fs::read_to_string(model().join("card.md")).unwrap();
    for part in ["24 tracks", synth::LICENCE, &server.hash().to_string()] {
        assert!(card.contains(part), "the card does not say {part}");
    }
    let mut bytes = 0;
    for folder in [model(), model().join("client"), model().join("server")] {
        let sizes = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        bytes += sizes.filter(|file| file.is_file()).map(|file| file.len()).sum::<u64>();
    }
    assert!(bytes < 2_000_000, "{bytes} bytes");
}

#[test]
fn a_composed_clip_is_named_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    sordino(&["synth", "--tracks", "5", "--out"].map(Path::new).into_iter().chain([folder.path()]).collect::<Vec<_>>());
    let clips = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let clip = clips.into_iter().find(|clip| clip.to_string_lossy().contains("00005 ")).unwrap();
    for protocol in ["flat", "routed"] {
        let arguments = [Path::new("identify"), &model(), &clip, Path::new("--protocol"), Path::new(protocol)];
        let found = &sordino(&arguments)["identified"][0];
        assert_eq!((found["known"].as_bool(), found["best"][0]["track_id"].as_u64()), (Some(true), Some(5)), "{found}");
    }
}
