//! What is left of a secret key in the memory of its process, once the key is dropped: nothing. Linux shows a process its own memory.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use common::{MODEL, hierarchy};
use sordino_fhe::params::INSECURE_N256;
use sordino_fhe::scores::{Client, Plan, PlannerOptions, Server};
use sordino_fhe::{EvaluationKey, SecretKey};

/// Coefficients by which a copy of the key is known: no other 64 numbers of 0 and 1 are these.
const KNOWN: usize = 64;
/// Hides what is looked for from the search itself.
const VEIL: u8 = 0xa5;

/// The first coefficients of the key as a vector of `u64` holds them, veiled.
fn veiled_words(key: &SecretKey) -> Vec<u8> {
    let mut bytes = key.to_bytes();
    let words =
        (0..KNOWN).flat_map(|i| [(bytes[10 + i / 8] >> (i % 8) & 1) ^ VEIL, VEIL, VEIL, VEIL, VEIL, VEIL, VEIL, VEIL]);
    let words = words.collect();
    bytes.fill(0);
    std::hint::black_box(bytes);
    words
}

/// How often what is veiled lies in the memory that this process can write.
fn copies(veiled: &[u8]) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let parse = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
        let (mut at, to) = (parse(from), parse(to));
        // Piece by piece, in one buffer that is veiled too: it must not be found itself.
        let mut piece = vec![0; 1 << 20];
        while at < to {
            let length = piece.len().min((to - at) as usize);
            let read = memory.seek(SeekFrom::Start(at)).and_then(|_| memory.read(&mut piece[..length])).unwrap_or(0);
            if read == 0 {
                break;
            }
            piece[..read].iter_mut().for_each(|byte| *byte ^= VEIL);
            let last = (read + 1).saturating_sub(veiled.len());
            found += (0..last).step_by(8).filter(|&i| piece[i..i + veiled.len()] == *veiled).count();
            piece.fill(0);
            // Pieces overlap, so that nothing hides between two.
            at += (read - veiled.len().min(read - 1)).max(1).next_multiple_of(8) as u64;
        }
    }
    found
}

#[test]
fn a_dropped_key_leaves_no_copy_in_memory() {
    let model = hierarchy(&[(5, 4), (3, 6)], 1);
    let plan = Plan::routed(&INSECURE_N256, &model, 2, PlannerOptions::default()).unwrap();
    let server = Server::new(MODEL, &model, plan.clone()).unwrap();
    let key = SecretKey::generate(&INSECURE_N256);
    let veiled = veiled_words(&key);
    assert!(copies(&veiled) > 0, "the search finds a key that is there");
    let folder = tempfile::tempdir().unwrap();
    key.save(&folder.path().join("key")).unwrap();
    let loaded = SecretKey::load(&folder.path().join("key")).unwrap();
    drop(EvaluationKey::generate(&key, |_| ()));
    drop(key);
    let mut client = Client::new(loaded, plan, MODEL, model.shape()).unwrap();
    let reply = server.answer(&client.query(1, &[1; 6], &[4, 0]).unwrap()).unwrap();
    client.scores(1, &reply, &[4, 0]).unwrap();
    drop(client);
    assert_eq!(copies(&veiled), 0, "copies of the dropped key");
}
