//! Every manifest in `datasets/` says where its data come from, under which licence, how to check them and how they are split.

use std::fs;
use std::path::Path;

use toml::Table;

#[test]
fn manifests_are_complete_and_there_is_no_audio() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let mut manifests = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("md") => continue,
            Some("toml") => manifests += 1,
            _ => panic!("{} is neither a manifest nor the README", path.display()),
        }
        let manifest: Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let text = |table: &Table, key: &str| {
            let text = table.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
            assert!(!text.is_empty(), "{}: no {key}", path.display());
            text
        };
        assert_eq!(text(&manifest, "name"), path.file_stem().unwrap().to_str().unwrap());
        assert!(["music", "noise", "impulse-responses"].contains(&text(&manifest, "kind").as_str()));
        for key in ["description", "homepage", "citation", "licence", "licence_note"] {
            text(&manifest, key);
        }
        text(manifest["layout"].as_table().unwrap(), "audio");
        assert!(!manifest["split"].as_table().unwrap().is_empty());
        for file in manifest["files"].as_array().unwrap() {
            let file = file.as_table().unwrap();
            for key in ["name", "url", "size"] {
                text(file, key);
            }
            let checksums = [("sha1", 40), ("sha256", 64), ("git_commit", 40), ("listing_sha256", 64)];
            let found: Vec<_> = checksums.iter().filter(|(key, _)| file.contains_key(*key)).collect();
            let [(key, digits)] = found.as_slice() else { panic!("{}: one checksum a file", path.display()) };
            let checksum = text(file, key);
            assert!(checksum.len() == *digits && checksum.bytes().all(|b| b.is_ascii_hexdigit()), "{checksum}");
        }
    }
    assert!(manifests >= 7, "{manifests} manifests");
}
