//! Saving and opening: what comes back is what went in, and nothing else is ever lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ndarray::array;
use sordino_front::{Front, VectorBound};
use sordino_model::circuit::RangeError;
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{
    Card, ClientError, ClientModel, FileError, HeldOut, MAX_SCORE, ModelHash, ServerError, ServerModel,
    files::check_place, load_client, load_files, load_held_out, load_pair, load_server, save,
};

use crate::sample::{label, model};

pub(crate) const FILES: [&str; 7] = [
    "client/labels.json",
    "client/model.json",
    "client/weights.safetensors",
    "client/SHA256SUMS",
    "server/model.json",
    "server/weights.safetensors",
    "server/SHA256SUMS",
];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_saved_is_what_is_opened() {
    let temp = tempfile::tempdir().unwrap();
    for (seed, outputs) in [(1, &[4][..]), (2, &[5, 3]), (3, &[3, 2, 4])] {
        let dir = temp.path().join(format!("deep/er/model-{seed}"));
        let (client, server) = model(seed, outputs);
        save(&dir, &client, &server, &Card::default()).unwrap();
        assert_eq!(load_client(&dir).unwrap(), client);
        assert_eq!(load_server(&dir).unwrap(), server);
        assert_eq!(load_pair(&dir).unwrap(), (client, server));
        assert_eq!(names(&dir), ["card.md", "client", "server"]);
    }
    assert_eq!(
        names(&temp.path().join("deep/er")),
        ["model-1", "model-2", "model-3"],
        "no scratch folders stay behind"
    );
}

#[test]
fn one_half_opens_without_the_other() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("m");
    let (client, server) = model(1, &[3, 2]);
    save(&dir, &client, &server, &Card::default()).unwrap();
    fs::remove_dir_all(dir.join("server")).unwrap();
    assert_eq!(load_client(&dir).unwrap(), client);
    assert!(matches!(load_server(&dir), Err(FileError::Io { .. })));
}

#[test]
fn a_model_of_vectors_says_so_and_is_opened() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(2, &[4, 2]);
    let (sound, name) = (client.front(), "vectors");
    let front = Front::of_vectors(sound.width(), sound.heads().to_vec()).unwrap();
    let (hierarchy, flat) = (server.hierarchy().clone(), server.own_flat().cloned());
    let server = ServerModel::new(name, ModelHash::of_input(&front), hierarchy, flat).unwrap();
    let (outline, flat) = (client.hierarchy().clone(), client.own_flat().cloned());
    let labels = client.labels().to_vec();
    let vectors = ClientModel::new(name, front, outline, flat, labels, server.hash()).unwrap();
    let dir = temp.path().join(name);
    save(&dir, &vectors, &server, &Card::default()).unwrap();
    assert_eq!(load_pair(&dir).unwrap(), (vectors.clone(), server));
    let json = fs::read_to_string(dir.join("client/model.json")).unwrap();
    assert!(json.contains(&format!("\"vectors\": {}", vectors.front().width())) && !json.contains("\"spec\""));
    let card = fs::read_to_string(dir.join("card.md")).unwrap();
    assert!(card.contains(&format!("a vector of {} numbers", vectors.front().width())), "{card}");
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(1, &[3, 2]);
    for name in ["a", "b"] {
        save(&temp.path().join(name), &client, &server, &Card::default()).unwrap();
    }
    for file in FILES {
        let read = |name: &str| fs::read(temp.path().join(name).join(file)).unwrap();
        assert!(read("a") == read("b"), "{file}");
    }
}

#[test]
fn the_server_half_knows_no_track() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(1, &[3, 2]);
    save(temp.path(), &client, &server, &Card::default()).unwrap();
    for file in FILES.iter().filter(|file| file.starts_with("server")) {
        let text = String::from_utf8_lossy(&fs::read(temp.path().join(file)).unwrap()).into_owned();
        assert!(!text.contains("Artist") && !text.contains("Title"), "{file}");
    }
}

