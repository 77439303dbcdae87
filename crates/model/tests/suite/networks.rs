//! A network as a file: read back as it was, and refused where it is anything else.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sordino_front::FrontError;
use sordino_model::FileError;
use sordino_model::files::{network_from_bytes, network_to_bytes, read_network};

use crate::sample::network;

fn file() -> Vec<u8> {
    network_to_bytes(&network(&mut ChaCha8Rng::seed_from_u64(1), 12)).unwrap()
}

/// The file with another description.
fn edited(edit: impl FnOnce(&mut Value)) -> Result<sordino_front::Network, FileError> {
    let bytes = file();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut description: Value = serde_json::from_str(header["__metadata__"]["sordino"].as_str().unwrap()).unwrap();
    edit(&mut description);
    header["__metadata__"]["sordino"] = json!(description.to_string());
    let header = serde_json::to_vec(&header).unwrap();
    network_from_bytes(&[&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat())
}

#[test]
fn it_is_read_back_as_it_was() {
    let network = network(&mut ChaCha8Rng::seed_from_u64(1), 12);
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("mine.safetensors");
    std::fs::write(&path, file()).unwrap();
    assert_eq!(read_network(&path).unwrap(), network);
    assert_eq!(edited(|_| ()).unwrap(), network);
}

#[test]
fn what_is_none_is_refused() {
    let bytes = file();
    assert!((0..bytes.len()).all(|end| network_from_bytes(&bytes[..end]).is_err()));
    let format = edited(|d| d["format"] = json!("sordino-client"));
    assert!(matches!(format, Err(FileError::Format { .. })), "{format:?}");
    assert!(matches!(edited(|d| d["version"] = json!(2)), Err(FileError::Version { .. })));
    assert!(matches!(edited(|d| d["bands"] = json!(13)), Err(FileError::Front(FrontError::Shape { .. }))));
    assert!(matches!(edited(|d| d["pool"] = json!("median")), Err(FileError::Json { .. })));
    assert!(matches!(edited(|d| d["something_new"] = json!(1)), Err(FileError::Json { .. })));
    // A tensor that no step names, and a step without its tensors.
    assert!(matches!(edited(|d| d["layers"] = json!([])), Err(FileError::Unclaimed { .. })));
    assert!(matches!(edited(|d| d["layers"] = json!(["affine", "affine"])), Err(FileError::NoTensor { .. })));
}
