//! A half from a folder, from a map in memory and from one byte string is the same half; a damaged one is refused.

use std::collections::BTreeMap;

use sordino_model::{Bundle, Card, ClientModel, FileError, ServerModel, save};

use crate::sample::model;

/// An entry of a `tar` archive with a right checksum.
fn entry(name: &str, kind: u8, size: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..124 + size.len()].copy_from_slice(size.as_bytes());
    header[148..156].fill(b' ');
    header[156] = kind;
    // As GNU tar writes it.
    header[257..265].copy_from_slice(b"ustar  \0");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header.extend(bytes);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    entry(name, b'0', &format!("{:011o}", bytes.len()), bytes)
}

const END: [u8; 1024] = [0; 1024];

#[test]
fn every_source_gives_the_same_half() {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(1, &[3, 2]);
    save(temp.path(), &client, &server, &Card::default()).unwrap();

    let folder = Bundle::read(&temp.path().join("client")).unwrap();
    assert!(folder.files().eq(client.bundle().unwrap().files()));
    assert_eq!(ClientModel::from_bundle(&folder).unwrap(), client);
    let bytes = folder.to_bytes();
    assert_eq!(bytes, client.bundle().unwrap().to_bytes());
    assert_eq!(ClientModel::from_bytes(&bytes).unwrap(), client);
    let map: BTreeMap<String, Vec<u8>> =
        Bundle::from_bytes(&bytes).unwrap().files().map(|(name, file)| (name.into(), file.into())).collect();
    assert_eq!(map.len(), 4);
    assert_eq!(ClientModel::from_bundle(&map.into_iter().collect()).unwrap(), client);

    let bytes = server.bundle().unwrap().to_bytes();
    let read = ServerModel::from_bytes(&bytes).unwrap();
    assert_eq!(read, server);
    assert_eq!(read.hash(), server.hash());
}

#[test]
fn a_bundle_is_written_as_the_folder_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let (client, _) = model(1, &[3, 2]);
    let folder = temp.path().join("client");
    client.bundle().unwrap().write(&folder).unwrap();
    assert!(Bundle::read(&folder).unwrap().files().eq(client.bundle().unwrap().files()));
    assert!(matches!(client.bundle().unwrap().write(&folder), Err(FileError::Io { .. })), "it is there already");
}

#[test]
fn any_tar_packs_a_half() {
    let (client, _) = model(1, &[3, 2]);
    let mut archive = [entry("client/", b'5', "0", &[]), entry("pax", b'x', "00000000003", b"abc")].concat();
    for (name, bytes) in client.bundle().unwrap().files() {
        archive.extend(file(&format!("./client/{name}"), bytes));
        archive.extend(file(&format!("client/._{name}"), b"what a file manager left"));
    }
    archive.extend([END; 10].concat());
    assert_eq!(ClientModel::from_bytes(&archive).unwrap(), client);
}

#[test]
fn the_halves_are_not_mistaken_for_each_other() {
    let (client, server) = model(1, &[3, 2]);
    let (client, server) = (client.bundle().unwrap(), server.bundle().unwrap());
    assert!(matches!(ServerModel::from_bundle(&client), Err(FileError::Sums { .. })));
    assert!(matches!(ClientModel::from_bundle(&server), Err(FileError::Sums { .. })));
    assert!(matches!(ClientModel::from_bytes(b"<!doctype html>"), Err(FileError::Archive { at: 0, .. })));
}

#[test]
fn a_missing_file_is_named() {
    let (client, _) = model(1, &[3, 2]);
    let bundle = client.bundle().unwrap();
    for (missing, _) in bundle.files() {
        let rest: Bundle<'_> = bundle.files().filter(|(name, _)| *name != missing).collect();
        let error = ClientModel::from_bundle(&rest).unwrap_err();
        assert!(matches!(&error, FileError::Absent { path } if path.ends_with(missing)), "{error}");
    }
}

#[test]
fn every_flipped_byte_is_noticed_or_harmless() {
    let (client, _) = model(1, &[3, 2]);
    let good = client.bundle().unwrap().to_bytes();
    for (at, mask) in (0..good.len()).step_by(7).flat_map(|at| [(at, 0x01), (at, 0x80)]) {
        let mut bad = good.clone();
        bad[at] ^= mask;
        if let Ok(read) = ClientModel::from_bytes(&bad) {
            assert!(read == client, "byte {at} xor {mask:#x}");
        }
    }
}

#[test]
fn a_truncated_byte_string_is_refused() {
    let (client, _) = model(1, &[3, 2]);
    let good = client.bundle().unwrap().to_bytes();
    let end = good.len() - END.len();
    for length in (0..end + 512).step_by(61) {
        assert!(ClientModel::from_bytes(&good[..length]).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn what_an_archive_claims_is_checked() {
    let (client, _) = model(1, &[3, 2]);
    let good = client.bundle().unwrap().to_bytes();
    let good = &good[..good.len() - END.len()];
    let refused = |first: Vec<u8>| {
        let error = ClientModel::from_bytes(&[&first, good, &END].concat()).unwrap_err();
        assert!(matches!(error, FileError::Archive { .. }), "{error}");
    };
    for size in ["77777777777", "-1", "", "99", "0x10", "\u{0}"] {
        refused(entry("other", b'0', size, &[]));
    }
    // The binary form for sizes over 8 GiB.
    let mut binary = file("other", &[]);
    binary[124] = 0x80;
    refused(binary);
    // Two files of one name: which of them was hashed?
    refused(file("model.json", b"{}"));
    let mut unsigned = file("other", &[]);
    unsigned[0] = b'a';
    refused(unsigned);
    // A link is not the file it points to.
    let link = [&entry("labels.json", b'2', "0", &[])[..], good, &END].concat();
    assert_eq!(ClientModel::from_bytes(&link).unwrap(), client);
}