#[test]
fn the_hash_is_that_of_the_checksums() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(1, &[3, 2]);
    save(temp.path(), &client, &server, &Card::default()).unwrap();
    let sums = fs::read(temp.path().join("server/SHA256SUMS")).unwrap();
    assert_eq!(ModelHash::of(&sums), server.hash());
    assert_eq!(client.server_hash(), server.hash());
    let weights = ModelHash::of(&fs::read(temp.path().join("server/weights.safetensors")).unwrap());
    assert!(String::from_utf8(sums).unwrap().contains(&format!("{weights}  weights.safetensors\n")));
    // FIPS 180-4's example.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(ModelHash::of(b"abc").to_string(), abc);
    assert_eq!(abc.parse(), Ok(ModelHash::of(b"abc")));
    for bad in [&abc[1..], &abc.to_uppercase(), &abc.replace('b', "g"), ""] {
        assert!(bad.parse::<ModelHash>().is_err(), "{bad}");
    }
}

#[test]
fn a_model_replaces_a_model_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("m");
    let ((client, server), (other, other_server)) = (model(1, &[3, 2]), model(2, &[2, 2]));
    save(&dir, &other, &other_server, &Card::default()).unwrap();
    save(&dir, &client, &server, &Card::default()).unwrap();
    assert_eq!(load_pair(&dir).unwrap(), (client.clone(), server.clone()));
    assert_eq!(names(temp.path()), ["m"]);

    fs::write(dir.join("thesis.txt"), "my only copy").unwrap();
    let error = save(&dir, &other, &other_server, &Card::default());
    assert!(matches!(error, Err(FileError::Occupied { .. })), "{error:?}");
    assert_eq!(fs::read(dir.join("thesis.txt")).unwrap(), b"my only copy");
    assert_eq!(load_client(&dir).unwrap(), client);

    let file = temp.path().join("file");
    fs::write(&file, "music").unwrap();
    assert!(save(&file, &client, &server, &Card::default()).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"music");
    assert_eq!(names(temp.path()), ["file", "m"]);
}

#[test]
fn what_a_killed_save_left_is_cleared() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(1, &[3, 2]);
    // Half a model of a process that is no more, that of another model, and a folder of somebody's.
    for left in [".m.new-1-0/client", ".n.new-1-0", ".m.new-mine"] {
        fs::create_dir_all(temp.path().join(left)).unwrap();
    }
    check_place(&temp.path().join("m")).unwrap();
    assert_eq!(names(temp.path()), [".m.new-mine", ".n.new-1-0"]);
    fs::create_dir_all(temp.path().join(".m.new-1-0/client")).unwrap();
    save(&temp.path().join("m"), &client, &server, &Card::default()).unwrap();
    assert_eq!(names(temp.path()), [".m.new-mine", ".n.new-1-0", "m"]);
}

#[test]
fn a_failed_save_leaves_the_old_model() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("m");
    let ((client, server), (other, _)) = (model(1, &[3, 2]), model(2, &[3, 2]));
    save(&dir, &client, &server, &Card::default()).unwrap();
    let error = save(&dir, &other, &server, &Card::default());
    assert!(matches!(error, Err(FileError::Client(ClientError::Mismatch { .. }))), "{error:?}");
    assert_eq!(load_pair(&dir).unwrap(), (client, server));
    assert_eq!(names(temp.path()), ["m"]);
}

#[test]
fn mismatched_halves_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    for (seed, name) in [(1, "a"), (2, "b")] {
        let (client, server) = model(seed, &[3, 2]);
        save(&temp.path().join(name), &client, &server, &Card::default()).unwrap();
    }
    fs::remove_dir_all(temp.path().join("a/server")).unwrap();
    fs::rename(temp.path().join("b/server"), temp.path().join("a/server")).unwrap();
    let error = load_pair(&temp.path().join("a")).unwrap_err();
    assert!(error.to_string().starts_with("the halves do not belong together"), "{error}");
    assert!(load_client(&temp.path().join("a")).is_ok() && load_server(&temp.path().join("a")).is_ok());
}

#[test]
fn a_model_that_could_overflow_is_not_built() {
    let input = VectorBound { width: 100, max_abs: 127, norm_squared: u64::MAX };
    // 100 * 127 * 127 = 1,612,900: above 2^20 = 1,048,576, 1.54 times.
    let stage = |weight| Stage::new(1, input, vec![weight; 100], vec![0], vec![1]).unwrap();
    let build = |weight| {
        let hierarchy = Hierarchy::new(vec![stage(weight)]).unwrap();
        ServerModel::new("m", ModelHash([0; 32]), hierarchy, None)
    };
    assert!(build(82).is_ok());
    let error = build(127).unwrap_err();
    let overflow = RangeError::Overflow { stage: 0, bound: 1_612_900, limit: MAX_SCORE };
    assert!(matches!(&error, ServerError::Range(found) if *found == overflow), "{error:?}");
    assert!(error.to_string().contains("1.54 times the largest score allowed, 1048576"), "{error}");
    // The flat classifier is held to the same limit.
    let fine = Hierarchy::new(vec![stage(1)]).unwrap();
    let flat = Hierarchy::new(vec![stage(127)]).unwrap();
    assert!(matches!(ServerModel::new("m", ModelHash([0; 32]), fine, Some(flat)), Err(ServerError::Range(_))));
}

#[test]
fn odd_names_and_labels_survive() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(1, &[3, 2]);
    let mut labels = client.labels().to_vec();
    labels[0].title = "\u{0}\n\"\\ 音楽 \u{1f3b5}".into();
    labels[1] = label(u32::MAX);
    let (hierarchy, flat) = (client.hierarchy().clone(), client.own_flat().cloned());
    let front = client.front().clone();
    let client = ClientModel::new(client.name(), front, hierarchy, flat, labels, server.hash()).unwrap();
    save(temp.path(), &client, &server, &Card::default()).unwrap();
    assert_eq!(load_client(temp.path()).unwrap(), client);
}

#[test]
fn a_save_that_was_killed_between_its_renames_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, aside) = (temp.path().join("m"), temp.path().join(".m.old"));
    let (first, second) = (model(1, &[3, 2]), model(2, &[3, 2]));
    save(&dir, &first.0, &first.1, &Card::default()).unwrap();
    // The old model has stepped aside, and the new one has no name yet.
    fs::rename(&dir, &aside).unwrap();
    assert_eq!(load_pair(&dir).unwrap(), first);
    assert_eq!(load_client(&dir).unwrap(), first.0);
    check_place(&dir).unwrap();
    assert_eq!(names(temp.path()), ["m"], "it is put back");
    fs::rename(&dir, &aside).unwrap();
    save(&dir, &second.0, &second.1, &Card::default()).unwrap();
    assert_eq!((load_pair(&dir).unwrap(), names(temp.path())), (second, vec!["m".into()]));
    // The new model has its name, and the old one was not removed yet.
    let third = model(3, &[3, 2]);
    save(&aside, &first.0, &first.1, &Card::default()).unwrap();
    save(&dir, &third.0, &third.1, &Card::default()).unwrap();
    assert_eq!((load_pair(&dir).unwrap(), names(temp.path())), (third, vec!["m".into()]));
}

#[test]
fn a_model_with_its_settings_is_replaced_and_other_places_are_refused_beforehand() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("deep/er/m");
    let files = BTreeMap::from([(7, "music/é.mp3".to_owned()), (9, "b.wav".to_owned())]);
    let held_out = HeldOut { features: array![[0.5, -1.0], [0.0, 2.0]], ids: vec![7, 9] };
    let card =
        Card { settings: "seed = 1\n".into(), files: files.clone(), held_out: held_out.clone(), ..Card::default() };
    for seed in [1, 2] {
        check_place(&dir).unwrap();
        let (client, server) = model(seed, &[3, 2]);
        save(&dir, &client, &server, &card).unwrap();
        assert_eq!(names(&dir), ["card.md", "client", "files.json", "held-out.safetensors", "server", "train.toml"]);
        assert_eq!((load_client(&dir).unwrap(), load_files(&dir).unwrap()), (client, files.clone()));
        assert_eq!(load_held_out(&dir).unwrap(), held_out);
    }
    fs::write(dir.join("held-out.safetensors"), b"no tensors").unwrap();
    assert!(matches!(load_held_out(&dir), Err(FileError::HeldOut)));
    assert!(load_held_out(temp.path()).unwrap().is_empty());
    fs::write(dir.join("files.json"), "{\"7\": 3}").unwrap();
    assert!(matches!(load_files(&dir), Err(FileError::Json { .. })));
    let (file, foreign) = (temp.path().join("file"), temp.path().join("foreign"));
    fs::write(&file, b"text").unwrap();
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("holiday.jpg"), b"not ours").unwrap();
    assert!(matches!(check_place(&file), Err(FileError::Occupied { .. })));
    assert!(matches!(check_place(&foreign), Err(FileError::Occupied { .. })));
    assert!(matches!(check_place(&file.join("inside")), Err(FileError::Io { .. })));
    assert!(matches!(check_place(Path::new("..")), Err(FileError::Unnamed { .. })));
    assert_eq!(names(temp.path()), ["deep", "file", "foreign"], "nothing is left behind");
}
